"""Least squares of one region by lmfit, with a given active set and exact convolution.

lmfit works on the same free numbers as the batched solver (logarithms of the exponential rates and non-negative
coefficients), so the feasible set and hence the optimum are those of the voxelwise fit. A rate on its bound is held.
Numbers of the input function are fitted along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import lmfit
import numpy as np
from numpy.typing import NDArray

from dlif_core.kinetics.compartment.active_set import ActiveSet
from dlif_core.kinetics.compartment.design import FrameColumns
from dlif_core.kinetics.compartment.estimator import model_curve
from dlif_core.kinetics.context import FitContext
from dlif_core.kinetics.settings import FitSettings

Array = NDArray[np.float64]

_TOLERANCE = 1e-10
#: Share of the curve by which a number of the input function must be able to change it, to be determined.
_WITHOUT_EFFECT = 1e-3


@dataclass(frozen=True)
class Refined:
    """Optimum of one region.

    Attributes
    ----------
    numbers
        Free numbers of the active set, shape (numbers,).
    inputs, input_errors
        Numbers of the input function and their standard errors, shape (inputs,).
    effective
        Whether each of those has an effect on the curve, shape (inputs,).
    covariance
        Covariance of the free numbers, shape (numbers, numbers), zero for those held; None where lmfit has none.
    rss
        Weighted residual sum of squares [(Bq/mL)²].
    fitted
        Shape (frames,) [Bq/mL].
    converged
        Whether the optimiser has converged.
    """

    numbers: Array
    inputs: Array
    input_errors: Array
    effective: NDArray[np.bool_]
    covariance: Array | None
    rss: float
    fitted: Array
    converged: bool


class Refinement:
    """Least squares of curves that share frames, input function and weights.

    Parameters
    ----------
    context
        What the curves of the scan share.
    settings
        Model and options.

    Attributes
    ----------
    inputs
        The numbers of the input function that are fitted.
    """

    def __init__(self, context: FitContext, settings: FitSettings) -> None:
        assert context.input_function is not None
        self.inputs = settings.fitted_inputs
        self._timing, self._settings = context.timing, settings
        self._measured = replace(context.input_function, lower=None, upper=None, samples=None)
        self._root = np.sqrt(context.weights)
        self._log_bounds = math.log(settings.rate_bounds[0]), math.log(settings.rate_bounds[1])
        self._columns: tuple[Array, FrameColumns] | None = None

    def __call__(self, curve: Array, active_set: ActiveSet, numbers: Array, inputs: Array) -> Refined:
        """Refine one curve.

        Parameters
        ----------
        curve
            Shape (frames,) [Bq/mL].
        active_set
            The active set in which the optimum is sought.
        numbers
            Start values of the free numbers, shape (numbers,).
        inputs
            Start values of the numbers of the input function, shape (inputs,).
        """
        parameters = self._parameters(active_set, numbers, inputs)
        used = self._root > 0  # frames without weight don't count

        def residual(trial: lmfit.Parameters) -> Array:
            return ((curve - self.curve(active_set, *_split(trial, active_set))) * self._root)[used]

        if not any(parameter.vary for parameter in parameters.values()):
            left = residual(parameters)
            every = np.ones(len(inputs), bool)
            return self._report(active_set, parameters, None, every, float(left @ left), converged=True)
        options = {"ftol": _TOLERANCE, "xtol": _TOLERANCE, "gtol": _TOLERANCE, "x_scale": "jac"}
        result = lmfit.minimize(residual, parameters, method="least_squares", **options)
        effective = self._effective(result, float(np.linalg.norm(curve * self._root)))
        rss = float(result.chisqr)
        return self._report(active_set, result.params, _covariance(result), effective, rss, converged=result.success)

    def curve(self, active_set: ActiveSet, numbers: Array, inputs: Array) -> Array:
        """The model curve, shape (frames,) [Bq/mL]."""
        return model_curve(self.columns(inputs), active_set, numbers, self._settings.blood_volume)

    def columns(self, inputs: Array) -> FrameColumns:
        """The columns that the model is a sum of, for numbers of the input function of shape (inputs,)."""
        if self._columns is None or not np.array_equal(self._columns[0], inputs):
            values = {parameter.name: float(value) for parameter, value in zip(self.inputs, inputs, strict=True)}
            curve = self._settings.kinetic_model.tissue_input(self._measured, values)
            self._columns = np.array(inputs), FrameColumns(self._timing, curve)
        return self._columns[1]

    def _parameters(self, active_set: ActiveSet, numbers: Array, inputs: Array) -> lmfit.Parameters:
        parameters = lmfit.Parameters()
        for index, number in enumerate(numbers):
            low, high = self._log_bounds if index < active_set.exponentials else (0.0, math.inf)
            high = 1.0 if active_set.blood == "free" and index == active_set.size - 1 else high
            parameters.add(f"n{index}", float(number), vary=bool(low < number < high), min=low, max=high)
        for parameter, value in zip(self.inputs, inputs, strict=True):
            parameters.add(parameter.name, float(value), min=parameter.lower, max=parameter.upper)
        return parameters

    def _effective(self, result: Any, size: float) -> NDArray[np.bool_]:
        """Whether a step over its whole range would change the curve by a share that counts."""
        if not hasattr(result, "jac"):  # given up
            return np.ones(len(self.inputs), bool)
        lengths = dict(zip(result.var_names, np.linalg.norm(result.jac, axis=0), strict=True))
        changes = [lengths[parameter.name] * (parameter.upper - parameter.lower) for parameter in self.inputs]
        return np.array(changes) > _WITHOUT_EFFECT * size

    def _report(
        self,
        active_set: ActiveSet,
        parameters: lmfit.Parameters,
        covariance: Array | None,
        effective: NDArray[np.bool_],
        rss: float,
        *,
        converged: bool,
    ) -> Refined:
        numbers, inputs = _split(parameters, active_set)
        errors, inner = np.full(len(inputs), np.nan), None
        if covariance is not None:
            variances, inner = np.diag(covariance)[active_set.size :], covariance[: active_set.size, : active_set.size]
            errors = np.sqrt(np.where(variances > 0, variances, np.nan))
        fitted = self.curve(active_set, numbers, inputs)
        return Refined(numbers, inputs, errors, effective, inner, rss, fitted, converged)


def _split(parameters: lmfit.Parameters, active_set: ActiveSet) -> tuple[Array, Array]:
    """The free numbers of the active set, and those of the input function."""
    values = np.array([parameter.value for parameter in parameters.values()], float)
    return values[: active_set.size], values[active_set.size :]


def _covariance(result: Any) -> Array | None:
    """Covariance of all parameters, zero for those held; None where lmfit has none that is sound."""
    covariance = getattr(result, "covar", None)
    if covariance is None or not np.isfinite(covariance).all() or (np.diag(covariance) < 0).any():
        return None
    position = [list(result.params).index(name) for name in result.var_names]
    full = np.zeros((len(result.params), len(result.params)))
    full[np.ix_(position, position)] = covariance
    return full
