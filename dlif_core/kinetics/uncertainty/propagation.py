"""Uncertainty of the input function, carried into every parameter of every model that needs one.

For each common factor of the input function (`InputFactors`) and each curve there is a loading, the derivative of every
parameter by the factor. The factors are independent and of variance one, so

    variance of a parameter = variance of its fit + Σ loading².

The loading of the mean of a region is the mean of the loadings: what the input function does to all voxels alike does
not average out. For compartment models loadings come from the implicit function theorem at the optimum; for all
others, from fits with the input function moved along each factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.kinetics.context import Estimates, Estimator, FitContext
from dlif_core.kinetics.input_model import InputParameter
from dlif_core.kinetics.settings import FitSettings
from dlif_core.kinetics.uncertainty.input_factors import InputFactors, input_factors

if TYPE_CHECKING:
    from dlif_core.kinetics.compartment.sensitivity import Columns, CompartmentSensitivity

Array = NDArray[np.float64]

#: End of the names of variables that have the dimension ``factor``.
_FACTOR_SUFFIX = "_input_factor"

#: How far a factor is moved to both sides for a difference of two fits: far enough that an optimum which jumps, as that
#: of non-negative spectra does, is judged by its change on the whole.
_STEP = 0.5
#: How far a number of the input function is moved for one, as a share of its range.
_INPUT_STEP = 1e-3


class Propagation(Protocol):
    """Fits curves and gives the sensitivity of the estimates to the factors of the input function."""

    def fit(self, activity: NDArray[Any]) -> tuple[Estimates, Array]:
        """Fit finite curves of shape (frames, curves) [Bq/mL].

        Returns
        -------
        Estimates, and their derivatives by the factors, shape (factors, parameters, curves); NaN where an estimate is.
        """


def propagation(context: FitContext, settings: FitSettings, factors: InputFactors) -> Propagation:
    """The way of a model.

    Parameters
    ----------
    context, settings
        What the curves share and how to fit, as for an estimator.
    factors
        Common factors of the context's input function.
    """
    if settings.kinetic_model.has_compartments:
        return CompartmentPropagation(context, settings, factors)
    return RefitPropagation(context, settings, factors)


class RefitPropagation:
    """Differences between fits, for any model.

    Parameters
    ----------
    context, settings, factors
        The same as those of `propagation`.
    """

    def __init__(self, context: FitContext, settings: FitSettings, factors: InputFactors) -> None:
        make = settings.estimator
        self._estimator = make(context)
        self._on_both_sides: list[tuple[Estimator, ...]] = [
            tuple(make(replace(context, input_function=factors.moved(factor, by))) for by in (_STEP, -_STEP))
            for factor in range(len(factors))
        ]

    def fit(self, activity: NDArray[Any]) -> tuple[Estimates, Array]:
        """See `Propagation`."""
        found = self._estimator.fit(activity)
        changes = [above.fit(activity).values - below.fit(activity).values for above, below in self._on_both_sides]
        return found, np.where(np.isnan(found.values), np.nan, np.stack(changes) / (2 * _STEP))


class CompartmentPropagation:
    """Derivatives at the optimum of a compartment model.

    Parameters
    ----------
    context, settings, factors
        The same as those of `propagation`.
    inputs
        Numbers of the input function that were fitted to the curve along with the model, by name; they are not yet in
        the context's. They follow the factors too, unless they rest on a bound.
    """

    def __init__(
        self,
        context: FitContext,
        settings: FitSettings,
        factors: InputFactors,
        inputs: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        from dlif_core.kinetics.compartment.estimator import CompartmentEstimator

        arriving = _Arriving(context, settings, inputs)
        curve = settings.kinetic_model.tissue_input(factors.curve, inputs)
        self._estimator = CompartmentEstimator(replace(context, input_function=curve), settings)
        self._sensitivity = arriving.sensitivity(factors)

    def fit(self, activity: NDArray[Any]) -> tuple[Estimates, Array]:
        """See `Propagation`."""
        optimum = self._estimator.optimum(activity)
        found = self._estimator.estimates(optimum)
        return found, np.where(np.isnan(found.values), np.nan, self._sensitivity(activity, optimum))


@dataclass(frozen=True, eq=False)
class _Arriving:
    """Columns of curves as they arrive at the tissue.

    Attributes
    ----------
    context, settings, inputs
        The same as those of `CompartmentPropagation`.
    """

    context: FitContext
    settings: FitSettings
    inputs: Mapping[str, float]

    def sensitivity(self, factors: InputFactors) -> CompartmentSensitivity:
        """Derivatives by the factors."""
        from dlif_core.kinetics.compartment.sensitivity import CompartmentSensitivity

        return CompartmentSensitivity(
            self._columns(factors.curve, self.inputs),
            [self._columns(factors.alone(factor), self.inputs) for factor in range(len(factors))],
            self.context.weights,
            self.settings,
            [self._slope(factors.curve, parameter) for parameter in self._free()],
            self.context.device,
        )

    def _free(self) -> list[InputParameter]:
        """Numbers of the input function that can change to both sides."""
        parameters = (p for p in self.settings.kinetic_model.all_input_parameters if p.name in self.inputs)
        return [p for p in parameters if min(self.inputs[p.name] - p.lower, p.upper - self.inputs[p.name]) > _step(p)]

    def _columns(self, curve: InputFunction, inputs: Mapping[str, float]) -> Columns:
        from dlif_core.kinetics.compartment.design import FrameColumns
        from dlif_core.kinetics.compartment.sensitivity import Columns

        arriving = self.settings.kinetic_model.tissue_input(curve, inputs)
        return Columns.of(FrameColumns(self.context.timing, arriving), self.settings)

    def _slope(self, curve: InputFunction, parameter: InputParameter) -> Columns:
        """Derivative of the columns by a number of the input function."""
        step, here = _step(parameter), self.inputs[parameter.name]
        above, below = ({**self.inputs, parameter.name: here + change} for change in (step, -step))
        return self._columns(curve, above).less(self._columns(curve, below), 2 * step)


def _step(parameter: InputParameter) -> float:
    return _INPUT_STEP * (parameter.upper - parameter.lower)


def region_loadings(
    context: FitContext,
    settings: FitSettings,
    factors: InputFactors,
    activity: Array,
    inputs: Sequence[Mapping[str, float]],
) -> Array:
    """Loadings of fits to region curves, whoever fitted them.

    Parameters
    ----------
    context, settings
        Context and settings of the fits, from `prepare`.
    factors
        Common factors of the context's input function.
    activity
        Shape (regions, frames) [Bq/mL]; a region that is zero throughout gets NaN.
    inputs
        Numbers of the input function that were fitted to it, by name; what is NaN or not there
        has no effect.

    Returns
    -------
    Shape (factors, parameters, regions).
    """
    found = np.full((len(factors), len(settings.kinetic_model.parameters), len(activity)), np.nan)
    keys = [tuple((name, value) for name, value in numbers.items() if not math.isnan(value)) for numbers in inputs]
    for key in dict.fromkeys(keys):
        some = np.array([other == key for other in keys]) & activity.any(axis=1)
        if some.any():
            found[..., some] = _way(context, settings, factors, dict(key)).fit(activity[some].T)[1]
    return found


def _way(context: FitContext, settings: FitSettings, factors: InputFactors, inputs: Mapping[str, float]) -> Propagation:
    if inputs:
        return CompartmentPropagation(context, settings, factors, inputs)
    return propagation(context, settings, factors)


def region_variables(
    context: FitContext,
    settings: FitSettings,
    activity: Array,
    errors: Array,
    inputs: Sequence[Mapping[str, float]],
) -> dict[str, tuple[tuple[str, ...], Array, dict[str, Any]]]:
    """What the uncertainty of the input function adds to a dataset of regions; empty where it is not known.

    Parameters
    ----------
    context, settings, activity, inputs
        The same as those of `region_loadings`.
    errors
        Standard errors of the fits, shape (parameters, regions).
    """
    factors = input_factors(context)
    if factors is None:
        return {}
    arrays = propagated(settings, errors, region_loadings(context, settings, factors, activity, inputs))
    variables = input_variables(settings, factors)
    return {name: ((*leading_dims(name), "region"), arrays[name], variables[name]) for name in variables}


def leading_dims(variable: str) -> tuple[str, ...]:
    """Dimensions that a variable has before those of its curves: ``factor`` or none."""
    return ("factor",) if variable.endswith(_FACTOR_SUFFIX) else ()


def input_variables(settings: FitSettings, factors: InputFactors) -> dict[str, dict[str, Any]]:
    """Attributes of what the uncertainty of the input function adds to the variables of a fit, in order."""
    variables: dict[str, dict[str, Any]] = {}
    for p in settings.kinetic_model.parameters:
        variables[f"{p.name}_input_se"] = {
            "units": p.units,
            "long_name": f"standard error of {p.name} from the input function",
        }
        variables[f"{p.name}_total_se"] = {
            "units": p.units,
            "long_name": f"standard error of {p.name} from noise and input function",
        }
        variables[f"{p.name}{_FACTOR_SUFFIX}"] = {
            "units": p.units,
            "long_name": f"change of {p.name} with each common factor of the input function",
            "variance_share": factors.share,
        }
    return variables


def propagated(settings: FitSettings, errors: Array, loadings: Array) -> dict[str, Array]:
    """Values of `input_variables`.

    Parameters
    ----------
    settings
        Settings of the fit.
    errors
        Standard errors of the fit, shape (parameters, curves).
    loadings
        Shape (factors, parameters, curves).

    Returns
    -------
    Arrays of shape (curves,), and (factors, curves) for ``<parameter>_input_factor``.
    """
    own = np.sqrt(np.square(loadings).sum(0))
    parts = zip(own, np.hypot(errors, own), loadings.transpose(1, 0, 2), strict=True)
    names = ("input_se", "total_se", "input_factor")
    return {
        f"{parameter.name}_{name}": array
        for parameter, arrays in zip(settings.kinetic_model.parameters, parts, strict=True)
        for name, array in zip(names, arrays, strict=True)
    }
