"""Frame columns that the compartment models are sums of, and their spline in the rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.convolution import FrameConvolution

Array = NDArray[np.float64]


class FrameColumns:
    """Exact frame averages of ∫C_p, of C_WB and of exponentials convolved with C_p.

    Attributes
    ----------
    integral
        Frame averages of ∫C_p, shape (frames,) [Bq/mL·min].
    whole_blood
        Frame averages of C_WB, shape (frames,) [Bq/mL].
    """

    def __init__(self, timing: FrameTiming, input_function: InputFunction) -> None:
        self._convolution = FrameConvolution(input_function.time, input_function.plasma, timing)
        self.integral = self._convolution.running_integral
        self.whole_blood = timing.average(input_function.time, input_function.whole_blood)

    def exponential(self, rate: Array) -> Array:
        """Frame averages of e^(−θt) ⊗ C_p for each rate [min⁻¹], shape (rates, frames) [Bq/mL·min]."""
        return self._convolution.exponential(rate)


@dataclass(frozen=True)
class Spline:
    """A cubic spline over an even grid, of a vector with one component for each frame.

    Attributes
    ----------
    first, step
        The grid.
    coefficients
        Shape (intervals, 4, frames), highest power first, in the distance from the left knot.
    """

    first: float
    step: float
    coefficients: Tensor

    @classmethod
    def through(cls, grid: Array, values: Array, device: str) -> Spline:
        """The spline through `values`, shape (points, frames), at an even grid."""
        pieces = np.ascontiguousarray(CubicSpline(grid, values).c.transpose(1, 0, 2))
        return cls(float(grid[0]), float(grid[1] - grid[0]), torch.as_tensor(pieces, device=device))

    def pieces(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """The cubic that holds at each point, shape (points, 4, frames), and the distance from its left knot."""
        interval = ((at - self.first) / self.step).floor().clamp(0, len(self.coefficients) - 1)
        return self.coefficients[interval.long()], at - (self.first + self.step * interval)

    def __call__(self, at: Tensor, order: int = 0) -> tuple[Tensor, ...]:
        """Value and derivatives up to `order` at points of shape (points,), each of shape (points, frames)."""
        pieces, distance = self.pieces(at)
        return cubic(pieces, distance[:, None], order)


def cubic(pieces: Tensor, distance: Tensor, order: int) -> tuple[Tensor, ...]:
    """Value and derivatives up to `order` of cubics whose coefficients stand along dimension 1, highest power first."""
    c3, c2, c1, c0 = pieces.unbind(1)
    found = [torch.addcmul(c0, torch.addcmul(c1, torch.addcmul(c2, c3, distance), distance), distance)]
    if order > 0:
        found.append(torch.addcmul(c1, torch.addcmul(2 * c2, c3, distance, value=3), distance))
    if order > 1:
        found.append(torch.addcmul(2 * c2, c3, distance, value=6))
    return tuple(found)
