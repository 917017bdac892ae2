"""Spectral analysis: the impulse response as a non-negative sum of many exponentials of given rates.

Cunningham & Jones, J Cereb Blood Flow Metab 1993;13:15. With a_j ≥ 0 and 0 ≤ vB ≤ 1

    C_PET = Σ_j a_j e^(−θ_j t) ⊗ C_p + vB C_WB,    a_j = (1 − vB) α_j,

by non-negative least squares. Few a_j differ from zero. A rate between two of the grid shows as two neighbours, which
count as one component.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.compartment.design import FrameColumns, ModelSpace
from dlif_core.kinetics.context import Estimates, FitContext, FitStatus
from dlif_core.kinetics.model import RATE_BOUNDS
from dlif_core.kinetics.settings import FitSettings
from dlif_core.kinetics.spectral.nonnegative import NonNegativeSolver, Solution

Array = NDArray[np.float64]

_SECONDS_PER_MINUTE = 60.0
#: Number of rates above zero.
_RATES = 64
#: Tracer that leaves more slowly than in this many times the scan counts as trapped.
_SCANS = 3.0
_ROUNDING = 1e-9


def slowest_rate(timing: FrameTiming) -> float:
    """Rate below which a component counts as trapped: 1 / (3 T) with T the end of the scan [min⁻¹]."""
    return _SECONDS_PER_MINUTE / (_SCANS * float(timing.end[-1]))


def rate_grid(timing: FrameTiming, settings: FitSettings) -> Array:
    """Rates of the components, rising [min⁻¹].

    Without a range in the settings they are zero, which is ∫C_p, and a logarithmic grid from `slowest_rate` to the
    upper bound of rates; else a logarithmic grid over the range.
    """
    if settings.rates is None:
        return np.concatenate([[0.0], np.geomspace(slowest_rate(timing), RATE_BOUNDS[1], _RATES)])
    return np.geomspace(*settings.rate_bounds, _RATES)


def _sums(rates: Array, timing: FrameTiming) -> dict[str, Tensor]:
    """What a coefficient adds to each parameter, for every rate, whole blood and an empty slot."""
    trapped = rates < slowest_rate(timing) * (1 - _ROUNDING)
    volume = np.where(trapped, 0.0, 1 / np.where(trapped, 1.0, rates))
    tissue = {"K1": np.ones_like(rates), "VT": volume, "Ki": trapped.astype(float), "vB": np.zeros_like(rates)}
    return {name: torch.from_numpy(np.concatenate([sums, [name == "vB", 0.0]])) for name, sums in tissue.items()}


class SpectralEstimator:
    """Spectral analysis of many curves.

    Parameters
    ----------
    context, settings
        What the curves share, with an input function that is already delayed, and how to fit.

    Raises
    ------
    ConfigurationError
        If `rates` are to be found.
    """

    def __init__(self, context: FitContext, settings: FitSettings) -> None:
        if settings.rates == "find":
            raise ConfigurationError(
                "spectral analysis has no rates to be found.",
                where="fit setting rates",
                hint="Give a range in min-1, or leave it out.",
            )
        assert context.input_function is not None
        rates, root = rate_grid(context.timing, settings), np.sqrt(context.weights)
        frames = FrameColumns(context.timing, context.input_function)
        self._columns = np.vstack([frames.exponential(rates), frames.whole_blood])
        self._space = ModelSpace(self._columns * root, root, context.device)
        coordinates = torch.as_tensor(self._space.coordinates(self._columns * root), device=context.device)
        self._solver, self._blood = NonNegativeSolver(coordinates), coordinates[-1]
        self._blood_volume, self._frames = settings.blood_volume, int((context.weights > 0).sum())
        self._sums = {name: sums.to(context.device) for name, sums in _sums(rates, context.timing).items()}

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Fit finite curves of shape (frames, curves) [Bq/mL]."""
        curves = self._space.curves(activity)
        solution, vascular = self._solve(curves.inside)
        left = self._solver.left(curves.inside - vascular[:, None] * self._blood, solution)
        outside = curves.square - curves.inside.square().sum(1)
        rss = outside.clamp_min(0.0) + left.square().sum(1)
        values, variances = self._parameters(solution, vascular)
        freedom = self._frames - (solution.support != self._solver.empty).sum(0)
        errors = (variances * torch.where(freedom > 0, rss / freedom, torch.nan)).sqrt()
        status = self._status(solution, values)
        return Estimates(*(part.cpu().numpy() for part in (values, errors, status, rss)))

    def fitted(self, activity: NDArray[Any], _: Estimates) -> Array:
        """The model's curves at the optimum, shape (frames, curves) [Bq/mL]."""
        solution, vascular = self._solve(self._space.curves(activity).inside)
        amounts = np.zeros((self._solver.empty + 1, activity.shape[1]))
        np.put_along_axis(amounts, solution.support.cpu().numpy(), solution.amount.cpu().numpy(), axis=0)
        amounts[-2] += vascular.cpu().numpy()
        return np.asarray(self._columns.T @ amounts[:-1])

    def _solve(self, inside: Tensor) -> tuple[Solution, Tensor]:
        """Columns in use, and the blood volume where it is not among them: fixed, or at its upper bound."""
        vascular = torch.full_like(inside[:, 0], self._blood_volume or 0.0)
        if self._blood_volume is not None:
            return self._without_blood(inside, self._blood_volume), vascular
        solution = self._solver.solve(inside, self._solver.empty)
        overfull = self._total("vB", solution) >= 1
        if overfull.any():
            vascular[overfull] = 1.0
            solution = solution.replaced(overfull, self._without_blood(inside[overfull], 1.0), self._solver.empty)
        return solution, vascular

    def _without_blood(self, inside: Tensor, blood_volume: float) -> Solution:
        return self._solver.solve(inside - blood_volume * self._blood, self._solver.empty - 1)

    def _total(self, name: str, solution: Solution) -> Tensor:
        return (self._sums[name][solution.support] * solution.amount).sum(0)

    def _parameters(self, solution: Solution, vascular: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters and their variances at unit variance of the frames, each of shape (parameters, curves).

        K1, VT and Ki are sums over components divided by 1 − vB.
        """
        names = ("K1", "VT", "Ki")
        blood, vb = self._sums["vB"][solution.support], self._total("vB", solution) + vascular
        tissue = torch.where(vb < 1, 1 - vb, torch.nan)
        values = [self._total(name, solution) / tissue for name in names]
        values[1] = values[1].masked_fill(values[2] > 0, torch.nan)
        functions = [
            (self._sums[name][solution.support] + value * blood) / tissue
            for name, value in zip(names, values, strict=True)
        ]
        variances = torch.stack(self._solver.variances(solution.support, [*functions, blood]))
        number = self._components(solution.support)
        variances = torch.cat([variances, torch.zeros_like(vb)[None]])
        return torch.stack([*values, vb, number]), variances.masked_fill(variances == 0, torch.nan)

    def _components(self, support: Tensor) -> Tensor:
        """Number of components; neighbours on the grid are one."""
        tissue = support < self._solver.empty - 1
        doubled = tissue[1:] & (support[1:] - support[:-1] == 1)
        return (tissue.sum(0) - doubled.sum(0)).double()

    def _status(self, solution: Solution, values: Tensor) -> Tensor:
        blood = self._solver.empty - 1
        fastest = (solution.support == blood - 1).any(0)
        bound = fastest | (values[2] > 0) | (values[0] == 0) | (values[3] == 0) & (self._blood_volume is None)
        status = torch.where(bound, int(FitStatus.AT_BOUND), int(FitStatus.CONVERGED))
        status = status.masked_fill(values[0].isnan(), int(FitStatus.DEGENERATE))
        return status.masked_fill(~solution.converged, int(FitStatus.NOT_CONVERGED)).to(torch.uint8)
