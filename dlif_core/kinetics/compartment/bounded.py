"""Least squares of one curve under bounds, for models that are no sum of columns with coefficients above zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

Array = NDArray[np.float64]

_TOLERANCE = 1e-10
#: Share of its range by which a number may be off its bound and still count as on it; the optimiser stays just inside.
_RESOLUTION = 1e-6
#: Step of the complex-step derivative, exact to rounding (Squire & Trapp, SIAM Rev 1998;40:110).
_STEP = 1e-50
#: Pivot of the normalised normal equations below which numbers aren't identifiable.
_SINGULAR = 1e-12


@dataclass(frozen=True)
class BoundedOptimum:
    """Where the least squares of one curve lie.

    Attributes
    ----------
    numbers
        Shape (numbers,).
    rss
        Residual sum of squares.
    residual
        Shape (frames,).
    jacobian
        Derivatives of the residual, shape (frames, numbers).
    free
        Which numbers are on no bound, shape (numbers,).
    converged
        Whether the optimiser has converged.
    """

    numbers: Array
    rss: float
    residual: Array
    jacobian: Array
    free: NDArray[np.bool_]
    converged: bool

    def inverse(self) -> Array | None:
        """Covariance of the numbers for noise of variance one, zero for those on a bound; None where it is singular."""
        jacobian = self.jacobian[:, self.free]
        size = np.linalg.norm(jacobian, axis=0)
        if not (size > 0).all():
            return None
        normal = (jacobian / size).T @ (jacobian / size)
        if len(normal) and np.linalg.eigvalsh(normal)[0] < _SINGULAR:
            return None
        full = np.zeros((len(self.numbers), len(self.numbers)))
        full[np.ix_(self.free, self.free)] = np.linalg.inv(normal) / np.outer(size, size)
        return full


def best_fit(residual: Callable[[Array], Array], starts: Sequence[Array], lower: Array, upper: Array) -> BoundedOptimum:
    """The best of fits from several starts.

    Parameters
    ----------
    residual
        Gives weighted residuals of shape (frames,) for numbers of shape (numbers,).
    starts
        Each of shape (numbers,).
    lower, upper
        Bounds, shape (numbers,).
    """
    room = 1e-3 * np.minimum(upper - lower, 1.0)
    fits = [
        least_squares(
            residual,
            np.clip(start, lower + room, upper - room),
            bounds=(lower, upper),
            x_scale="jac",
            ftol=_TOLERANCE,
            xtol=_TOLERANCE,
            gtol=_TOLERANCE,
        )
        for start in starts
    ]
    best = min(fits, key=lambda fit: fit.cost)
    reach = _RESOLUTION * np.minimum(upper - lower, 10.0)
    numbers = np.where(best.x - lower < reach, lower, np.where(upper - best.x < reach, upper, best.x))
    free = (numbers > lower) & (numbers < upper)
    left = np.asarray(residual(numbers))
    return BoundedOptimum(numbers, float(left @ left), left, np.asarray(best.jac), free, bool(best.success))


def derivatives(function: Callable[[NDArray[np.complex128]], Array], numbers: Array) -> Array:
    """Derivatives of an analytic function by the complex step, shape (values, numbers)."""
    steps = 1j * _STEP * np.eye(len(numbers))
    return np.array([np.imag(function(numbers + step)) / _STEP for step in steps]).T
