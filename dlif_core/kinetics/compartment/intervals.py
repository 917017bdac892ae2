"""Profile-likelihood intervals of the parameters of one region, by lmfit.

The limits of a parameter are where the residual sum, at its least over everything else, is RSS (1 + F/ν), with F the
95 % point of the F distribution with 1 and ν degrees of freedom (Bates & Watts, Nonlinear Regression Analysis and Its
Applications, Wiley 1988). The fit is made in the rate constants themselves; for Ki, VT and BPND one of those gives way
to the parameter in question.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lmfit
import numpy as np

from dlif_core.kinetics.compartment.active_set import ActiveSet
from dlif_core.kinetics.compartment.refinement import Refinement
from dlif_core.kinetics.compartment.two_tissue import two_tissue_response
from dlif_core.kinetics.context import Array
from dlif_core.kinetics.model import RATE_BOUNDS
from dlif_core.kinetics.settings import FitSettings

_PROBABILITY = 0.95
_HIGHEST = {"K1": math.inf, "k2": RATE_BOUNDS[1], "k3": RATE_BOUNDS[1], "k4": RATE_BOUNDS[1], "vB": 1.0}
#: A rate closer to its bound than this [ln θ] rests on it.
_AT_BOUND = 1e-3
_TOLERANCE = 1e-10

Interval = tuple[float, float]


@dataclass(frozen=True)
class RegionOptimum:
    """Where the least squares of one region lie.

    Attributes
    ----------
    active_set
        The active set of the optimum.
    parameters
        The model's parameters at it, by name; NaN where the curve does not determine one.
    rates
        Logarithms of the exponential rates.
    inputs
        Numbers of the input function, shape (inputs,).
    """

    active_set: ActiveSet
    parameters: Mapping[str, float]
    rates: Array
    inputs: Array


class Intervals:
    """Profile-likelihood intervals for curves of one scan.

    Parameters
    ----------
    refinement
        The refinement of the scan, which has the columns for any input function.
    settings
        Model and options.
    weights
        Frame weights, shape (frames,).
    """

    def __init__(self, refinement: Refinement, settings: FitSettings, weights: Array) -> None:
        self._refinement, self._settings, self._root = refinement, settings, np.sqrt(weights)

    def __call__(self, curve: Array, optimum: RegionOptimum) -> dict[str, Interval]:
        """Limits of every parameter of the model; NaN where the data don't bound it, or it was not fitted.

        Parameters
        ----------
        curve
            Shape (frames,) [Bq/mL].
        optimum
            The optimum of its fit.
        """
        names = [parameter.name for parameter in self._settings.kinetic_model.parameters]
        return {name: self._interval(curve, optimum, name) for name in names}

    def _interval(self, curve: Array, optimum: RegionOptimum, name: str) -> Interval:
        nothing = math.nan, math.nan
        if not math.isfinite(optimum.parameters.get(name, math.nan)):
            return nothing
        parameters = self._parameters(optimum, name)
        if name not in parameters or not parameters[name].vary:
            return nothing

        def residual(trial: lmfit.Parameters) -> Array:
            return ((curve - self._curve(trial, optimum)) * self._root)[self._root > 0]

        minimizer = lmfit.Minimizer(residual, parameters)
        result = minimizer.minimize(method="leastsq", ftol=_TOLERANCE, xtol=_TOLERANCE)
        return _limits(minimizer, result, name)

    def _parameters(self, optimum: RegionOptimum, name: str) -> lmfit.Parameters:
        """The rate constants that are free in the active set, with `name` among the parameters that are fitted."""
        free = _free(optimum, self._settings.rate_bounds)
        parameters = lmfit.Parameters()
        for rate_constant in ("K1", "k2", "k3", "k4", "vB"):
            value = optimum.parameters.get(rate_constant, math.nan)
            value = 0.0 if math.isnan(value) else value
            parameters.add(rate_constant, value, rate_constant in free, min=0.0, max=_HIGHEST[rate_constant])
        for parameter, value in zip(self._refinement.inputs, optimum.inputs, strict=True):
            parameters.add(parameter.name, value, min=parameter.lower, max=parameter.upper)
        replaced, expression = _instead(name, free)
        if replaced in free:
            parameters.add(name, optimum.parameters[name], min=0.0)
            parameters[replaced].set(expr=expression)
        return parameters

    def _curve(self, trial: lmfit.Parameters, optimum: RegionOptimum) -> Array:
        values = trial.valuesdict()
        columns = self._refinement.columns(np.array([values[p.name] for p in self._refinement.inputs]))
        tissue = two_tissue_response(columns, [values["k2"]], [values["k3"]], [values["k4"]])[0]
        return np.asarray((1 - values["vB"]) * values["K1"] * tissue + values["vB"] * columns.whole_blood)


def _instead(name: str, free: set[str]) -> tuple[str, str]:
    """The rate constant that gives way to a parameter that is computed, and how it follows from that."""
    volume = "VT * k2 / (1 + k3 / k4)" if "k4" in free else "VT * k2"
    rules = {"Ki": ("K1", "Ki * (k2 + k3) / k3"), "VT": ("K1", volume), "BPND": ("k3", "BPND * k4")}
    return rules.get(name, ("", ""))


def _free(optimum: RegionOptimum, rates: tuple[float, float]) -> set[str]:
    """Rate constants that are fitted in this active set; a rate on its lower bound holds the slowest of them."""
    active_set, low, high = optimum.active_set, math.log(rates[0]), math.log(rates[1])
    if (optimum.rates > high - _AT_BOUND).any() or active_set.exponentials == 0:
        return set()
    free = {"K1", "k2"}
    if active_set.integral or active_set.exponentials == 2:
        free |= {"k3"}
    if active_set.exponentials == 2:
        free |= {"k4"}
    if (optimum.rates < low + _AT_BOUND).any():
        free.discard("k4" if active_set.exponentials == 2 else "k2")
    return free | ({"vB"} if active_set.blood == "free" else set())


def _limits(minimizer: lmfit.Minimizer, result: Any, name: str) -> Interval:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of limits that are not found: they come back as infinite
            found = lmfit.conf_interval(minimizer, result, p_names=[name], sigmas=[_PROBABILITY])[name]
    except (lmfit.MinimizerException, ValueError):
        return math.nan, math.nan
    lower, upper = (float(value) if math.isfinite(value) else math.nan for _, value in (found[0], found[-1]))
    return lower, upper
