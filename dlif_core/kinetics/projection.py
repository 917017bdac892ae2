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

from dlif_core.kinetics.covariance import Matrix, directions_of_inverse
from dlif_core.kinetics.design import TILE, Curves, Spline, dot, polynomial
from dlif_core.kinetics.faces import Face

Array = NDArray[np.float64]
#: Bounds that a search keeps: none, coefficients ≥ 0 ("lower"), or vB ≤ 1 too ("all").
Bounds = Literal["none", "lower", "all"]

#: Steps of the search grid over ln θ.
_SEARCH_STEPS = 64
#: Steps of a spline up to which its polynomial around a point holds to rounding.
_REACH = 1.5
#: Rates closer together than this [ln θ] can't be told apart.
_CLOSEST = 0.02
_TINY = 1e-300


@dataclass(frozen=True)
class Regression:
    """Linear regression at given rates.

    Attributes
    ----------
    gains
        Coefficients of the exponentials, shape (rates, voxels).
    levels
        Coefficients of the columns without rate, shape (columns, voxels).
    smallest
        The least of the coefficients, times the lengths of their columns, shape (voxels,).
    """

    gains: Tensor
    levels: Tensor
    smallest: Tensor


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
    heights
        Coefficients of the r(θ), shape (rates, voxels).
    """

    value: Tensor
    gradient: Tensor
    curvature: Tensor
    heights: Tensor


class Projection:
    """The exponentials of one scan with the columns of a face projected out.

    Parameters
    ----------
    log_rates
        Even grid, shape (points,) [ln min⁻¹].
    exponential
        Coordinates of the weighted columns at the grid, shape (points, directions).
    fixed
        Those of the columns that don't depend on a rate, shape (columns, directions); ∫C_p before C_WB.
    face
        The face they belong to.
    device
        Where to compute.
    """

    def __init__(self, log_rates: Array, exponential: Array, fixed: Array, face: Face, device: str) -> None:
        basis, triangle = np.linalg.qr(fixed.T)
        remainder = exponential - (exponential @ basis) @ basis.T
        remainder -= (remainder @ basis) @ basis.T
        norm = np.linalg.norm(remainder, axis=1, keepdims=True)
        coordinates = np.linalg.pinv(triangle)
        inverse = coordinates @ basis.T
        shadow = exponential @ inverse.T
        self._unit = Spline.through(log_rates, remainder / norm, device)
        turn = self._unit.coefficients[:, -2].cpu().numpy() / self._unit.step
        lengths = [norm, *(np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (exponential, turn))]
        self.face = face
        self.bounds = float(log_rates[0]), float(log_rates[-1])
        self._scale = Spline.through(log_rates, np.hstack([*lengths, shadow]), device)
        stride = (len(log_rates) - 1) // _SEARCH_STEPS
        grid = [log_rates[::stride], (remainder / norm)[::stride], norm[::stride], shadow[::stride]]
        self._grid, self._grid_unit, self._grid_norm, self._shadow = (
            torch.as_tensor(np.ascontiguousarray(a), device=device) for a in grid
        )
        self._basis, self._inverse, self._coordinates, self._lengths = (
            torch.as_tensor(a, device=device) for a in (basis, inverse, coordinates, np.linalg.norm(fixed, axis=1))
        )
        highest = [torch.inf] * face.integral + [1.0] * (face.blood == "free")
        self.highest = torch.tensor(highest, dtype=torch.float64, device=device)
        self._overlap = self._grid_unit @ self._grid_unit.T
        self._alone = (1 - self._overlap.square()).clamp_min(_TINY).rsqrt()

    def search(self, curves: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
        """Best grid point of every curve.

        Parameters
        ----------
        curves
            Coordinates, shape (voxels, directions).
        bounds
            Which bounds the coefficients at a point must keep for it to count.

        Returns
        -------
        Logarithms of the rates, shape (rates, voxels), and whether there is a point at all, shape (voxels,).
        """
        best = self._best_of_one if self.face.exponentials == 1 else self._best_of_two
        highest = self.highest if bounds == "all" else torch.full_like(self.highest, torch.inf)
        found = []
        for tile in torch.split(curves, TILE):
            level = None if bounds == "none" else self._inverse @ tile.T
            found.append(best(self._grid_unit @ tile.T, level, highest))
        score, point = (torch.cat(parts, -1) for parts in zip(*found, strict=True))
        return self._grid[point], score > -torch.inf

    def _best_of_one(self, products: Tensor, level: Tensor | None, highest: Tensor) -> tuple[Tensor, Tensor]:
        score = products.abs()
        if level is not None:
            gain = products / self._grid_norm
            possible = _possible(level[:, None] - self._shadow.T[:, :, None] * gain, highest) & (gain >= 0)
            score = torch.where(possible, score, -torch.inf)
        best, point = score.T.contiguous().max(1)
        return best, point[None]

    def _best_of_two(self, products: Tensor, level: Tensor | None, highest: Tensor) -> tuple[Tensor, Tensor]:
        """Row by row over the slower rate, so that the pairs never lie in memory all at once."""
        rows = [self._scores_beside(slow, products, level, highest).amax(0) for slow in range(len(products) - 1)]
        best, point = torch.stack(rows).max(0)
        points = torch.stack([point, point])
        for slow in range(len(rows)):
            members = (point == slow).nonzero()[:, 0]
            if len(members):
                here = None if level is None else level[:, members]
                scores = self._scores_beside(slow, products[:, members], here, highest)
                points[1, members] = scores.argmax(0) + slow + 1
        return best, points

    def _scores_beside(self, slow: int, products: Tensor, level: Tensor | None, highest: Tensor) -> Tensor:
        """Drop for a slower rate with each faster one: what the slower one takes, then what the faster one adds."""
        first, second = products[slow], products[slow + 1 :]
        overlap, alone = self._overlap[slow, slow + 1 :, None], self._alone[slow, slow + 1 :, None]
        added = torch.addcmul(second, overlap, first, value=-1).mul_(alone)
        score = torch.addcmul(first.square(), added, added)
        if level is None:
            return score
        other = added * (alone / self._grid_norm[slow + 1 :])
        own = (first - overlap * added * alone) / self._grid_norm[slow]
        rest = level[:, None] - self._shadow[slow, :, None, None] * own
        rest = rest - self._shadow[slow + 1 :].T[:, :, None] * other
        possible = _possible(rest, highest) & (own >= 0) & (other >= 0)
        return torch.where(possible, score, -torch.inf)

    def around(self, log_rates: Tensor, curves: Tensor) -> LocalDrop:
        """The drop of the residual sum near rates of shape (rates, voxels), for curves of (voxels, directions)."""
        return LocalDrop(self._unit, log_rates, curves)

    def remainder(self, curves: Curves) -> Tensor:
        """Sum of squares of the curves without the columns that don't depend on a rate, shape (voxels,)."""
        projected: Tensor = (curves.inside @ self._basis).square().sum(1)
        return curves.square - projected

    def regress(self, log_rates: Tensor, heights: Tensor, curves: Curves) -> Regression:
        """The coefficients that belong to coefficients of r(θ), both of shape (rates, voxels)."""
        gains, levels, sizes = torch.empty_like(heights), self._inverse @ curves.inside.T, []
        for index, rate in enumerate(log_rates):
            norm, length, _, *shadow = self._scale(rate)[0].T
            gains[index] = heights[index] / norm
            sizes.append(gains[index] * length)
            for level, part in zip(levels, shadow, strict=True):
                level -= part * gains[index]
        every = [*sizes, *(levels * self._lengths[:, None])]
        smallest = torch.stack(every).amin(0) if every else torch.full_like(curves.square, torch.inf)
        return Regression(gains, levels, smallest)

    def directions(self, log_rates: Tensor, gains: Tensor, held: Tensor) -> tuple[Matrix, Tensor]:
        """Covariance of the free numbers for noise of variance one.

        Parameters
        ----------
        log_rates, gains
            The optimum, each of shape (rates, voxels).
        held
            Whether a rate is held on a bound, shape (rates, voxels).

        Returns
        -------
        Directions, see `dlif_core.kinetics.covariance`, and whether the numbers can't be told apart, shape (voxels,).
        """
        count = len(gains)
        scales = [[part.T for part in self._scale(rate, 1)] for rate in log_rates]
        inverse, singular = directions_of_inverse(self._gram(log_rates, [scale[2] for scale, _ in scales]), held)
        zero = torch.zeros_like(gains.sum(0))
        found = []
        for direction in inverse:
            moves = [*direction, *[zero] * (2 * count - len(direction))]
            found.append(self._numbers_move(moves[:count], moves[count:], gains, scales))
        of_levels = [[zero] * (2 * count) + [zero + part for part in level] for level in self._coordinates.T]
        return found + of_levels, singular

    def _gram(self, log_rates: Tensor, turns: list[Tensor]) -> Matrix:
        """Scalar products of the r(θ) and their derivatives, lower triangle; `turns` are lengths of the latter.

        Both are orthogonal to the columns without rate, and r(θ), of length one, to its own derivative.
        """
        one = torch.ones_like(log_rates.sum(0))
        if len(turns) < 2:
            return [[one], *([0 * one, turn.square()] for turn in turns)][: 2 * len(turns)]
        (first, first_turn), (second, second_turn) = (self._unit(rate, 1) for rate in log_rates)
        return [
            [one],
            [dot(first, second), one],
            [0 * one, dot(first_turn, second), turns[0].square()],
            [dot(first, second_turn), 0 * one, dot(first_turn, second_turn), turns[1].square()],
        ]

    def _numbers_move(
        self, heights: list[Tensor], turns: list[Tensor], gains: Tensor, scales: list[list[Tensor]]
    ) -> list[Tensor]:
        """What the free numbers move by when coefficients of r(θ) do, and r(θ) itself along its derivative."""
        rates, moves = [], []
        levels = [torch.zeros_like(gains[0])] * len(self._lengths)
        for height, turn, gain, (scale, slope) in zip(heights, turns, gains, scales, strict=True):
            rates.append(turn / (gain * scale[0]))
            moves.append((height - gain * slope[0] * rates[-1]) / scale[0])
            shadows = zip(levels, scale[3:], slope[3:], strict=True)
            levels = [level - moves[-1] * part - gain * rates[-1] * bend for level, part, bend in shadows]
        return [*rates, *moves, *levels]

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


class LocalDrop:
    """The drop of the residual sum as a function of the rates, close to given rates.

    There p and C are polynomials in ln θ with coefficients of their own for every curve; so whole vectors are touched
    only once, however often the drop is asked for.

    Parameters
    ----------
    unit
        r(θ).
    log_rates
        Shape (rates, voxels).
    curves
        Coordinates, shape (voxels, directions).
    """

    def __init__(self, unit: Spline, log_rates: Tensor, curves: Tensor) -> None:
        self._unit, self._curves = unit, curves
        self._points, _ = unit.nearest(log_rates)
        self._products, self._overlap = self._polynomials(self._points, curves)

    def _polynomials(self, points: Tensor, curves: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of p, shape (rates, powers, voxels), and of C, shape (powers, powers, voxels)."""
        parts = []
        for some, tile in zip(torch.split(points, TILE, 1), torch.split(curves, TILE), strict=True):
            units = [self._unit.near(point) for point in some]
            products = torch.stack([_voxels_last(unit @ tile[:, :, None])[:, 0] for unit in units])
            pairs = _voxels_last(units[0] @ units[1].transpose(1, 2)) if len(units) == 2 else products[:0, 0]
            parts.append((products, pairs))
        every_product, every_pair = (torch.cat(part, -1) for part in zip(*parts, strict=True))
        return every_product, every_pair

    def keep(self, some: Tensor) -> None:
        """Go on with some of the curves."""
        self._curves = self._curves.index_select(0, some)
        self._points, self._products = self._points.index_select(-1, some), self._products.index_select(-1, some)
        self._overlap = self._overlap.index_select(-1, some)

    def __call__(self, log_rates: Tensor) -> Drop:
        """The drop at rates of shape (rates, voxels), which may have left the neighbourhood."""
        distance = (log_rates - self._unit.first) / self._unit.step - self._points
        away = (distance.abs().amax(0) > _REACH).nonzero()[:, 0]
        if len(away):
            self._points[:, away], distance[:, away] = self._unit.nearest(log_rates[:, away])
            found = self._polynomials(self._points[:, away], self._curves.index_select(0, away))
            self._products[..., away], self._overlap[..., away] = found
        drop = self._of_one(distance) if len(distance) == 1 else self._of_two(distance)
        return Drop(drop.value, drop.gradient / self._unit.step, drop.curvature / self._unit.step**2, drop.heights)

    def _of_one(self, distance: Tensor) -> Drop:
        p, slope, curvature = polynomial(self._products[0], distance[0], 2)
        return Drop(p**2, (2 * p * slope)[None], (2 * (slope**2 + p * curvature))[None, None], p[None])

    def _of_two(self, distance: Tensor) -> Drop:
        p, s, c = zip(*(polynomial(*pair, 2) for pair in zip(self._products, distance, strict=True)), strict=True)
        values, slopes, curvatures = polynomial(self._overlap, distance[0], 2)
        overlap, other_turn, other_bend = polynomial(values, distance[1], 2)
        own_turn, twist = polynomial(slopes, distance[1], 1)
        turn, bend = (own_turn, other_turn), (polynomial(curvatures, distance[1], 0)[0], other_bend)
        a = solve_pair(overlap, p[0], p[1])
        lean = s[0] - a[1] * turn[0], s[1] - a[0] * turn[1]
        by_first = solve_pair(overlap, lean[0], -turn[0] * a[0])
        by_second = solve_pair(overlap, -turn[1] * a[1], lean[1])
        h11 = by_first[0] * lean[0] + a[0] * (c[0] - by_first[1] * turn[0] - a[1] * bend[0])
        h22 = by_second[1] * lean[1] + a[1] * (c[1] - by_second[0] * turn[1] - a[0] * bend[1])
        h12 = by_second[0] * lean[0] - a[0] * (by_second[1] * turn[0] + a[1] * twist)
        curvature = torch.stack([torch.stack([h11, h12]), torch.stack([h12, h22])])
        gradient = torch.stack([a[0] * lean[0], a[1] * lean[1]])
        return Drop(p[0] * a[0] + p[1] * a[1], 2 * gradient, 2 * curvature, torch.stack(a))


def _possible(coefficients: Tensor, highest: Tensor) -> Tensor:
    """Whether coefficients of the fixed columns, along dimension 0, are from zero to their highest."""
    inside = torch.ones_like(coefficients[0], dtype=torch.bool) if len(coefficients) else torch.tensor(True)
    for coefficient, limit in zip(coefficients, highest, strict=True):
        inside = inside & (coefficient >= 0) & (coefficient <= limit)
    return inside


def _voxels_last(products: Tensor) -> Tensor:
    """From shape (voxels, …) to (…, voxels), so that what follows runs along voxels."""
    return products.permute(1, 2, 0).contiguous()


def solve_pair(overlap: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Solution of [[1, c], [c, 1]] x = (first, second)."""
    spread = 1 / ((1 - overlap) * (1 + overlap))
    return (first - overlap * second) * spread, (second - overlap * first) * spread
