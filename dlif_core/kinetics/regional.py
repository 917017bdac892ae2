"""Fits of region curves by any model, as a dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from dlif_core.curve import InputFunction
from dlif_core.finite import to_json
from dlif_core.kinetics.compartment.regions import CompartmentRegions, RegionFit
from dlif_core.kinetics.context import Array, Estimator, FitStatus
from dlif_core.kinetics.plausible import marked
from dlif_core.kinetics.preparation import Preparation, prepare
from dlif_core.kinetics.selection import fitted_numbers, information_criteria
from dlif_core.kinetics.settings import FitSettings
from dlif_core.kinetics.uncertainty.propagation import region_variables
from dlif_core.kinetics.voxels import fit_variables
from dlif_core.scan import DynamicScan, RegionCurves


def fit_regions(scan: DynamicScan, curve: InputFunction | None, settings: FitSettings) -> xr.Dataset:
    """Fit a model to every region curve.

    Parameters
    ----------
    scan
        The scan, with decay-corrected region curves; its image is not read.
    curve
        The input function as measured at its site; delay and other input parameters are applied here. None for models
        that need none.
    settings
        Model and options.

    Returns
    -------
    Dimensions region and frame. Variables: each parameter and its standard error ``<parameter>_se``, ``status``
    (`FitStatus`), ``rss``, ``aic``, ``aicc``, ``bic`` (NaN for graphical models, whose residuals are of another kind),
    ``<parameter>_lower`` and ``<parameter>_upper`` where intervals are asked for (NaN where the data don't bound one),
    ``delay`` and ``delay_se`` [s] and the same for the model's own input parameters, ``measured``, ``fitted`` and
    ``weight``. Where the input function has samples also ``<parameter>_input_se``, ``<parameter>_total_se``
    and ``<parameter>_input_factor`` with the dimension factor, see `dlif_core.kinetics.uncertainty.propagation`.

    Raises
    ------
    FrameTimingError
        If the settings can't be used with this frame schedule.
    """
    prepared = prepare(scan, curve, settings, regional=True)
    return _dataset(list(_fit(scan.regions.activity, prepared)), scan.regions, prepared)


def _fit(activity: Array, prepared: Preparation) -> Iterator[RegionFit]:
    """Fit curves of shape (regions, frames)."""
    sound = np.asarray(activity.any(axis=1))
    settings = prepared.settings
    if not sound.any():
        fits: Iterator[RegionFit] = iter(())
    elif settings.kinetic_model.has_compartments:
        fits = CompartmentRegions(prepared.context, settings).fit(activity[sound])
    else:
        fits = _fit_batched(activity[sound], settings.estimator(prepared.context))
    for curve, present in zip(activity, sound, strict=True):
        yield next(fits) if present else _masked(curve, settings)


def _masked(curve: Array, settings: FitSettings) -> RegionFit:
    model = settings.kinetic_model
    nothing = np.full(len(model.parameters), np.nan)
    inputs = dict.fromkeys((p.name for p in model.all_input_parameters), (math.nan, math.nan))
    return RegionFit(nothing, nothing, inputs, int(FitStatus.MASKED), math.nan, curve * np.nan)


def _fit_batched(activity: Array, estimator: Estimator) -> Iterator[RegionFit]:
    found = estimator.fit(activity.T)
    parts = (found.values.T, found.errors.T, found.status.tolist(), found.rss.tolist())
    fitted = estimator.fitted(activity.T, found).T
    for values, errors, status, rss, curve in zip(*parts, fitted, strict=True):
        yield RegionFit(values, errors, {}, status, rss, curve)


def _dataset(fits: list[RegionFit], regions: RegionCurves, prepared: Preparation) -> xr.Dataset:
    context, settings = prepared.context, prepared.settings
    activity = {"units": "Bq/mL", "long_name": "measured activity"}
    frames = int(np.count_nonzero(context.weights))
    variables = _region_variables(fits, frames, prepared) | _input_variables(fits, prepared)
    variables |= _interval_variables(fits, settings) if settings.intervals else {}
    errors = np.array([fit.errors for fit in fits]).T
    inputs = [{name: value for name, (value, _) in fit.inputs.items()} for fit in fits]
    variables |= region_variables(context, settings, regions.activity, errors, inputs)
    variables |= {
        "measured": (("region", "frame"), regions.activity, activity),
        "fitted": (("region", "frame"), [fit.fitted for fit in fits], activity | {"long_name": "fitted activity"}),
        "weight": ("frame", context.weights, {"units": "1", "long_name": "frame weight"}),
    }
    coordinates = {
        "region": ("region", np.array(regions.names, dtype=object), {"long_name": "region", "units": "1"}),
        "frame_start": ("frame", context.timing.start, {"units": "s", "long_name": "frame start"}),
        "frame_duration": ("frame", context.timing.duration, {"units": "s", "long_name": "frame duration"}),
    }
    return xr.Dataset(variables, coords=coordinates, attrs=fit_attributes(prepared))


def _interval_variables(fits: list[RegionFit], settings: FitSettings) -> dict[str, Any]:
    """95 % profile-likelihood limits of the parameters."""
    variables: dict[str, Any] = {}
    for parameter in settings.kinetic_model.parameters:
        limits = [fit.intervals.get(parameter.name, (math.nan, math.nan)) for fit in fits]
        for side, values in zip(("lower", "upper"), np.array(limits, float).reshape(-1, 2).T, strict=True):
            title = f"{side} limit of the 95 % profile-likelihood interval of {parameter.name}"
            attributes = {"units": parameter.units, "long_name": title}
            variables[f"{parameter.name}_{side}"] = ("region", values, attributes)
    return variables


def fit_attributes(prepared: Preparation) -> dict[str, Any]:
    """What data sets of regions and maps say of the fit that made them."""
    settings, curve = prepared.settings, prepared.context.input_function
    attributes: dict[str, Any] = {
        "model": settings.model,
        "settings": to_json(prepared.asked.as_record(), where=settings.model, sort_keys=True),
        "found": to_json(dict(prepared.found), where=settings.model, sort_keys=True),
        "input_function": "" if curve is None else curve.method,
    }
    if settings.t_star is not None:
        attributes["t_star"] = settings.t_star
    return attributes


def _region_variables(fits: list[RegionFit], frames: int, prepared: Preparation) -> dict[str, Any]:
    """Parameters, standard errors, status, rss and information criteria."""
    settings = prepared.settings
    values, errors = np.array([fit.values for fit in fits]).T, np.array([fit.errors for fit in fits]).T
    rss = np.array([fit.rss for fit in fits])
    by_name = {p.name: column for p, column in zip(settings.kinetic_model.parameters, values, strict=True)}
    status = marked(np.array([fit.status for fit in fits], np.uint8), by_name, prepared.limits)
    every = [*values, *errors, status, rss]
    variables = {
        name: ("region", values, attributes)
        for (name, attributes), values in zip(fit_variables(settings).items(), every, strict=True)
    }
    for name, values in information_criteria(rss, frames, fitted_numbers(settings)).items():
        title = {"aic": "Akaike", "aicc": "corrected Akaike", "bic": "Bayesian"}[name]
        variables[name] = ("region", values, {"units": "1", "long_name": f"{title} information criterion"})
    return variables


def _input_variables(fits: list[RegionFit], prepared: Preparation) -> dict[str, Any]:
    """Numbers of the input function and their standard errors; those of the whole image have none."""
    variables: dict[str, Any] = {}
    for parameter in prepared.settings.kinetic_model.all_input_parameters:
        common = prepared.found.get(parameter.name, parameter.neutral), math.nan
        numbers = np.array([fit.inputs.get(parameter.name, common) for fit in fits], float).reshape(-1, 2)
        of_error = {"units": parameter.units, "long_name": f"standard error of {parameter.name} from noise"}
        variables[parameter.name] = (
            "region",
            numbers[:, 0],
            {"units": parameter.units, "long_name": parameter.long_name},
        )
        variables[f"{parameter.name}_se"] = ("region", numbers[:, 1], of_error)
    return variables
