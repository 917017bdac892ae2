"""Least squares of one region by lmfit, on a face of the feasible set and with exact convolution.

lmfit works on the same free numbers as the batched solver (logarithms of the exponential rates and non-negative
coefficients), so the feasible set and hence the optimum are those of the voxelwise fit. A rate on its bound is held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import lmfit
import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.compartment import model_curve
from dlif_core.kinetics.design import FrameColumns
from dlif_core.kinetics.faces import Face
from dlif_core.kinetics.models import RATE_BOUNDS
from dlif_core.kinetics.settings import DELAY_BOUNDS

Array = NDArray[np.float64]

_TOLERANCE = 1e-10
_LOG_BOUNDS = (math.log(RATE_BOUNDS[0]), math.log(RATE_BOUNDS[1]))


@dataclass(frozen=True)
class Refined:
    """Optimum of one region.

    Attributes
    ----------
    numbers
        Free numbers of the face, shape (numbers,).
    delay, delay_error
        [s]; the error is NaN where the delay is not fitted.
    covariance
        Of the free numbers, shape (numbers, numbers), zero for those held; None where lmfit can't estimate it.
    rss
        Weighted residual sum of squares [(Bq/mL)²].
    fitted
        Shape (frames,) [Bq/mL].
    converged
        Whether the optimiser has converged.
    """

    numbers: Array
    delay: float
    delay_error: float
    covariance: Array | None
    rss: float
    fitted: Array
    converged: bool


class Refinement:
    """Least squares of curves that share frames, input function and weights.

    Parameters
    ----------
    timing, input_function
        Of the scan.
    weights
        Shape (frames,).
    blood_volume
        None where vB is fitted.
    """

    def __init__(
        self, timing: FrameTiming, input_function: InputFunction, weights: Array, blood_volume: float | None
    ) -> None:
        self._timing, self._input, self._blood_volume = timing, input_function, blood_volume
        self._root = np.sqrt(weights)
        self._columns = 0.0, FrameColumns(timing, input_function)

    def __call__(self, curve: Array, face: Face, numbers: Array, delay: float, *, fit_delay: bool) -> Refined:
        """Refine one curve.

        Parameters
        ----------
        curve
            Shape (frames,) [Bq/mL].
        face
            Where the optimum is sought.
        numbers
            Start values of the free numbers, shape (numbers,).
        delay
            Start value, or the delay where it is not fitted [s].
        fit_delay
            Whether the delay is fitted.
        """
        parameters = self._parameters(face, numbers, delay, fit_delay)

        def residual(trial: lmfit.Parameters) -> Array:
            return (curve - self.curve(face, *_split(trial))) * self._root

        if not any(parameter.vary for parameter in parameters.values()):
            left = residual(parameters)
            return self._report(face, parameters, None, float(left @ left), converged=True)
        options = {"ftol": _TOLERANCE, "xtol": _TOLERANCE, "gtol": _TOLERANCE, "x_scale": "jac"}
        result = lmfit.minimize(residual, parameters, method="least_squares", **options)
        return self._report(face, result.params, _covariance(result), float(result.chisqr), converged=result.success)

    def curve(self, face: Face, numbers: Array, delay: float) -> Array:
        """The model curve, shape (frames,) [Bq/mL]."""
        return model_curve(self._columns_at(delay), face, numbers, self._blood_volume)

    def _columns_at(self, delay: float) -> FrameColumns:
        if self._columns[0] != delay:
            self._columns = delay, FrameColumns(self._timing, self._input.shifted(delay))
        return self._columns[1]

    def _parameters(self, face: Face, numbers: Array, delay: float, fit_delay: bool) -> lmfit.Parameters:
        parameters = lmfit.Parameters()
        for index, number in enumerate(numbers):
            low, high = _LOG_BOUNDS if index < face.exponentials else (0.0, math.inf)
            high = 1.0 if face.blood == "free" and index == face.size - 1 else high
            parameters.add(f"n{index}", float(number), vary=bool(low < number < high), min=low, max=high)
        parameters.add("delay", delay, vary=fit_delay, min=DELAY_BOUNDS[0], max=DELAY_BOUNDS[1])
        return parameters

    def _report(
        self, face: Face, parameters: lmfit.Parameters, covariance: Array | None, rss: float, *, converged: bool
    ) -> Refined:
        numbers, delay = _split(parameters)
        error = math.nan if covariance is None else math.sqrt(covariance[-1, -1]) or math.nan
        inner = None if covariance is None else covariance[:-1, :-1]
        return Refined(numbers, delay, error, inner, rss, self.curve(face, numbers, delay), converged)


def _split(parameters: lmfit.Parameters) -> tuple[Array, float]:
    *numbers, delay = (parameter.value for parameter in parameters.values())
    return np.array(numbers, float), float(delay)


def _covariance(result: Any) -> Array | None:
    """Covariance of all parameters, zero for those held; None where lmfit has none that is sound."""
    covariance = getattr(result, "covar", None)
    if covariance is None or not np.isfinite(covariance).all() or (np.diag(covariance) < 0).any():
        return None
    place = [list(result.params).index(name) for name in result.var_names]
    full = np.zeros((len(result.params), len(result.params)))
    full[np.ix_(place, place)] = covariance
    return full
