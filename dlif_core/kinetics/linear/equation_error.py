"""Noise of equations whose columns are made of the measured curve itself, for honest standard errors.

Noise ε of C_T is independent from frame to frame, of variance σ²/w with w the frame weights. In an equation
C_T = Σ γₛ pₛ + Σ γⱼ Lⱼ C_T, with Lⱼ linear (integrals), it stands on both sides: the equation is off by
(1 − Σ γⱼ Lⱼ) ε, which is correlated over frames and of a size that depends on the curve. To first order regression then
gives coefficients of covariance (sandwich)

    (X'WX)⁻¹ X'W G (σ²/w) G' W X (X'WX)⁻¹,    G = 1 − Σ γⱼ Lⱼ at the estimate,

and residuals whose expected sum of squares gives σ². In coordinates in which noise is white and X = Q R it is
R⁻¹ Ω R⁻ᵀ with Ω = Q'GG'Q, and rss = σ² (tr GG' − tr Ω).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.kinetics.context import Array
from dlif_core.kinetics.linear.backend import Backend

#: Share of the largest part of the operators below which a part of them is rounding.
_ROUNDING = 1e-9


def noise_variance(weights: Array) -> Array:
    """Variance of the noise of every frame up to a factor: 1/w, and for a frame without weight the largest of them.

    A frame that is left out still counts in integrals.
    """
    return np.asarray(1 / np.where(weights > 0, weights, weights[weights > 0].min()))


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of the equation of many curves.

    Attributes
    ----------
    gram
        Ω, its entries at and above the diagonal, row by row, each of shape (curves,).
    left
        tr GG' − tr Ω, the residual sum that noise of variance one leaves, shape (curves,).
    """

    gram: Sequence[Array]
    left: Array


class EquationError:
    """Noise of a regression whose frames are turned so that the shared columns lie along the first coordinates.

    Parameters
    ----------
    rows
        Turned and weighted operators of C_T and of the own columns, on white noise of all frames, shape (1 + own
        columns, frames used, frames).
    shared
        Number of shared columns.
    backend
        Where to compute.
    """

    def __init__(self, rows: Array, shared: int, backend: Backend) -> None:
        self._backend, self._shared, self._frames = backend, shared, rows.shape[1]
        operators = _aligned(rows)
        self._constants = self._of_monomials(operators)
        left = operators[1:, shared:].transpose(0, 2, 1)
        self._on_units = backend.constant(left.reshape(-1, left.shape[2]))
        self._across = backend.constant(operators[:, :shared].reshape(-1, operators.shape[2]))

    def __call__(self, units: Sequence[Any], own: Sequence[Any]) -> Noise:
        """Noise at coefficients of the own columns, each of shape (curves,).

        Parameters
        ----------
        units
            Directions of the own columns without the shared ones, each of shape (frames used less shared, curves).
        own
            The coefficients.
        """
        numbers = np.stack([np.ones_like(own[0]), *(-number for number in own)])
        monomials = np.stack([a * b for a, b in combinations_with_replacement(numbers, 2)])
        *fixed, total = self._constants @ monomials
        signed = self._backend.constant(numbers)
        moved = [self._moved(unit, signed) for unit in units]
        crossed = [self._backend.numpy(self._crossed(one, signed)) for one in moved]
        known, gram = iter(fixed), []
        for row in range(self._shared):
            gram += [next(known) for _ in range(row, self._shared)] + [one[row] for one in crossed]
        products = (self._backend.products(one, other) for one, other in combinations_with_replacement(moved, 2))
        gram += map(self._backend.numpy, products)
        return Noise(gram, total - _trace(gram, self._shared + len(units)))

    def _of_monomials(self, operators: Array) -> Array:
        """What products of coefficients are multiplied with, for Ω of the shared columns and then tr GG'."""
        columns, upper = [], np.triu_indices(self._shared)
        for first, second in combinations_with_replacement(operators, 2):
            product = first @ second.T if first is second else first @ second.T + second @ first.T
            columns.append(np.append(product[upper], np.trace(product)))
        return np.array(columns).T

    def _moved(self, unit: Any, signed: Any) -> Any:
        """G' times a direction, shape (noise, curves)."""
        parts = (self._on_units @ unit).reshape(len(signed) - 1, -1, unit.shape[1])
        parts *= signed[1:, None]
        moved = parts[0]
        for part in parts[1:]:
            moved += part
        moved[self._shared : self._frames] += unit
        return moved

    def _crossed(self, moved: Any, signed: Any) -> Any:
        """Ω between each shared column and a direction, shape (shared columns, curves)."""
        parts = (self._across @ moved).reshape(len(signed), -1, moved.shape[1])
        return self._backend.lib.einsum("jsc,jc->sc", parts, signed)


@dataclass(frozen=True, eq=False)
class Lines:
    """Straight lines through plots, each number of shape (curves,).

    Attributes
    ----------
    centre
        Share of the abscissa along the roots of the weights at unit length.
    spread
        Sum of squares of the abscissa without it.
    slope, intercept
        Slopes and intercepts of the lines.
    rss
        Weighted residual sums of squares.
    """

    centre: Any
    spread: Any
    slope: Any
    intercept: Any
    rss: Any


class PlotError:
    """Standard errors of Logan plots: lines through points ∫C_T / C_T over P / C_T.

    To first order in the noise the points are off by (∫ε − b ε) / C_T, with b the intercept. Computed in float32,
    ample for a standard error.

    Parameters
    ----------
    integrate
        The matrix of ∫C_T, shape (frames used, frames).
    numerator
        P, shape (frames used,).
    used
        Which frames are used, shape (frames,).
    weights
        Weights of all frames, shape (frames,).
    backend
        Where to compute.
    """

    def __init__(
        self, integrate: Array, numerator: Array, used: NDArray[np.bool_], weights: Array, backend: Backend
    ) -> None:
        self._backend = backend
        root = np.sqrt(weights[used])
        rows = np.stack([np.eye(len(used))[used], integrate]) * root[:, None] * np.sqrt(noise_variance(weights))
        integral = _aligned(rows)[1]
        self._norm = norm = float(np.linalg.norm(root))
        diagonal = np.stack([np.square(integral).sum(1), -2 * np.diag(integral), np.ones_like(root)])
        self._level, self._abscissa, self._integral, self._diagonal = (
            backend.constant(matrix.astype(np.float32))
            for matrix in (
                (numerator.mean() / norm / numerator)[:, None],
                (norm / root)[:, None],
                integral.T,
                diagonal * np.square(norm / root),
            )
        )

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of the two buffers to compute in."""
        noise, frames = self._integral.shape
        return noise, frames

    def __call__(self, across: Any, lines: Lines, rooms: Sequence[Any]) -> tuple[Any, Any]:
        """Standard errors of slopes and intercepts, each of shape (curves,).

        Parameters
        ----------
        across
            Abscissa times the roots of the weights, shape (frames used, curves).
        lines
            The fitted lines of the plots.
        rooms
            Two buffers for as many rows of float64 as `rows` says, whose numbers are lost.
        """
        single, sqrt = self._backend.single, self._backend.lib.sqrt
        x, spread = single(lines.centre), single(lines.spread)
        level, common, slope, total = self._noise(across, x, single(lines.intercept), rooms)
        variance = single(lines.rss) / (total - level - slope / spread)
        lever = x / spread
        of_level = level + lever * (lever * slope - 2 * common)
        return sqrt(variance * slope) / spread, sqrt(variance * of_level) / self._norm

    def _noise(self, across: Any, x: Any, b: Any, rooms: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
        """Ω of level, of level and slope, of slope, whose direction is as long as the abscissa's spread; tr GG'."""
        lib, products = self._backend.lib, self._backend.products
        (first, second), (level, slope) = (
            (room[:rows], room[rows : 2 * rows])
            for room, rows in zip(map(self._backend.in_single, rooms), self.rows, strict=True)
        )
        square = first[: len(level)]
        level[:] = across
        lib.multiply(level, self._abscissa, out=slope)
        level *= self._level
        slope -= x
        slope *= level
        lib.multiply(level, level, out=square)
        constant, linear, quadratic = self._diagonal @ square
        for direction, moved in ((level, first), (slope, second)):
            lib.matmul(self._integral, direction, out=moved)
            direction *= b
            moved[: len(direction)] -= direction
        total = constant + b * (linear + b * quadratic)
        return products(first, first), products(first, second), products(second, second), total


def _aligned(rows: Array) -> Array:
    """The operators with the noise turned so that the first, whose rows are orthonormal, becomes (1, 0)."""
    inside = rows @ rows[0].T
    outside = rows - inside @ rows[0]
    _, lengths, across = np.linalg.svd(outside.reshape(-1, rows.shape[2]), full_matrices=False)
    across = across[lengths > _ROUNDING * np.linalg.norm(rows)]
    return np.concatenate([inside, outside @ across.T], axis=2)


def _trace(gram: Sequence[Array], size: int) -> Array:
    """Sum of the diagonal of a matrix given by its upper triangle."""
    rows, columns = np.triu_indices(size)
    return sum((gram[int(index)] for index in np.flatnonzero(rows == columns)), np.zeros(1))
