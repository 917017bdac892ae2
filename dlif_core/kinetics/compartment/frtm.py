"""Full reference tissue model: two tissue compartments in the target, one in the reference, and the same K1/k2 in both.

For a reference C_R with one compartment, C_T = R1 [C_R + a₁ e^(−θ₁t) ⊗ C_R + a₂ e^(−θ₂t) ⊗ C_R] where θ₁ and θ₂ are the
rates of k2, k3, k4 and k2′ = k2/R1 (Lammertsma et al., J Cereb Blood Flow Metab 1996;16:42).
"""

from __future__ import annotations

from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import FrameTimingError
from dlif_core.kinetics.compartment.bounded import BoundedOptimum, best_fit, derivatives
from dlif_core.kinetics.compartment.design import FrameColumns
from dlif_core.kinetics.compartment.reference_tissue import reference_curve
from dlif_core.kinetics.compartment.two_tissue import two_tissue_rates
from dlif_core.kinetics.context import Array, Estimates, FitContext, FitStatus
from dlif_core.kinetics.model import RATE_BOUNDS
from dlif_core.kinetics.settings import FitSettings

#: Bounds of ln R1, ln k2, k3 and ln k4.
_LOW = np.array([np.log(0.02), np.log(RATE_BOUNDS[0]), 0.0, np.log(RATE_BOUNDS[0])])
_HIGH = np.array([np.log(50.0), *np.log([RATE_BOUNDS[1]]), RATE_BOUNDS[1], np.log(RATE_BOUNDS[1])])
_R1, _K2, _K3, _K4 = (
    np.geomspace(0.4, 2.5, 7),
    np.geomspace(0.01, 2.0, 9),
    (0.0, *np.geomspace(0.005, 1.0, 7)),
    np.geomspace(0.004, 0.6, 7),
)
_GRID = np.array(list(product(_R1, _K2, _K3, _K4)))
#: Best grid points of every curve at which a fit starts.
_STARTS = 6


class FRTMFit:
    """Fits curves one by one; for regions.

    Parameters
    ----------
    context, settings
        What the curves share, with the curve of the reference region, and how to fit.

    Raises
    ------
    FrameTimingError
        If there are not more frames than free numbers.
    """

    def __init__(self, context: FitContext, settings: FitSettings) -> None:
        assert context.reference is not None
        reference = reference_curve(context.timing, context.reference)
        self._columns = FrameColumns(context.timing, reference)
        self._root = np.sqrt(context.weights)
        self._freedom = int(np.count_nonzero(context.weights)) - len(_LOW)
        if self._freedom < 1:
            raise FrameTimingError(
                f"{len(self._root)} frames can't determine {len(_LOW)} numbers.",
                where=f"model {settings.model}",
                hint="Use a simpler model.",
            )

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Fit finite curves of shape (frames, curves) [Bq/mL]."""
        found = [self._fit_one(curve) for curve in np.asarray(activity, float).T * self._root]
        parts = [self._estimate(optimum) for optimum in found]
        values, errors = (np.array([part[i] for part in parts]).T for i in (0, 1))
        status = np.array([self._status(optimum) for optimum in found], np.uint8)
        return Estimates(values, errors, status, np.array([optimum.rss for optimum in found]))

    def fitted(self, _: NDArray[Any], estimates: Estimates) -> Array:
        """The model's curves, shape (frames, curves) [Bq/mL]."""
        constants = np.where(np.isnan(estimates.values[:4]), RATE_BOUNDS[0], estimates.values[:4])
        return np.asarray(self._curves(constants).T)

    def _curves(self, constants: Array) -> Array:
        """Curves of R1, k2, k3 and k4, each of shape (curves,); shape (curves, frames) [Bq/mL]."""
        ratio, k2, k3, k4 = constants
        slow, fast = two_tissue_rates(k2, k3, k4)
        responses = self._columns.exponential(np.concatenate([slow, fast])).reshape(2, len(slow), -1)
        apart = np.maximum(fast - slow, 1e-12)
        inner, own = k3 + k4, k2 / ratio
        gains = np.stack([(inner - slow) * (own - slow), (fast - inner) * (own - fast)]) / apart
        return np.asarray(ratio[:, None] * (self._columns.whole_blood + (gains[..., None] * responses).sum(0)))

    @cached_property
    def _grid_curves(self) -> Array:
        return np.asarray(self._curves(_GRID.T) * self._root)

    def _fit_one(self, weighted: Array) -> BoundedOptimum:
        def residual(numbers: Array) -> Array:
            return np.asarray(weighted - self._curves(_constants(numbers)[:, None])[0] * self._root)

        misfit = np.square(self._grid_curves).sum(1) - 2 * self._grid_curves @ weighted
        starts = [_numbers(_GRID[point]) for point in np.argsort(misfit)[:_STARTS]]
        return best_fit(residual, starts, _LOW, _HIGH)

    def _estimate(self, optimum: BoundedOptimum) -> tuple[Array, Array]:
        """Parameters and standard errors, each of shape (parameters,)."""
        inverse, lost = optimum.inverse(), _lost(optimum)
        values, change = np.real(_parameters(optimum.numbers)), derivatives(_parameters, optimum.numbers)
        variances = np.zeros(len(values))
        if inverse is not None:
            variances = np.diag(change @ inverse @ change.T) * optimum.rss / self._freedom
        errors = np.sqrt(np.where((variances > 0) & ~lost, variances, np.nan))
        return np.where(lost, np.nan, values), errors

    def _status(self, optimum: BoundedOptimum) -> int:
        if not optimum.converged:
            return int(FitStatus.NOT_CONVERGED)
        if optimum.numbers[1] == _LOW[1] or optimum.inverse() is None:
            return int(FitStatus.DEGENERATE)
        return int(FitStatus.CONVERGED if optimum.free.all() else FitStatus.AT_BOUND)


def _constants(numbers: Any) -> Any:
    """R1, k2, k3 and k4 from the numbers that are fitted."""
    return np.array([np.exp(numbers[0]), np.exp(numbers[1]), numbers[2], np.exp(numbers[3])])


def _numbers(constants: Array) -> Array:
    return np.array([np.log(constants[0]), np.log(constants[1]), constants[2], np.log(constants[3])])


def _parameters(numbers: Any) -> Any:
    """R1, k2, k3, k4 and BPND."""
    ratio, k2, k3, k4 = _constants(numbers)
    return np.array([ratio, k2, k3, k4, k3 / k4])


def _lost(optimum: BoundedOptimum) -> NDArray[np.bool_]:
    """What the curve does not determine of R1, k2, k3, k4 and BPND."""
    _, k2, k3, k4 = optimum.numbers
    without_binding = k3 == _LOW[2]
    without_rest = not without_binding and k4 == _LOW[3]  # BPND grows without limit as k4 goes to zero
    without_exchange = k2 == _LOW[1]
    return np.array(
        [
            False,
            without_exchange,
            without_exchange,
            without_binding or without_exchange,
            without_rest or without_exchange,
        ]
    )
