"""Frame columns that the compartment models are sums of, the space that they span, and polynomials in the rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.convolution import FrameConvolution

Array = NDArray[np.float64]

#: Share of the largest singular value below which a direction is rounding.
_ROUNDING = 1e-10
#: Points of the grid through which each polynomial goes.
_WINDOW = 8
#: Points beyond the range on either side, so that every window is complete.
MARGIN = _WINDOW // 2 - 1
#: Curves that are worked on at once where there are many numbers for each, so that they stay in the cache.
TILE = 2048
#: As many where there is no such cache but much to do at once.
_TILE_ON_DEVICE = 1 << 18


class FrameColumns:
    """Exact frame averages of ∫C_p, of C_WB and of exponentials convolved with C_p.

    Attributes
    ----------
    timing
        Frames of the scan.
    integral
        Frame averages of ∫C_p, shape (frames,) [Bq/mL·min].
    whole_blood
        Frame averages of C_WB, shape (frames,) [Bq/mL].
    """

    def __init__(self, timing: FrameTiming, input_function: InputFunction) -> None:
        self.timing = timing
        self._convolution = FrameConvolution(input_function.time, input_function.plasma, timing)
        self.integral = self._convolution.running_integral
        self.whole_blood = timing.average(input_function.time, input_function.whole_blood)

    def exponential(self, rate: Array) -> Array:
        """Frame averages of e^(−θt) ⊗ C_p for each rate [min⁻¹], shape (rates, frames) [Bq/mL·min]."""
        return self._convolution.exponential(rate)


@dataclass(frozen=True)
class Curves:
    """Weighted curves, as coordinates in the space in which all model curves lie.

    Attributes
    ----------
    inside
        Coordinates, shape (voxels, directions).
    square
        Sum of squares of the whole curve, shape (voxels,).
    """

    inside: Tensor
    square: Tensor

    def __getitem__(self, some: Tensor) -> Curves:
        return Curves(self.inside.index_select(0, some), self.square.index_select(0, some))

    def __len__(self) -> int:
        return len(self.square)

    def less(self, column: Tensor) -> Curves:
        """What is left of the curves without a model curve, given by its coordinates."""
        square = self.square - 2 * (self.inside @ column) + column.square().sum()
        return Curves(self.inside - column, square.clamp_min(0.0))


class ModelSpace:
    """The few directions of the frames in which all model curves lie, whatever their rates.

    Exponentials of neighbouring rates are nearly alike, so fewer directions than frames are enough, to rounding.

    Parameters
    ----------
    columns
        All weighted columns that models are sums of, shape (columns, frames).
    root
        Square roots of the frame weights, shape (frames,).
    device
        Where to compute.
    """

    def __init__(self, columns: Array, root: Array, device: str) -> None:
        norm = np.linalg.norm(columns, axis=1, keepdims=True)
        _, size, directions = np.linalg.svd(columns / np.where(norm > 0, norm, 1.0), full_matrices=False)
        self.directions = directions[size > _ROUNDING * size[0]]
        self._root, self._axes = (torch.as_tensor(a, device=device) for a in (root[:, None], self.directions))

    def coordinates(self, columns: Array) -> Array:
        """Coordinates of weighted columns of shape (columns, frames)."""
        return np.asarray(columns @ self.directions.T)

    def curves(self, activity: NDArray[Any]) -> Curves:
        """Measured curves of shape (frames, voxels) [Bq/mL]."""
        size = tile_size(self._root)
        tiles = [self._tile(activity[:, first : first + size]) for first in range(0, activity.shape[1], size)]
        return Curves(*(torch.cat(parts) for parts in zip(*tiles, strict=True)))

    def _tile(self, activity: NDArray[Any]) -> tuple[Tensor, Tensor]:
        weighted = torch.from_numpy(np.array(activity, dtype=np.float64, order="C")).to(self._root.device) * self._root
        return (self._axes @ weighted).T.contiguous(), (weighted * weighted).sum(0)


@dataclass(frozen=True)
class RateAxis:
    """Even axis of exponential rates: position u = ln(θ + c). Rates far below c can't be told apart within the scan.

    Attributes
    ----------
    bounds
        Lowest and highest θ [min⁻¹].
    points
        Number of points of the grid from bound to bound.
    slow
        c [min⁻¹].
    """

    bounds: tuple[float, float]
    points: int
    slow: float

    @classmethod
    def of(cls, timing: FrameTiming, bounds: tuple[float, float], points: int) -> RateAxis:
        """The axis of a scan: c is one over its length."""
        return cls(bounds, points, 60.0 / float(timing.end[-1] - timing.start[0]))

    @property
    def positions(self) -> Array:
        """The grid, with `MARGIN` points beyond the bounds on either side, shape (points + 2 MARGIN,)."""
        low, high = np.log(np.add(self.bounds, self.slow))
        return np.asarray(low + (high - low) / (self.points - 1) * np.arange(-MARGIN, self.points + MARGIN))

    @property
    def rates(self) -> Array:
        """θ at the grid [min⁻¹]; below the lower bound they may be negative."""
        return np.asarray(np.exp(self.positions) - self.slow)

    def position(self, log_rates: Tensor) -> Tensor:
        """Place of ln θ."""
        return (log_rates.exp() + self.slow).log()

    def log_rate(self, positions: Tensor) -> Tensor:
        """Ln θ of a position between the bounds, which stay what they are exactly."""
        low, high = np.log(self.bounds)
        first, last = (float(position) for position in self.positions[[MARGIN, -MARGIN - 1]])
        found = (positions.exp() - self.slow).log().clamp(low, high)
        return torch.where(positions <= first, low, torch.where(positions >= last, high, found))


@dataclass(frozen=True)
class Interpolant:
    """A vector over an even grid, between each two points as the polynomial through the eight points around.

    Attributes
    ----------
    first, step
        Middle of the first interval, and steps of the grid.
    coefficients
        Shape (intervals, powers, components), highest power first, in the distance from the middle in steps.
    """

    first: float
    step: float
    coefficients: Tensor

    @classmethod
    def through(cls, grid: Array, values: Array, device: str) -> Interpolant:
        """A smooth curve through `values` of shape (points, components) at an even grid.

        `MARGIN` points of the grid are outside on either side.
        """
        windows = np.lib.stride_tricks.sliding_window_view(values, _WINDOW, axis=0)
        coefficients = np.ascontiguousarray((windows @ stencil().T).swapaxes(1, 2))
        step = float(grid[1] - grid[0])
        return cls(float(grid[MARGIN]) + 0.5 * step, step, torch.as_tensor(coefficients, device=device))

    def nearest(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """Index of the nearest interval, and the distance from its middle in steps; each of the shape of `at`."""
        position = (at - self.first) / self.step
        interval = position.round().clamp_(0, len(self.coefficients) - 1)
        return interval.long(), position - interval

    def __call__(self, at: Tensor, order: int = 0) -> tuple[Tensor, ...]:
        """Value and derivatives up to `order` at points of shape (points,), each of shape (points, components)."""
        interval, distance = self.nearest(at)
        found = polynomial(self.coefficients.index_select(0, interval).unbind(1), distance[:, None], order)
        return tuple(value / self.step**power for power, value in enumerate(found))


def stencil() -> Array:
    """Coefficients of a polynomial, highest power first, from its values at the points of a window."""
    return np.asarray(np.linalg.inv(np.vander(np.arange(_WINDOW) - 0.5 * (_WINDOW - 1))))


def polynomial(coefficients: Sequence[Tensor] | Tensor, at: Tensor, order: int) -> tuple[Tensor, ...]:
    """Value and derivatives up to the second of polynomials, highest power first, by Horner's scheme."""
    found = [coefficients[0]]  # the value, the slope and half the curvature, as far as they are not zero
    for coefficient in coefficients[1:]:
        above = [coefficient, *found][: order + 1]
        found = [torch.addcmul(low, high, at) for low, high in zip(above, found, strict=False)] + above[len(found) :]
    value, *derivatives = [*found, *[torch.zeros_like(found[0])] * (order + 1 - len(found))]
    return (value, *(power * part for power, part in enumerate(derivatives, 1)))


def dot(first: Tensor, second: Tensor) -> Tensor:
    """Scalar products of two sets of vectors, each of shape (voxels, components)."""
    return (first * second).sum(1)


def tile_size(like: Tensor, on_processor: int = TILE) -> int:
    """How many curves are worked on at once where a tensor lies."""
    return on_processor if like.device.type == "cpu" else _TILE_ON_DEVICE
