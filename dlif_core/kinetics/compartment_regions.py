"""Compartment models of region curves: global start from the batched solver, then least squares of everything by lmfit.

Standard errors come from lmfit's covariance, carried to K1, k2 … by the delta method; where lmfit can't estimate it,
they are those of the batched solver.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import torch

from dlif_core.kinetics.compartment import require_frames
from dlif_core.kinetics.context import Array, FitContext
from dlif_core.kinetics.covariance import propagate
from dlif_core.kinetics.design import FrameColumns
from dlif_core.kinetics.faces import unsettled
from dlif_core.kinetics.models import CompartmentModel
from dlif_core.kinetics.refinement import Refined, Refinement
from dlif_core.kinetics.settings import DELAY_BOUNDS, FitSettings, FitStatus
from dlif_core.kinetics.solver import CompartmentSolver, Start

#: Spacing of the search for a delay [s].
_DELAY_STEP = 2.0
#: Points of the splines where one is made for every delay; lmfit then works without splines.
_COARSE_POINTS = 129
_ROUNDS = 4
#: A delay this close to a bound counts as on it [s]; the optimiser stays just inside.
_DELAY_RESOLUTION = 0.01


@dataclass(frozen=True)
class RegionFit:
    """Result for one region.

    Attributes
    ----------
    values, errors
        Shape (parameters,), in the model's order.
    delay, delay_error
        Delay of the tissue against the input function and its standard error [s]; the error is NaN where the delay
        was not fitted for this region.
    status
        A `FitStatus`.
    rss
        Weighted residual sum of squares.
    fitted
        Shape (frames,) [Bq/mL].
    """

    values: Array
    errors: Array
    delay: float
    delay_error: float
    status: int
    rss: float
    fitted: Array


class CompartmentRegions:
    """Compartment fits of the regions of one scan: global start from the batched solver, then lmfit.

    Parameters
    ----------
    context, settings
        Of the fit. With a delay of ``region``, one is fitted for every curve.
    """

    def __init__(self, context: FitContext, settings: FitSettings) -> None:
        require_frames(len(context.timing), settings)
        assert context.input_function is not None
        self._timing, self._input, self._weights = context.timing, context.input_function, context.weights
        self._settings = settings
        self._refine = Refinement(self._timing, self._input, self._weights, settings.blood_volume)

    def fit(self, activity: Array) -> Iterator[RegionFit]:
        """Fit curves of shape (regions, frames), none of them zero throughout."""
        for curve, delay in zip(activity, self._start_delays(activity), strict=True):
            yield self._fit_one(curve, delay)

    @property
    def _model(self) -> CompartmentModel:
        return cast("CompartmentModel", self._settings.kinetic_model)

    @property
    def _fits_delay(self) -> bool:
        return self._settings.delay == "region"

    def _start_delays(self, activity: Array) -> Array:
        """The best delay of each curve on a grid, shape (regions,) [s]; zeros where none is fitted."""
        if not self._fits_delay:
            return np.zeros(len(activity))
        grid = np.arange(DELAY_BOUNDS[0], DELAY_BOUNDS[1] + _DELAY_STEP, _DELAY_STEP)
        solvers = (self._solver_at(delay, _COARSE_POINTS) for delay in grid)
        rss = [solver.optimum(solver.curves(activity.T)).rss.numpy() for solver in solvers]
        return np.asarray(grid[np.argmin(rss, axis=0)])

    def _solver_at(self, delay: float, points: int) -> CompartmentSolver:
        columns = FrameColumns(self._timing, self._input.shifted(delay))
        return CompartmentSolver(columns, self._model, self._weights, self._settings.blood_volume, points=points)

    @cached_property
    def _undelayed(self) -> CompartmentSolver:
        return CompartmentSolver(
            FrameColumns(self._timing, self._input), self._model, self._weights, self._settings.blood_volume
        )

    def _start(self, curve: Array, delay: float) -> Start:
        solver = self._solver_at(delay, _COARSE_POINTS) if self._fits_delay else self._undelayed
        return solver.start(curve)

    def _fit_one(self, curve: Array, delay: float) -> RegionFit:
        """Refine; with a delay, until the batched solver finds nothing better at the refined delay (another face)."""
        start = self._start(curve, delay)
        refined = self._refine(curve, start.face, start.numbers, delay, fit_delay=self._fits_delay)
        for _ in range(_ROUNDS if self._fits_delay else 0):
            again = self._start(curve, refined.delay)
            if again.rss >= refined.rss * (1 - 1e-6):
                break
            start = again
            refined = self._refine(curve, start.face, start.numbers, refined.delay, fit_delay=True)
        return self._report(start, refined)

    def _report(self, start: Start, refined: Refined) -> RegionFit:
        free = [torch.tensor([number], dtype=torch.float64) for number in refined.numbers]
        directions = [] if refined.covariance is None else _directions(refined.covariance)
        zero = torch.zeros(1, dtype=torch.float64)
        values, variances = propagate(self._model, start.face, self._settings.blood_volume, free, directions, zero)
        errors = torch.where(variances > 0, variances.sqrt(), torch.nan)[:, 0].numpy() if directions else start.errors
        lost = unsettled(self._model, start.face, free, zero)[:, 0].numpy()
        status = start.status
        if not refined.converged:
            status = int(FitStatus.NOT_CONVERGED)
        elif status == FitStatus.CONVERGED and self._fits_delay and _at_delay_bound(refined.delay):
            status = int(FitStatus.AT_BOUND)
        delay_error = refined.delay_error if self._fits_delay else math.nan
        found, errors = (np.where(lost, np.nan, numbers) for numbers in (values[:, 0].numpy(), errors))
        return RegionFit(found, errors, refined.delay, delay_error, status, refined.rss, refined.fitted)


def _directions(covariance: Array) -> list[list[torch.Tensor]]:
    """A covariance as the sum of outer products of its scaled eigenvectors."""
    values, vectors = np.linalg.eigh(covariance)
    return [list(torch.as_tensor(column)[:, None]) for column in (vectors * np.sqrt(np.maximum(values, 0.0))).T]


def _at_delay_bound(delay: float) -> bool:
    return min(delay - DELAY_BOUNDS[0], DELAY_BOUNDS[1] - delay) < _DELAY_RESOLUTION
