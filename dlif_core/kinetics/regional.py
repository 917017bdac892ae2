"""Fits of region curves: global start from the batched solver, then least squares of everything, delay included.

Standard errors come from lmfit's covariance, carried to K1, k2 … by the delta method; where lmfit can't estimate it,
they are those of the batched solver.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.covariance import propagate
from dlif_core.kinetics.design import FrameColumns
from dlif_core.kinetics.faces import faces_of, unsettled
from dlif_core.kinetics.graphical import GraphicalFit
from dlif_core.kinetics.models import Model
from dlif_core.kinetics.refinement import Refined, Refinement
from dlif_core.kinetics.settings import DELAY_BOUNDS, FitSettings, FitStatus
from dlif_core.kinetics.solver import CompartmentSolver, Start
from dlif_core.kinetics.voxels import fit_variables
from dlif_core.kinetics.weights import frame_weights, mean_curve
from dlif_core.scan import RegionCurves

Array = NDArray[np.float64]

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


def fit_regions(
    regions: RegionCurves,
    timing: FrameTiming,
    input_function: InputFunction,
    settings: FitSettings,
    half_life: float,
) -> xr.Dataset:
    """Fit a model to every region curve.

    Parameters
    ----------
    regions
        Decay-corrected curves.
    timing
        Frames.
    input_function
        As measured at its site; the delay that the settings ask for is applied here.
    settings
        Model and options.
    half_life
        Of the radionuclide [s], for the frame weights.

    Returns
    -------
    Dimensions region and frame. Variables: each parameter and its standard error ``<parameter>_se``, ``status``
    (`FitStatus`), ``rss``, ``aic``, ``aicc``, ``bic`` (NaN for graphical models, whose residuals are of another kind),
    ``delay`` and ``delay_se`` [s], ``measured``, ``fitted`` and ``weight``.

    Raises
    ------
    ConfigurationError
        If the settings can't be used with this frame schedule.
    """
    weights = frame_weights(regions, timing, settings, half_life)
    delay = 0.0
    if settings.delay == "image":
        delay = image_delay(regions, timing, input_function, settings, half_life)
    delayed = input_function.shifted(delay)
    if settings.kinetic_model.graphical:
        fits = list(_fit_graphical(regions.activity, GraphicalFit(timing, delayed, settings, weights)))
    else:
        fits = list(_CompartmentFit(timing, delayed, settings, weights).fit(regions.activity))
    fits = [replace(fit, delay=fit.delay + delay) for fit in fits]
    return _dataset(fits, regions, timing, input_function, settings, weights)


def image_delay(
    regions: RegionCurves,
    timing: FrameTiming,
    input_function: InputFunction,
    settings: FitSettings,
    half_life: float,
) -> float:
    """Delay of the tissue against the input function, fitted on the volume-weighted mean curve of all regions [s].

    For a graphical model the compartment model that belongs to it is fitted (`Model.delay_model`).
    """
    weights = frame_weights(regions, timing, settings, half_life)
    of_region = FitSettings(settings.kinetic_model.delay_model, settings.blood_volume, delay="region")
    fit = next(_CompartmentFit(timing, input_function, of_region, weights).fit(mean_curve(regions)[None]))
    return 0.0 if math.isnan(fit.delay) else fit.delay


def _masked(curve: Array, parameters: int) -> RegionFit:
    nothing = np.full(parameters, np.nan)
    return RegionFit(nothing, nothing, math.nan, math.nan, int(FitStatus.MASKED), math.nan, curve * np.nan)


def _fit_graphical(activity: Array, graphical: GraphicalFit) -> Iterator[RegionFit]:
    line = graphical.fit(activity.T)
    fitted = graphical.fitted(line, activity.T)
    for index, curve in enumerate(activity):
        if not curve.any():
            yield _masked(curve, 2)
            continue
        values = np.array([line.slope[index], line.intercept[index]])
        errors = np.array([line.slope_error[index], line.intercept_error[index]])
        rss, status = float(line.rss[index]), int(line.status[index])
        yield RegionFit(values, errors, 0.0, math.nan, status, rss, fitted[:, index])


class _CompartmentFit:
    """Compartment fits of the regions of one scan."""

    def __init__(
        self, timing: FrameTiming, input_function: InputFunction, settings: FitSettings, weights: Array
    ) -> None:
        self._timing, self._input, self._settings, self._weights = timing, input_function, settings, weights
        self._refine = Refinement(timing, input_function, weights, settings.blood_volume)

    def fit(self, activity: Array) -> Iterator[RegionFit]:
        """Fit curves of shape (regions, frames)."""
        for curve, delay in zip(activity, self._start_delays(activity), strict=True):
            yield self._fit_one(curve, delay) if curve.any() else _masked(curve, len(self._model.parameters))

    @property
    def _model(self) -> Model:
        return self._settings.kinetic_model

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


def _dataset(
    fits: list[RegionFit],
    regions: RegionCurves,
    timing: FrameTiming,
    input_function: InputFunction,
    settings: FitSettings,
    weights: Array,
) -> xr.Dataset:
    delay = {"units": "s", "long_name": "delay of the tissue against the input function"}
    activity = {"units": "Bq/mL", "long_name": "measured activity"}
    variables = _region_variables(fits, len(timing), settings) | {
        "delay": ("region", [fit.delay for fit in fits], delay),
        "delay_se": (
            "region",
            [fit.delay_error for fit in fits],
            delay | {"long_name": "standard error of delay"},
        ),
        "measured": (("region", "frame"), regions.activity, activity),
        "fitted": (("region", "frame"), [fit.fitted for fit in fits], activity | {"long_name": "fitted activity"}),
        "weight": ("frame", weights, {"units": "1", "long_name": "frame weight"}),
    }
    coordinates = {
        "region": ("region", np.array(regions.names, dtype=object), {"long_name": "region", "units": "1"}),
        "frame_start": ("frame", timing.start, {"units": "s", "long_name": "frame start"}),
        "frame_duration": ("frame", timing.duration, {"units": "s", "long_name": "frame duration"}),
    }
    attributes: dict[str, Any] = {
        "model": settings.model,
        "settings": json.dumps(asdict(settings), sort_keys=True),
        "input_function": input_function.method,
    }
    if settings.t_star is not None:
        attributes["t_star"] = settings.t_star
    return xr.Dataset(variables, coords=coordinates, attrs=attributes)


def _region_variables(fits: list[RegionFit], frames: int, settings: FitSettings) -> dict[str, Any]:
    """Parameters, standard errors, status, rss and information criteria."""
    columns = [np.array([fit.values for fit in fits]).T, np.array([fit.errors for fit in fits]).T]
    rss = np.array([fit.rss for fit in fits])
    every = [*columns[0], *columns[1], np.array([fit.status for fit in fits], np.uint8), rss]
    variables = {
        name: ("region", values, attributes)
        for (name, attributes), values in zip(fit_variables(settings).items(), every, strict=True)
    }
    for name, values in information_criteria(rss, frames, settings).items():
        title = {"aic": "Akaike", "aicc": "corrected Akaike", "bic": "Bayesian"}[name]
        variables[name] = ("region", values, {"units": "1", "long_name": f"{title} information criterion"})
    return variables


def information_criteria(rss: Array, frames: int, settings: FitSettings) -> dict[str, Array]:
    """AIC, AICc and BIC of least-squares fits.

    With n frames and p fitted numbers AIC = n ln(rss/n) + 2p, AICc = AIC + 2p(p+1)/(n−p−1) and
    BIC = n ln(rss/n) + p ln n. Fixed numbers don't count; a delay counts where it is fitted for each region, and a
    number counts though it ends on a bound.

    Parameters
    ----------
    rss
        Weighted residual sums of squares, shape (regions,).
    frames
        Number of frames.
    settings
        Of the fit; graphical models give NaN.
    """
    if settings.kinetic_model.graphical:
        return dict.fromkeys(("aic", "aicc", "bic"), np.full_like(rss, np.nan))
    numbers = faces_of(settings.kinetic_model, settings.blood_volume)[-1].size + (settings.delay == "region")
    misfit = frames * np.log(np.maximum(rss, np.finfo(float).tiny) / frames)
    aic = misfit + 2 * numbers
    spare = frames - numbers - 1
    correction = 2 * numbers * (numbers + 1) / spare if spare > 0 else np.nan
    return {"aic": aic, "aicc": aic + correction, "bic": misfit + numbers * np.log(frames)}
