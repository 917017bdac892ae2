"""The batched least-squares fit of a compartment model under bounds.

1. On the interior of the feasible set: grid search, then Newton ascent (`RateAxis`). Where that optimum is feasible it
   is the optimum under the bounds too.
2. Only curves that violate a bound are fitted again, with every active set in turn, starting from its best feasible
   grid point; the one with the smallest residual sum wins. At first without the bound vB ≤ 1: where the optimum keeps
   it all the same, it is the optimum under it too. So are curves that are fitted exactly, because fewer free numbers
   may do the same.

Nothing is done on whole curves but to find their coordinates in the space of the model (`ModelSpace`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlif_core.kinetics.compartment.active_set import ActiveSet, active_sets_of, unsettled
from dlif_core.kinetics.compartment.covariance import propagate
from dlif_core.kinetics.compartment.design import Curves, FrameColumns, ModelSpace, RateAxis
from dlif_core.kinetics.compartment.newton import ascend
from dlif_core.kinetics.compartment.projection import Bounds, Projection
from dlif_core.kinetics.context import FitStatus
from dlif_core.kinetics.model import RATE_BOUNDS, CompartmentModel, Model

Array = NDArray[np.float64]

#: Points of the grid of rates, so many that what is between is interpolated to about 1e-10.
_POINTS = 106
#: Share of the curve's norm below which a coefficient counts as zero, and residuals as rounding.
_NEGLIGIBLE, _ROUNDING = 1e-6, 1e-5


@dataclass(frozen=True)
class ActiveSetOptimum:
    """Where the optimum of each curve lies.

    Attributes
    ----------
    active_set
        Index into `CompartmentSolver.active_sets`, shape (voxels,).
    numbers
        Free numbers of the active set, shape (numbers, voxels); NaN beyond those that it has.
    rss
        Weighted residual sum of squares, shape (voxels,).
    converged
        Shape (voxels,).
    overfull
        Whether vB exceeds 1, shape (voxels,).
    overlap
        See `CostReduction.overlap`, shape (4, voxels); without meaning for fewer than two exponentials.
    """

    active_set: Tensor
    numbers: Tensor
    rss: Tensor
    converged: Tensor
    overfull: Tensor
    overlap: Tensor


@dataclass(frozen=True)
class SolverEstimates:
    """Result of a fit; tensors of shape (voxels,), in the order of the model's parameters."""

    values: tuple[Tensor, ...]
    errors: tuple[Tensor, ...]
    status: Tensor
    rss: Tensor


@dataclass(frozen=True)
class Start:
    """The optimum of one curve, from which another optimiser can start.

    Attributes
    ----------
    active_set
        The active set of the optimum.
    numbers
        Free numbers of the active set, shape (numbers,).
    rss
        Weighted residual sum of squares.
    status
        A `FitStatus`.
    errors
        Standard errors, shape (parameters,).
    """

    active_set: ActiveSet
    numbers: Array
    rss: float
    status: int
    errors: Array


class CompartmentSolver:
    """Fits one compartment model to many curves that share an input function and frame weights.

    Parameters
    ----------
    columns
        Columns of the scan and its input function.
    model
        The model whose parameters are estimated.
    weights
        Frame weights, shape (frames,).
    blood_volume
        vB where it is fixed; None fits it.
    device
        Torch device; all is computed in float64.
    points
        Number of points of the grid of rates, see `RateAxis`.
    rates
        Bounds of every exponential rate [min⁻¹].
    active_sets
        Active sets from which the solver chooses, the interior last; those of a compartment model if not given.
    """

    def __init__(
        self,
        columns: FrameColumns,
        model: Model,
        weights: Array,
        blood_volume: float | None,
        device: str = "cpu",
        points: int = _POINTS,
        rates: tuple[float, float] = RATE_BOUNDS,
        active_sets: tuple[ActiveSet, ...] = (),
    ) -> None:
        self.model, self.blood_volume = model, blood_volume
        self.active_sets = active_sets or active_sets_of(cast("CompartmentModel", model), blood_volume)
        self._frames = int(np.count_nonzero(weights))
        root = np.sqrt(weights)
        self._axis = RateAxis.of(columns.timing, rates, points)
        exponential = columns.exponential(self._axis.rates) * root
        linear = np.array([columns.integral, columns.whole_blood]) * root
        self._space = ModelSpace(np.vstack([exponential, linear]), root, device)
        self._device = device
        self._exponential, self._linear = self._space.coordinates(exponential), self._space.coordinates(linear)
        self._whole_blood = torch.as_tensor(self._linear[1], device=device)
        self._projections: dict[ActiveSet, Projection] = {}

    def _projection(self, active_set: ActiveSet) -> Projection:
        """Made when a curve first needs the active set."""
        if active_set not in self._projections:
            fixed = self._linear[[active_set.integral, active_set.reference or active_set.blood == "free"]]
            self._projections[active_set] = Projection(
                self._axis, self._columns_of_rates(active_set), fixed, active_set, self._device
            )
        return self._projections[active_set]

    def _columns_of_rates(self, active_set: ActiveSet) -> Array:
        """Coordinates of the columns that depend on a rate, at the grid, shape (points, directions)."""
        if active_set.k2_prime is None:
            return self._exponential
        return np.asarray(self._linear[1] + (active_set.k2_prime - self._axis.rates[:, None]) * self._exponential)

    def curves(self, activity: NDArray[Any]) -> Curves:
        """What `optimum` needs of measured curves of shape (frames, voxels) [Bq/mL]."""
        return self._space.curves(activity)

    def fit(self, activity: NDArray[Any]) -> SolverEstimates:
        """Fit finite curves of shape (frames, voxels) [Bq/mL]."""
        return self.estimates(self.optimum(self.curves(activity)))

    def start(self, curve: Array) -> Start:
        """Fit one curve of shape (frames,) [Bq/mL] for another optimiser."""
        optimum = self.optimum(self.curves(curve[:, None]))
        estimates = self.estimates(optimum)
        active_set = self.active_sets[int(optimum.active_set[0])]
        numbers = optimum.numbers[: active_set.size, 0].cpu().numpy()
        errors = torch.stack(estimates.errors)[:, 0].numpy()
        return Start(active_set, numbers, float(optimum.rss[0]), int(estimates.status[0]), errors)

    def optimum(self, curves: Curves) -> ActiveSetOptimum:
        """The optimum of each curve."""
        interior = len(self.active_sets) - 1
        found, positive = self._on_active_set(interior, curves, "none")
        exact = found.rss <= _ROUNDING**2 * curves.square  # then fewer free numbers may be enough
        _replace(found, ~positive | exact, lambda some: self._on_any_active_set(curves[some], "lower"))
        _replace(found, found.overfull, lambda some: self._on_any_active_set(curves[some], "all"))
        return found

    def _on_any_active_set(self, curves: Curves, bounds: Bounds) -> ActiveSetOptimum:
        """The best of all active sets; one with more free numbers must be better beyond rounding."""
        best, _ = self._on_active_set(0, curves, bounds)
        for index, active_set in enumerate(self.active_sets[1:], 1):
            if active_set.blood == "all" and bounds == "lower":
                continue
            found, feasible = self._on_active_set(index, curves, bounds)
            worth = found.rss < best.rss * (1 - 1e-9) - _ROUNDING**2 * curves.square
            better = feasible & worth
            chosen = [
                torch.where(better, new, old)
                for new, old in zip(vars(found).values(), vars(best).values(), strict=True)
            ]
            best = ActiveSetOptimum(*chosen)
        return best

    def _on_active_set(self, index: int, curves: Curves, bounds: Bounds) -> tuple[ActiveSetOptimum, Tensor]:
        """The optimum on one active set, and whether it is feasible."""
        active_set, count = self.active_sets[index], len(curves)
        projection, tissue = self._projection(active_set), self._tissue(active_set, curves)
        positions = amplitudes = curves.inside.new_empty((0, count))
        overlap = curves.inside.new_zeros((4, count))
        converged = exists = torch.ones_like(curves.square, dtype=torch.bool)
        rss = projection.remainder(tissue)
        if active_set.exponentials:
            start, exists = projection.search(tissue.inside, bounds)
            top = ascend(projection, start, tissue.inside)
            positions, amplitudes, converged = top.positions, top.reduction.amplitudes, top.converged
            rss = rss - top.reduction.value
            overlap[: len(top.reduction.overlap)] = top.reduction.overlap
        found = projection.regress(positions, amplitudes, tissue)
        overfull = found.levels[-1] >= 1 if active_set.blood == "free" else torch.zeros_like(converged)
        positive = (found.smallest > _NEGLIGIBLE * tissue.square.sqrt()) & ~projection.too_close(positions)
        numbers = curves.inside.new_full((self.active_sets[-1].size, count), torch.nan)
        numbers[: active_set.size] = torch.cat([self._axis.log_rate(positions), found.gains, found.levels])
        active_sets = torch.full((count,), index, device=numbers.device)
        optimum = ActiveSetOptimum(active_sets, numbers, rss.clamp_min(0.0), converged, overfull, overlap)
        return optimum, positive & exists & ~(overfull & (bounds == "all"))

    def _tissue(self, active_set: ActiveSet, curves: Curves) -> Curves:
        """Curves less the share of blood that is known beforehand."""
        vascular = active_set.vascular(self.blood_volume)
        return curves.less(vascular * self._whole_blood) if vascular else curves

    def estimates(self, optimum: ActiveSetOptimum) -> SolverEstimates:
        """Parameters, standard errors and status at the optimum."""
        count, voxels = len(self.model.parameters), len(optimum.rss)
        values, errors = (optimum.rss.new_full((count, voxels), torch.nan) for _ in range(2))
        status = torch.full_like(optimum.active_set, int(FitStatus.CONVERGED), dtype=torch.uint8)
        for index, active_set in enumerate(self.active_sets):
            members = (optimum.active_set == index).nonzero()[:, 0]
            if len(members):
                here = self._estimates_on(active_set, *(field[..., members] for field in vars(optimum).values()))
                values[:, members], errors[:, members], status[members] = here
        return SolverEstimates(tuple(values.cpu()), tuple(errors.cpu()), status.cpu(), optimum.rss.cpu())

    def _estimates_on(
        self,
        active_set: ActiveSet,
        _: Tensor,
        numbers: Tensor,
        rss: Tensor,
        converged: Tensor,
        __: Tensor,
        overlap: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        free = list(numbers[: active_set.size])
        rates, gains = (
            numbers[: active_set.exponentials],
            numbers[active_set.exponentials : 2 * active_set.exponentials],
        )
        low, high = np.log(self._axis.bounds)
        at_bound = (rates <= low) | (rates >= high)
        directions, singular = self._projection(active_set).directions(
            rates, gains, overlap[: 4 * (active_set.exponentials > 1)], at_bound
        )
        freedom = self._frames - active_set.size + at_bound.sum(0)
        deviation = torch.where(singular | (freedom < 1), torch.nan, rss / freedom.clamp_min(1)).sqrt()
        values, variances = propagate(
            self.model, active_set, self.blood_volume, free, directions, torch.zeros_like(rss)
        )
        errors = deviation * torch.where(variances > 0, variances.sqrt(), torch.nan)
        bound = at_bound.any(0) if active_set is self.active_sets[-1] else torch.ones_like(converged)
        status = torch.where(bound, int(FitStatus.AT_BOUND), int(FitStatus.CONVERGED))
        status = status.masked_fill(values.isnan().any(0) | singular, int(FitStatus.DEGENERATE))
        status = status.masked_fill(~converged, int(FitStatus.NOT_CONVERGED)).to(torch.uint8)
        lost = unsettled(self.model, active_set, free, rss, self._axis.bounds[0])
        return *_without(lost, values, errors), status


def _without(lost: Tensor, values: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    return values.masked_fill(lost, torch.nan), errors.masked_fill(lost, torch.nan)


def _replace(found: ActiveSetOptimum, where: Tensor, fit: Callable[[Tensor], ActiveSetOptimum]) -> None:
    """Put the results of another fit in place of some."""
    some = where.nonzero()[:, 0]
    if len(some):
        for target, source in zip(vars(found).values(), vars(fit(some)).values(), strict=True):
            target[..., some] = source
