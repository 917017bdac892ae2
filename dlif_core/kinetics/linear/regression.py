"""Batched weighted linear regression of tissue curves, the engine of Patlak plots and multilinear methods.

C_T is regressed on columns that all curves share (∫C_p, C_p, …) and on columns that are linear in the curve itself
(∫C_T, ∫∫C_T), given as matrices. With Q an orthonormal basis of the frames that starts with the weighted shared
columns, one matrix product Q' W^½ [1, L₁, L₂ …] C turns all curves into coordinates in which the shared columns are
gone from all but the first few. There, the columns of each curve are orthogonalised (modified Gram-Schmidt), so that
nothing cancels.

Standard errors count the noise of the curve in the columns made of it, see `dlif_core.kinetics.linear.equation_error`;
columns that all curves share count as known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import InputError
from dlif_core.kinetics.context import Array, Estimates, FitContext, FitStatus
from dlif_core.kinetics.linear.backend import Backend
from dlif_core.kinetics.linear.equation_error import EquationError, Noise, noise_variance
from dlif_core.kinetics.settings import FitSettings

#: Parameters from coefficients or the other way round, each of shape (numbers, curves).
Conversion = Callable[[Array], Sequence[Array]]

#: Share of the length of a column below which what is left of it is rounding.
_ROUNDING = 1e-10
#: Step of the complex-step derivative, exact to rounding (Squire & Trapp, SIAM Rev 1998;40:110).
_STEP = 1e-50
_SOUND, _UNDETERMINED = np.uint8(FitStatus.CONVERGED), np.uint8(FitStatus.DEGENERATE)


@dataclass(frozen=True, eq=False)
class BloodCorrection:
    """C_T = (C_PET − vB C_WB) / (1 − vB) with vB fixed.

    Attributes
    ----------
    blood
        vB C_WB, shape (frames,) [Bq/mL].
    vascular
        vB.
    """

    blood: Array
    vascular: float = 0.0

    @classmethod
    def fixed(cls, context: FitContext, settings: FitSettings) -> BloodCorrection:
        """The correction for a method that can't fit vB; none without a vB or without an input function."""
        vascular, curve = settings.blood_volume or 0.0, context.input_function
        if curve is None or not vascular:
            return cls(np.zeros(len(context.timing)))
        return cls(vascular * curve.frame_average(context.timing)[0], vascular)

    def tissue(self, activity: NDArray[Any]) -> Array:
        """C_T of measured curves of shape (frames, curves)."""
        return np.asarray((activity.astype(np.float64) - self.blood[:, None]) / (1 - self.vascular))

    def measured(self, tissue: Array, used: NDArray[np.bool_]) -> Array:
        """C_PET of C_T in the frames used, shape (frames, curves); NaN elsewhere."""
        measured = np.full((len(used), tissue.shape[1]), np.nan)
        measured[used] = (1 - self.vascular) * tissue + self.blood[used, None]
        return measured


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Coefficients of many curves.

    Attributes
    ----------
    values
        Shape (columns, curves), the shared columns first.
    directions
        Shape (columns, columns, curves or 1): the covariance is the sum of the outer products of ``directions[i]`` and
        ``directions[j]`` times the variance of the noise times Ω_ij of `noise`.
    rss
        Weighted residual sum of squares, shape (curves,).
    noise
        Noise of the equation; None where it is white, since no column is made of the curve.
    """

    values: Array
    directions: Array
    rss: Array
    noise: Noise | None


class CurveRegression:
    """Regression of C_T in the frames used.

    Parameters
    ----------
    used
        Which frames are used, shape (frames,).
    shared
        Columns that all curves share, shape (columns, frames used).
    own
        Matrices that make further columns of the frame averages of C_T, each of shape (frames used, frames).
    weights
        Weights of the squared residuals, shape (frames,); with columns made of the curve, they are also the inverse of
        the variance of its noise.
    correction
        Makes C_T of measured curves.
    device
        ``cpu`` or a torch device.

    Attributes
    ----------
    used
        Which frames are used, shape (frames,).
    columns
        Number of coefficients.
    freedom
        Frames used less coefficients.

    Raises
    ------
    InputError
        If the shared columns are not independent.
    """

    def __init__(
        self,
        used: NDArray[np.bool_],
        shared: Array,
        own: Sequence[Array],
        weights: Array,
        correction: BloodCorrection,
        device: str = "cpu",
    ) -> None:
        self.used, self.columns = used, len(shared) + len(own)
        self.freedom = int(used.sum()) - self.columns
        self._shared, self._own, self._correction = shared, own, correction
        root = np.sqrt(weights[used])
        basis, triangle = np.linalg.qr((shared * root).T, mode="complete")
        triangle = triangle[: len(shared)]
        _require_independent(triangle)
        operators = basis.T @ (np.stack([np.eye(len(used))[used], *own]) * root[:, None])
        rows = np.concatenate(list(operators)) / (1 - correction.vascular)
        offset = rows @ correction.blood
        self._backend = Backend(device)
        self._error = (
            EquationError(operators * np.sqrt(noise_variance(weights)), len(shared), self._backend) if own else None
        )
        self._first = int(np.argmax(rows.any(axis=0)))
        self._rows = self._backend.constant(rows[:, self._first :])
        self._offset = self._backend.constant(offset[:, None]) if offset.any() else None
        self._unmix = np.linalg.inv(triangle)

    def fit(self, activity: NDArray[Any]) -> Iterator[tuple[slice, Coefficients]]:
        """Regress finite curves of shape (frames, curves) [Bq/mL], part by part."""
        late = activity[self._first :]
        rooms = self._backend.rooms(late.shape[1], len(late), len(self._rows))
        for part, tile in self._backend.tiles(late):
            curves, coordinates = (room[:, : tile.shape[1]] for room in rooms)
            curves[:] = tile
            self._backend.lib.matmul(self._rows, curves, out=coordinates)
            if self._offset is not None:
                coordinates -= self._offset
            yield part, self._solve(coordinates.reshape(len(self._own) + 1, -1, tile.shape[1]))

    def predict(self, activity: NDArray[Any], coefficients: Array) -> Array:
        """C_T that coefficients of shape (columns, curves) give, shape (frames used, curves) [Bq/mL]."""
        tissue = self._correction.tissue(activity)
        columns = [curve[:, None] for curve in self._shared] + [matrix @ tissue for matrix in self._own]
        parts = (number * column for number, column in zip(coefficients, columns, strict=True))
        return np.asarray(sum(parts, np.zeros((1, 1))))

    def fitted(self, activity: NDArray[Any], coefficients: Array) -> Array:
        """C_PET that coefficients give, shape (frames, curves) [Bq/mL]; NaN where a frame is not used."""
        return self._correction.measured(self.predict(activity, coefficients), self.used)

    def tissue(self, activity: NDArray[Any]) -> Array:
        """C_T of measured curves in the frames used, shape (frames used, curves) [Bq/mL]."""
        return self._correction.tissue(activity)[self.used]

    def _solve(self, coordinates: Any) -> Coefficients:
        """Solve for coordinates of shape (1 + own columns, frames used, curves), the response first, in place."""
        backend, count = self._backend, len(self._shared)
        along = self._unmix @ backend.numpy(coordinates[:, :count])
        left = coordinates[0, count:]
        triangle, components, units = self._orthogonalise(coordinates[1:], left)
        own = _back_substitution(triangle, components)
        spread = [_back_substitution(triangle, list(unit)) for unit in np.eye(len(own))]
        values = np.stack([*_less(along[0], own, along[1:]), *own])
        directions = _directions(self._unmix, spread, along[1:])
        noise = None if self._error is None else self._error(units, own)
        return Coefficients(values, directions, backend.numpy(backend.products(left, left)), noise)

    def _orthogonalise(self, columns: Any, left: Any) -> tuple[list[list[Array]], list[Array], list[Any]]:
        """Take the own columns out of one another and out of what is left of the response, in place.

        Returns
        -------
        The rows of the triangle from the diagonal on, the share of the response along each direction, and the
        directions.
        """
        backend, count = self._backend, len(self._shared)
        triangle, components, units = [], [], []
        for index, column in enumerate(columns):
            length = self._length(column)
            unit = column[count:] / length
            later = columns[index + 1 :, count:]
            shares = [backend.products(unit, other) for other in later] + [backend.products(unit, left)]
            for other, share in zip([*later, left], shares, strict=True):
                other -= share * unit
            *between, component = map(backend.numpy, shares)
            triangle.append([backend.numpy(length), *between])
            components.append(component)
            units.append(unit)
        return triangle, components, units

    def _length(self, column: Any) -> Any:
        """Length of a column without the shared ones; NaN where nothing but rounding is left."""
        rest, lib = column[len(self._shared) :], self._backend.lib
        square = self._backend.products(rest, rest)
        return lib.sqrt(lib.where(square > _ROUNDING**2 * self._backend.products(column, column), square, np.nan))


def _require_independent(triangle: Array) -> None:
    length = np.linalg.norm(triangle, axis=0)
    if (np.abs(np.diag(triangle)) <= _ROUNDING * length).any():
        raise InputError(
            "the curve that the tissue is compared with is zero or has too little shape in the frames used.",
            where="kinetic fit",
            hint="Use an earlier t_star, or another input function or reference region.",
        )


def _back_substitution(triangle: Sequence[Sequence[Array]], target: Sequence[Any]) -> list[Array]:
    """Solve triangular systems, given by their rows from the diagonal on."""
    solution: list[Array] = []
    for row, value in zip(reversed(triangle), reversed(target), strict=True):
        known = sum(entry * number for entry, number in zip(row[1:], solution, strict=True))
        solution.insert(0, (value - known) / row[0])
    return solution


def _less(shared: Array, numbers: Sequence[Array], along: Array) -> Array:
    """Coefficients of the shared columns without the share of the own columns."""
    return shared - sum((number * part for number, part in zip(numbers, along, strict=True)), np.zeros(1))


def _directions(unmix: Array, spread: Sequence[Sequence[Array]], along: Array) -> Array:
    """Directions of the covariance: of the shared columns alone, then of each own column."""
    if not spread:
        return unmix.T[:, :, None]
    zero = np.zeros_like(along[0, 0])
    shared = [[zero + entry for entry in column] + [zero] * len(spread) for column in unmix.T]
    own = [[*_less(np.zeros_like(along[0]), numbers, along), *numbers] for numbers in spread]
    return np.array(shared + own)


class LinearEstimator:
    """Fits a method that is a `CurveRegression`.

    Parameters
    ----------
    regression
        The regression.
    parameters, coefficients
        From coefficients to the model's parameters and back; None where they are the same. Undetermined parameters are
        NaN. The way to the parameters is also taken with complex numbers.
    """

    def __init__(
        self, regression: CurveRegression, parameters: Conversion | None = None, coefficients: Conversion | None = None
    ) -> None:
        self._regression, self._parameters, self._coefficients = regression, parameters, coefficients

    @property
    def freedom(self) -> int:
        """Frames used less coefficients."""
        return self._regression.freedom

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Fit finite curves of shape (frames, curves) [Bq/mL]."""
        numbers = len(self._convert(np.ones((self._regression.columns, 1))))
        values, errors = (np.empty((numbers, activity.shape[1])) for _ in range(2))
        rss = np.empty(activity.shape[1])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for part, found in self._regression.fit(activity):
                values[:, part], rss[part] = self._convert(found.values), found.rss
                left = self.freedom if found.noise is None else found.noise.left
                np.multiply(self._spread(found), np.sqrt(found.rss / left), out=errors[:, part])
        return estimates(values, errors, rss)

    def fitted(self, activity: NDArray[Any], found: Estimates) -> Array:
        """The model's curves, shape (frames, curves) [Bq/mL]; NaN where a frame is not used."""
        values = found.values
        with np.errstate(divide="ignore", invalid="ignore"):
            coefficients = values if self._coefficients is None else np.stack(self._coefficients(values))
        return self._regression.fitted(activity, coefficients)

    def deviation(self, curve: Array) -> float:
        """Largest deviation of C_T of one curve of shape (frames,) from the fitted one, as a share of the latter."""
        (_, found), *_ = self._regression.fit(curve[:, None])
        tissue, line = self._regression.tissue(curve[:, None]), self._regression.predict(curve[:, None], found.values)
        return largest_deviation(tissue, line)

    def _convert(self, coefficients: Array) -> Sequence[Array]:
        return list(coefficients) if self._parameters is None else self._parameters(coefficients)

    def _spread(self, found: Coefficients) -> Array:
        """Standard errors for noise of variance 1, by the delta method."""
        moved = found.directions
        if self._parameters is not None:
            numbers = (self._parameters(found.values + 1j * _STEP * direction) for direction in found.directions)
            moved = np.stack([np.stack(parameters).imag for parameters in numbers]) / _STEP
        if found.noise is None:
            return np.asarray(np.sqrt(np.square(moved).sum(0)))
        variance = np.zeros(moved.shape[1:])
        pairs = combinations_with_replacement(moved, 2)
        for (one, other), common in zip(pairs, found.noise.gram, strict=True):
            variance += (1 if one is other else 2) * common * one * other
        return np.asarray(np.sqrt(variance))


def estimates(values: Array, errors: Array, rss: Array) -> Estimates:
    """Estimates whose status says whether all parameters are determined."""
    return Estimates(values, errors, np.where(np.isfinite(values).all(axis=0), _SOUND, _UNDETERMINED), rss)


def largest_deviation(points: Array, line: Array) -> float:
    """Largest deviation of points from a line, as a share of the line; infinite where it is not defined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nan_to_num(np.abs(points / line - 1).max(), nan=np.inf))
