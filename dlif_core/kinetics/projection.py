"""Variable projection: the residual sum as a function of the rates alone, for many curves at once.

For given rates the best coefficients are linear regression (Golub & Pereyra, SIAM J Numer Anal 1973;10:413). The
columns that don't depend on a rate are projected out once; r(θ) is what remains of an exponential, at unit length.
With p(θ) = r(θ)·y, the drop of the residual sum is p² for one exponential and pᵀ C⁻¹ p for two, C their Gram matrix.
So a whole grid of rates costs one matrix product, and the drop has exact first and second derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlif_core.kinetics.design import Spline, cubic
from dlif_core.kinetics.faces import Face

Array = NDArray[np.float64]
#: Bounds that a search keeps: none, coefficients ≥ 0 ("lower"), or vB ≤ 1 too ("all").
Bounds = Literal["none", "lower", "all"]

#: Steps of the search grid over ln θ.
_SEARCH_STEPS = 64
#: Rates closer together than this [ln θ] can't be told apart.
_CLOSEST = 0.02


@dataclass(frozen=True)
class Drop:
    """Drop of the residual sum with its derivatives by the logarithms of the rates.

    Attributes
    ----------
    value
        Shape (voxels,).
    gradient
        Shape (rates, voxels).
    curvature
        Second derivatives, shape (rates, rates, voxels).
    """

    value: Tensor
    gradient: Tensor
    curvature: Tensor


class Projection:
    """The exponentials of one scan with the columns of a face projected out.

    Parameters
    ----------
    log_rates
        Even grid, shape (points,) [ln min⁻¹].
    exponential
        Weighted columns at the grid, shape (points, frames).
    fixed
        Weighted columns that don't depend on a rate, shape (columns, frames); ∫C_p before C_WB.
    face
        The face they belong to.
    device
        Where to compute.
    """

    def __init__(self, log_rates: Array, exponential: Array, fixed: Array, face: Face, device: str) -> None:
        basis = np.linalg.qr(fixed.T)[0]
        remainder = exponential - (exponential @ basis) @ basis.T
        remainder -= (remainder @ basis) @ basis.T
        norm = np.linalg.norm(remainder, axis=1, keepdims=True)
        inverse = np.linalg.pinv(fixed.T)
        self.face = face
        self.bounds = float(log_rates[0]), float(log_rates[-1])
        self.basis, self.inverse, self.fixed = (torch.as_tensor(a, device=device) for a in (basis, inverse, fixed))
        self._unit = Spline.through(log_rates, remainder / norm, device)
        stride = (len(log_rates) - 1) // _SEARCH_STEPS
        grid = [log_rates[::stride], (remainder / norm)[::stride], norm[::stride], (exponential @ inverse.T)[::stride]]
        self._grid, self._grid_unit, self._grid_norm, self._shadow = (
            torch.as_tensor(np.ascontiguousarray(a), device=device) for a in grid
        )
        highest = [torch.inf] * face.integral + [1.0] * (face.blood == "free")
        self.highest = torch.tensor(highest, dtype=torch.float64, device=device)
        self._gram = self._grid_unit @ self._grid_unit.T

    def search(self, curves: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
        """Best grid point of every curve.

        Parameters
        ----------
        curves
            Weighted, shape (voxels, frames).
        bounds
            Which bounds the coefficients at a point must keep for it to count.

        Returns
        -------
        Logarithms of the rates, shape (rates, voxels), and whether there is a point at all, shape (voxels,).
        """
        products = self._grid_unit @ curves.T
        level = None if bounds == "none" else self.inverse @ curves.T
        scores = self._scores_of_one if self.face.exponentials == 1 else self._scores_of_two
        score, point = scores(
            products, level, self.highest if bounds == "all" else torch.full_like(self.highest, torch.inf)
        )
        return self._grid[point], score > -torch.inf

    def _scores_of_one(self, products: Tensor, level: Tensor | None, highest: Tensor) -> tuple[Tensor, Tensor]:
        score = products.square()
        if level is not None:
            gain = products / self._grid_norm
            possible = _possible(level[:, None] - self._shadow.T[:, :, None] * gain, highest) & (gain >= 0)
            score = torch.where(possible, score, -torch.inf)
        best, point = score.max(0)
        return best, point[None]

    def _scores_of_two(self, products: Tensor, level: Tensor | None, highest: Tensor) -> tuple[Tensor, Tensor]:
        """Row by row over the slower rate, so that the pairs never lie in memory all at once."""
        best = torch.full_like(products[0], -torch.inf)
        point = torch.zeros((2, products.shape[1]), dtype=torch.long, device=products.device)
        for slow in range(len(products) - 1):
            score, fast = self._scores_beside(slow, products, level, highest).max(0)
            better = score > best
            best = torch.where(better, score, best)
            point[0].masked_fill_(better, slow)
            point[1] = torch.where(better, fast + slow + 1, point[1])
        return best, point

    def _scores_beside(self, slow: int, products: Tensor, level: Tensor | None, highest: Tensor) -> Tensor:
        first, second, overlap = products[slow], products[slow + 1 :], self._gram[slow, slow + 1 :, None]
        spread = 1 / (1 - overlap.square())
        own, other = (first - overlap * second) * spread, (second - overlap * first) * spread
        score = first * own + second * other
        if level is None:
            return score
        own, other = own / self._grid_norm[slow], other / self._grid_norm[slow + 1 :]
        rest = level[:, None] - self._shadow[slow, :, None, None] * own
        rest = rest - self._shadow[slow + 1 :].T[:, :, None] * other
        possible = _possible(rest, highest) & (own >= 0) & (other >= 0)
        return torch.where(possible, score, -torch.inf)

    def drop(self, log_rates: Tensor, curves: Tensor) -> Drop:
        """The drop of the residual sum at rates of shape (rates, voxels), for curves of shape (voxels, frames)."""
        return self._drop_of_one(log_rates, curves) if len(log_rates) == 1 else self._drop_of_two(log_rates, curves)

    def _drop_of_one(self, log_rates: Tensor, curves: Tensor) -> Drop:
        pieces, distance = self._unit.pieces(log_rates[0])
        p, slope, curvature = cubic((pieces @ curves[:, :, None])[:, :, 0], distance, 2)
        return Drop(p**2, (2 * p * slope)[None], (2 * (slope**2 + p * curvature))[None, None])

    def _drop_of_two(self, log_rates: Tensor, curves: Tensor) -> Drop:
        first, second = self._unit(log_rates[0], 2), self._unit(log_rates[1], 2)
        p, s, c = ([dot(vector, curves) for vector in vectors] for vectors in zip(first, second, strict=True))
        overlap = dot(first[0], second[0])
        turn = dot(first[1], second[0]), dot(first[0], second[1])
        bend = dot(first[2], second[0]), dot(first[0], second[2])
        twist = dot(first[1], second[1])
        a = solve_pair(overlap, p[0], p[1])
        lean = s[0] - a[1] * turn[0], s[1] - a[0] * turn[1]
        by_first = solve_pair(overlap, lean[0], -turn[0] * a[0])
        by_second = solve_pair(overlap, -turn[1] * a[1], lean[1])
        h11 = by_first[0] * lean[0] + a[0] * (c[0] - by_first[1] * turn[0] - a[1] * bend[0])
        h22 = by_second[1] * lean[1] + a[1] * (c[1] - by_second[0] * turn[1] - a[0] * bend[1])
        h12 = by_second[0] * lean[0] - a[0] * (by_second[1] * turn[0] + a[1] * twist)
        curvature = torch.stack([torch.stack([h11, h12]), torch.stack([h12, h22])])
        gradient = torch.stack([a[0] * lean[0], a[1] * lean[1]])
        return Drop(p[0] * a[0] + p[1] * a[1], 2 * gradient, 2 * curvature)

    def clamp(self, log_rates: Tensor) -> Tensor:
        """The nearest rates inside the bounds; of two, the second stays the faster one."""
        low, high = self.bounds
        if len(log_rates) == 1:
            return log_rates.clamp(low, high)
        slow = log_rates[0].clamp(low, high - _CLOSEST)
        return torch.stack([slow, torch.maximum(log_rates[1].clamp(low, high), slow + _CLOSEST)])

    def too_close(self, log_rates: Tensor) -> Tensor:
        """Whether two rates can't be told apart, shape (voxels,)."""
        close = torch.zeros_like(log_rates[0], dtype=torch.bool) if len(log_rates) else torch.tensor(False)
        for slow, fast in pairwise(log_rates):
            close = close | (fast - slow < 1.01 * _CLOSEST)
        return close


def _possible(coefficients: Tensor, highest: Tensor) -> Tensor:
    """Whether coefficients of the fixed columns, along dimension 0, are from zero to their highest."""
    inside = torch.ones_like(coefficients[0], dtype=torch.bool) if len(coefficients) else torch.tensor(True)
    for coefficient, limit in zip(coefficients, highest, strict=True):
        inside = inside & (coefficient >= 0) & (coefficient <= limit)
    return inside


def dot(first: Tensor, second: Tensor) -> Tensor:
    """Scalar products over the frames of two sets of shape (voxels, frames)."""
    return (first * second).sum(-1)


def solve_pair(overlap: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Solution of [[1, c], [c, 1]] x = (first, second)."""
    spread = 1 / ((1 - overlap) * (1 + overlap))
    return (first - overlap * second) * spread, (second - overlap * first) * spread
