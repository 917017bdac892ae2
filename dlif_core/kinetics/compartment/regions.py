"""Compartment models of region curves: global start from the batched solver, then least squares of everything by lmfit.

Standard errors come from lmfit's covariance, carried to K1, k2 … by the delta method; where lmfit can't estimate it,
they are those of the batched solver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import cast

import numpy as np
import torch

from dlif_core.kinetics.compartment.active_set import unsettled
from dlif_core.kinetics.compartment.covariance import propagate
from dlif_core.kinetics.compartment.estimator import require_enough_frames
from dlif_core.kinetics.compartment.intervals import Intervals, RegionOptimum
from dlif_core.kinetics.compartment.refinement import Refined, Refinement
from dlif_core.kinetics.compartment.solver import CompartmentSolver, Start
from dlif_core.kinetics.context import Array, FitContext, FitStatus
from dlif_core.kinetics.input_model import DELAY, InputParameter
from dlif_core.kinetics.model import CompartmentModel
from dlif_core.kinetics.settings import FitSettings

_ROUNDS = 4
#: Starts by how many input parameters the model has: two and the rates of the tissue make for several minima.
_STARTS = (1, 1, 4)
#: Share of a curve's sum of squares that is rounding.
_EXACT = 1e-10
#: A number this close to its bound, as a share of its range, counts as on it; the optimiser stays just inside.
_RESOLUTION = 2e-4


@dataclass(frozen=True)
class RegionFit:
    """Result for one region.

    Attributes
    ----------
    values, errors
        Shape (parameters,), in the model's order.
    inputs
        Numbers of the input function that were fitted for this region, with their standard errors, by name.
    status
        A `FitStatus`.
    rss
        Weighted residual sum of squares.
    fitted
        Shape (frames,) [Bq/mL].
    intervals
        Profile-likelihood limits by parameter, where they are asked for.
    """

    values: Array
    errors: Array
    inputs: dict[str, tuple[float, float]]
    status: int
    rss: float
    fitted: Array
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


class CompartmentRegions:
    """Compartment fits of the regions of one scan: global start from the batched solver, then lmfit.

    Parameters
    ----------
    context, settings
        What the curves share, and how to fit. With a delay of ``region``, one is fitted for every curve; so are input
        parameters of the model, unless the delay is that of the image, which settles them too.
    """

    def __init__(self, context: FitContext, settings: FitSettings) -> None:
        require_enough_frames(len(context.timing), settings)
        self._context, self._settings = context, settings
        self._refine = Refinement(context, settings)
        self._inputs = self._refine.inputs

    def fit(self, activity: Array) -> Iterator[RegionFit]:
        """Fit curves of shape (regions, frames), none of them zero throughout."""
        for curve, starts in zip(activity, self._start_inputs(activity), strict=True):
            found = [self._refined(curve, inputs) for inputs in starts]
            yield self._with_intervals(curve, *min(found, key=lambda pair: pair[1].rss))

    @property
    def _model(self) -> CompartmentModel:
        return cast("CompartmentModel", self._settings.kinetic_model)

    def _start_inputs(self, activity: Array) -> Array:
        """The best grid points of every curve, shape (regions, starts, inputs): first the delay's, then the others'."""
        found = np.tile([parameter.neutral for parameter in self._inputs], (len(activity), 1, 1))
        own = [parameter for parameter in self._inputs if parameter is not DELAY]
        if len(own) < len(self._inputs):
            found = self._best_of(activity, found[:, 0], {DELAY}, 1)
        return self._best_of(activity, found[:, 0], set(own), _STARTS[len(own)]) if own else found

    def _best_of(self, activity: Array, start: Array, searched: set[InputParameter], keep: int) -> Array:
        """The best points of a grid over some numbers; of the others every curve keeps what it starts from."""
        best = np.empty((len(start), keep, len(self._inputs)))
        for origin in np.unique(start, axis=0):
            members = (start == origin).all(axis=1)
            axes = [p.grid if p in searched else (value,) for p, value in zip(self._inputs, origin, strict=True)]
            trials = np.array(list(product(*axes)))
            rss = [self._rss(activity[members], trial) for trial in trials]
            best[members] = trials[np.argsort(rss, axis=0)[:keep].T]
        return best

    def _rss(self, activity: Array, inputs: Array) -> Array:
        solver = self._solver(inputs)
        return np.asarray(solver.optimum(solver.curves(activity.T)).rss.numpy())

    def _solver(self, inputs: Array) -> CompartmentSolver:
        """The batched solver for numbers of the input function."""
        if not self._inputs:
            return self._only_solver
        return self._solver_of(inputs)

    @cached_property
    def _only_solver(self) -> CompartmentSolver:
        return self._solver_of(np.empty(0))

    def _solver_of(self, inputs: Array) -> CompartmentSolver:
        columns, settings = self._refine.columns(inputs), self._settings
        weights, rates = self._context.weights, settings.rate_bounds
        return CompartmentSolver(columns, self._model, weights, settings.blood_volume, rates=rates)

    def _refined(self, curve: Array, inputs: Array) -> tuple[Start, Refined]:
        """Refine; with an input function of its own, until the batched solver finds no better optimum elsewhere."""
        start = self._solver(inputs).start(curve)
        exact = _EXACT * float(curve @ (self._context.weights * curve))
        refined = self._refine(curve, start.active_set, start.numbers, inputs)
        for _ in range(_ROUNDS if self._inputs else 0):
            again = self._solver(refined.inputs).start(curve)
            if again.rss >= refined.rss * (1 - 1e-6) - exact:
                break
            start = again
            refined = self._refine(curve, start.active_set, start.numbers, refined.inputs)
        return start, refined

    def _with_intervals(self, curve: Array, start: Start, refined: Refined) -> RegionFit:
        fit = self._report(start, refined)
        if not self._settings.intervals or fit.status not in (FitStatus.CONVERGED, FitStatus.AT_BOUND):
            return fit
        values = dict(zip((parameter.name for parameter in self._model.parameters), fit.values.tolist(), strict=True))
        optimum = RegionOptimum(
            start.active_set, values, refined.numbers[: start.active_set.exponentials], refined.inputs
        )
        find = Intervals(self._refine, self._settings, self._context.weights)
        return replace(fit, intervals=find(curve, optimum))

    def _report(self, start: Start, refined: Refined) -> RegionFit:
        free = [torch.tensor([number], dtype=torch.float64) for number in refined.numbers]
        directions = [] if refined.covariance is None else _directions(refined.covariance)
        zero = torch.zeros(1, dtype=torch.float64)
        values, variances = propagate(
            self._model, start.active_set, self._settings.blood_volume, free, directions, zero
        )
        errors = torch.where(variances > 0, variances.sqrt(), torch.nan)[:, 0].numpy() if directions else start.errors
        slowest = self._settings.rate_bounds[0]
        lost = unsettled(self._model, start.active_set, free, zero, slowest)[:, 0].numpy()
        found, errors = (np.where(lost, np.nan, numbers) for numbers in (values[:, 0].numpy(), errors))
        status = self._status(start.status, refined)
        return RegionFit(found, errors, self._input_numbers(refined), status, refined.rss, refined.fitted)

    def _input_numbers(self, refined: Refined) -> dict[str, tuple[float, float]]:
        numbers = np.where(refined.effective, [refined.inputs, refined.input_errors], np.nan).T
        names = [parameter.name for parameter in self._inputs]
        return {name: (float(value), float(error)) for name, (value, error) in zip(names, numbers, strict=True)}

    def _status(self, status: int, refined: Refined) -> int:
        if not refined.converged:
            return int(FitStatus.NOT_CONVERGED)
        if not refined.effective.all():
            return int(FitStatus.DEGENERATE)
        at_bound = any(_at_bound(*pair) for pair in zip(self._inputs, refined.inputs, strict=True))
        return int(FitStatus.AT_BOUND) if status == FitStatus.CONVERGED and at_bound else status


def _directions(covariance: Array) -> list[list[torch.Tensor]]:
    """A covariance as the sum of outer products of its scaled eigenvectors."""
    values, vectors = np.linalg.eigh(covariance)
    return [list(torch.as_tensor(column)[:, None]) for column in (vectors * np.sqrt(np.maximum(values, 0.0))).T]


def _at_bound(parameter: InputParameter, value: float) -> bool:
    span = parameter.upper - parameter.lower
    return bool(min(value - parameter.lower, parameter.upper - value) < _RESOLUTION * span)
