"""Variable projection: the residual sum as a function of the rates alone, for many curves at once.

For given rates the best coefficients are linear regression (Golub & Pereyra, SIAM J Numer Anal 1973;10:413). The
columns that don't depend on a rate are projected out once; r(θ) is what remains of an exponential, at unit length.
With p(θ) = r(θ)·y, the drop of the residual sum is p² for one exponential and pᵀ C⁻¹ p for two, C their Gram matrix.
So a whole grid of rates costs one matrix product, and the drop has exact first and second derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlif_core.kinetics.compartment.active_set import Face
from dlif_core.kinetics.compartment.covariance import Matrix, directions_of_inverse
from dlif_core.kinetics.compartment.design import MARGIN, Curves, Interpolant, RateAxis, polynomial, stencil, tile_size

Array = NDArray[np.float64]
#: Bounds that a search keeps: none, coefficients ≥ 0 ("lower"), or vB ≤ 1 too ("all").
Bounds = Literal["none", "lower", "all"]

#: Steps of a search in points of the grid, by number of exponentials.
_STRIDE = (1, 3, 3)
#: Steps from the middle of its interval up to which a polynomial holds.
_REACH = 1.5
#: Rates closer together than this, by their places, can't be told apart.
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
        The least of the coefficients, or of k2 in place of that of an exponential beside C_R, times the lengths of
        their columns, shape (voxels,).
    """

    gains: Tensor
    levels: Tensor
    smallest: Tensor


@dataclass(frozen=True)
class Drop:
    """Drop of the residual sum with its derivatives by the places of the rates.

    Attributes
    ----------
    parts
        All numbers below it, one after the other, shape (numbers, voxels): 4 for one rate, 12 for two.
    """

    parts: Tensor

    @property
    def value(self) -> Tensor:
        """The drop, shape (voxels,)."""
        return self.parts[0]

    @property
    def gradient(self) -> Tensor:
        """Shape (rates, voxels)."""
        return self.parts[1:3] if len(self.parts) > 4 else self.parts[1:2]

    @property
    def curvature(self) -> Tensor:
        """Second derivatives, the lower triangle of their matrix, shape (1 or 3, voxels)."""
        return self.parts[3:6] if len(self.parts) > 4 else self.parts[2:3]

    @property
    def heights(self) -> Tensor:
        """Coefficients of the r(θ), shape (rates, voxels)."""
        return self.parts[6:8] if len(self.parts) > 4 else self.parts[3:]

    @property
    def overlap(self) -> Tensor:
        """Scalar product of the two r(θ), its derivatives by either rate and by both, shape (4 or 0, voxels)."""
        return self.parts[8:]


class Projection:
    """The exponentials of one scan with the columns of a face projected out.

    Parameters
    ----------
    axis
        Of the rates.
    exponential
        Coordinates of the weighted columns at the grid, shape (points, directions).
    fixed
        Those of the columns that don't depend on a rate, shape (columns, directions); ∫C_p before C_WB or C_R.
    face
        The face they belong to.
    device
        Where to compute.
    """

    def __init__(self, axis: RateAxis, exponential: Array, fixed: Array, face: Face, device: str) -> None:
        basis, triangle = np.linalg.qr(fixed.T)
        remainder = exponential - (exponential @ basis) @ basis.T
        remainder -= (remainder @ basis) @ basis.T
        norm = np.linalg.norm(remainder, axis=1, keepdims=True) * _continuing(remainder)
        coordinates = np.linalg.pinv(triangle)
        inverse = coordinates @ basis.T
        shadow = exponential @ inverse.T
        places, inside = axis.places, slice(MARGIN, MARGIN + axis.points)
        self._axis, self._unit = axis, Interpolant.through(places, remainder / norm, device)
        self._nodes = torch.as_tensor(remainder / norm, device=device)
        self.face = face
        turn = self._unit(torch.as_tensor(places, device=device), 1)[1].cpu().numpy()
        lengths = [norm, *(np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (exponential, turn))]
        self._scale = Interpolant.through(places, np.hstack([*lengths, shadow]), device)
        self.bounds = float(places[inside][0]), float(places[inside][-1])
        every = places, remainder / norm, norm, shadow, axis.rates[:, None]
        grid = [part[inside][:: _STRIDE[face.exponentials]] for part in every]
        self._grid, self._grid_unit, self._grid_norm, self._shadow, self._grid_rates = (
            torch.as_tensor(np.ascontiguousarray(a), device=device) for a in grid
        )
        self._basis, self._inverse, self._coordinates, self._lengths = (
            torch.as_tensor(a, device=device) for a in (basis, inverse, coordinates, np.linalg.norm(fixed, axis=1))
        )
        highest = [torch.inf] * (face.integral + face.reference) + [1.0] * (face.blood == "free")
        self.highest = highest
        overlap = self._grid_unit @ self._grid_unit.T
        self._overlap, self._alone = overlap.float(), (1 - overlap.square()).clamp_min(_TINY).rsqrt().float()
        self._grid_norm, self._shadow = self._grid_norm.float(), self._shadow.float()
        self._grid_rates = self._grid_rates.float()

    @cached_property
    def overlaps(self) -> Tensor:
        """Polynomials of r(θ₁)·r(θ₂) in both rates, shape (intervals², powers²)."""
        pieces = self._unit.coefficients
        intervals, powers, _ = pieces.shape
        flat = pieces.reshape(intervals * powers, -1)
        products = (flat @ flat.T).reshape(intervals, powers, intervals, powers)
        return products.transpose(1, 2).reshape(intervals**2, powers**2)

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
        Places of the rates, shape (rates, voxels), and whether there is a point at all, shape (voxels,).
        """
        best = self._best_of_one if self.face.exponentials == 1 else self._best_of_two
        highest = self.highest if bounds == "all" else [torch.inf] * len(self.highest)
        found = []
        for tile in torch.split(curves, tile_size(curves)):
            level = None if bounds == "none" else (self._inverse @ tile.T).float()
            found.append(best((self._grid_unit @ tile.T).float(), level, highest))
        score, point = (torch.cat(parts, -1) for parts in zip(*found, strict=True))
        return self._grid[point], score > -torch.inf

    def _best_of_one(self, products: Tensor, level: Tensor | None, highest: list[float]) -> tuple[Tensor, Tensor]:
        score = products.abs()
        if level is not None:
            gain = products / self._grid_norm
            rest = level[:, None] - self._shadow.T[:, :, None] * gain
            if self.face.reference:
                gain = gain + self._grid_rates * rest[-1]  # k2
            score = torch.where(_possible(rest, highest) & (gain >= 0), score, -torch.inf)
        best, point = score.T.contiguous().max(1)
        return best, point[None]

    def _best_of_two(self, products: Tensor, level: Tensor | None, highest: list[float]) -> tuple[Tensor, Tensor]:
        """Row by row over the slower rate, so that the pairs never lie in memory all at once."""
        rows = [self._scores_beside(slow, products, level, highest).amax(0) for slow in range(len(products) - 1)]
        best, point = torch.stack(rows).max(0)
        points = torch.stack([point, point])
        for slow in range(len(rows)):
            members = (point == slow).nonzero()[:, 0]
            if len(members):
                here = None if level is None else level.index_select(1, members)
                scores = self._scores_beside(slow, products.index_select(1, members), here, highest)
                points[1, members] = scores.argmax(0) + slow + 1
        return best, points

    def _scores_beside(self, slow: int, products: Tensor, level: Tensor | None, highest: list[float]) -> Tensor:
        """Drop for a slower rate with each faster one: what the slower one takes, then what the faster one adds."""
        first, second = products[slow], products[slow + 1 :]
        overlap, alone = self._overlap[slow, slow + 1 :, None], self._alone[slow, slow + 1 :, None]
        added = torch.addcmul(second, overlap, first, value=-1).mul_(alone)
        score = torch.addcmul(first.square(), added, added)
        if level is None:
            return score
        own = torch.addcmul(first, overlap, second, value=-1)
        least, share = torch.minimum(added, own), self._shadow / self._grid_norm
        for column, limit in enumerate(highest):
            rest = torch.addcmul(level[column], own, alone.square() * share[slow, column], value=-1)
            rest.addcmul_(added, alone * share[slow + 1 :, column, None], value=-1)
            least = torch.minimum(least, torch.minimum(rest, limit - rest) if limit < torch.inf else rest)
        return torch.where(least >= 0, score, -torch.inf)

    def around(self, places: Tensor, curves: Tensor) -> LocalDrop:
        """The drop of the residual sum near places of shape (rates, voxels), for curves of (voxels, directions)."""
        overlaps = self.overlaps if self.face.exponentials == 2 else None
        return LocalDrop(self._unit, curves @ self._nodes.T, overlaps, places)

    def remainder(self, curves: Curves) -> Tensor:
        """Sum of squares of the curves without the columns that don't depend on a rate, shape (voxels,)."""
        projected: Tensor = (curves.inside @ self._basis).square().sum(1)
        return curves.square - projected

    def regress(self, places: Tensor, heights: Tensor, curves: Curves) -> Regression:
        """The coefficients that belong to coefficients of r(θ), both of shape (rates, voxels)."""
        gains, levels, sizes = torch.empty_like(heights), self._inverse @ curves.inside.T, []
        for index, rate in enumerate(places):
            norm, length, _, *shadow = self._scale(rate)[0].T
            gains[index] = heights[index] / norm
            sizes.append(gains[index] * length)
            for level, part in zip(levels, shadow, strict=True):
                level -= part * gains[index]
        if self.face.reference and sizes:
            sizes[0] = sizes[0] + self._axis.log_rate(places[0]).exp() * levels[-1] * length
        every = [*sizes, *(levels * self._lengths[:, None])]
        smallest = torch.stack(every).amin(0) if every else torch.full_like(curves.square, torch.inf)
        return Regression(gains, levels, smallest)

    def directions(self, log_rates: Tensor, gains: Tensor, overlap: Tensor, held: Tensor) -> tuple[Matrix, Tensor]:
        """Covariance of the free numbers for noise of variance one.

        Parameters
        ----------
        log_rates, gains
            The optimum, each of shape (rates, voxels).
        overlap
            See `Drop`, shape (4 or 0, voxels).
        held
            Whether a rate is held on a bound, shape (rates, voxels).

        Returns
        -------
        Directions, see `dlif_core.kinetics.compartment.covariance`, and whether the numbers can't be told apart, shape
        (voxels,).
        """
        count = len(gains)
        scales = [[part.T for part in self._scale(place, 1)] for place in self._axis.place(log_rates)]
        inverse, singular = directions_of_inverse(_gram(overlap, [scale[2] for scale, _ in scales]), held)
        zero, stretch = torch.zeros_like(gains.sum(0)), 1 + self._axis.slow * (-log_rates).exp()  # d ln θ / du
        found = []
        for direction in inverse:
            moves = [*direction, *[zero] * (2 * count - len(direction))]
            found.append(self._numbers_move(moves[:count], moves[count:], gains, scales))
            found[-1][:count] = [move * part for move, part in zip(found[-1], stretch, strict=False)]
        of_levels = [[zero] * (2 * count) + [zero + part for part in level] for level in self._coordinates.T]
        return found + of_levels, singular

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

    def clamp(self, places: Tensor) -> Tensor:
        """The nearest places inside the bounds; of two, the second stays the faster one."""
        low, high = self.bounds
        if len(places) == 1:
            return places.clamp(low, high)
        slow = places[0].clamp(low, high - _CLOSEST)
        return torch.stack([slow, torch.maximum(places[1].clamp(low, high), slow + _CLOSEST)])

    def share_until_meeting(self, places: Tensor, step: Tensor) -> Tensor:
        """Share of a step of two rates that can be made until they can't be told apart, shape (voxels,)."""
        closing = (step[0] - step[1]).clamp_min_(_TINY)
        return (places[1] - places[0]).sub_(_CLOSEST).clamp_min_(0.0).div_(closing).clamp_max_(1.0)

    def too_close(self, places: Tensor) -> Tensor:
        """Whether two rates can't be told apart, shape (voxels,)."""
        close = torch.zeros_like(places[0], dtype=torch.bool) if len(places) else torch.tensor(False)
        for slow, fast in pairwise(places):
            close = close | (fast - slow < 1.01 * _CLOSEST)
        return close


class LocalDrop:
    """The drop of the residual sum as a function of the rates, close to given rates.

    There p and C are polynomials in the place of θ with coefficients of their own for every curve; those of p come from
    its values at the points of the grid.

    Parameters
    ----------
    unit
        r(θ).
    products
        p at the points of the grid, shape (voxels, points).
    overlaps
        Polynomials of C, see `Projection.overlaps`; None for one rate.
    places
        Shape (rates, voxels).
    """

    def __init__(self, unit: Interpolant, products: Tensor, overlaps: Tensor | None, places: Tensor) -> None:
        self._unit, self._values, self._overlaps = unit, products, overlaps
        self._stencil = torch.as_tensor(stencil(), device=products.device)
        self._members = torch.arange(len(products), device=products.device)
        self._points, _ = unit.nearest(places)
        self._products, self._overlap = self._polynomials(self._points, self._members)

    def _polynomials(self, points: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of p, shape (rates, powers, voxels), and of C, shape (powers, powers, voxels)."""
        powers, width = len(self._stencil), self._values.shape[1]
        windows = self._values.view(-1).unfold(0, powers, 1)
        starts = points + width * members
        products = torch.stack([self._stencil @ windows.index_select(0, start).T for start in starts])
        if self._overlaps is None:
            return products, products[:0]
        intervals = width - powers + 1
        pairs = self._overlaps.index_select(0, points[0] * intervals + points[1])
        return products, pairs.T.contiguous().view(powers, powers, -1)

    def keep(self, some: Tensor) -> None:
        """Go on with some of the curves."""
        self._members = self._members.index_select(0, some)
        self._points, self._products = self._points.index_select(-1, some), self._products.index_select(-1, some)
        self._overlap = self._overlap.index_select(-1, some)

    def __call__(self, places: Tensor) -> Drop:
        """The drop at places of shape (rates, voxels), which may have left the neighbourhood."""
        distance = (places - self._unit.first) / self._unit.step - self._points
        away = (distance.abs().amax(0) > _REACH).nonzero()[:, 0]
        if len(away):
            self._points[:, away], distance[:, away] = self._unit.nearest(places[:, away])
            found = self._polynomials(self._points[:, away], self._members[away])
            self._products[..., away], self._overlap[..., away] = found
        return Drop(torch.stack(self._of_one(distance) if len(distance) == 1 else self._of_two(distance)))

    def _of_one(self, distance: Tensor) -> list[Tensor]:
        p, slope, curvature = polynomial(self._products[0], distance[0], 2)
        first, second = 2 / self._unit.step, 2 / self._unit.step**2
        return [p**2, first * p * slope, second * (slope**2 + p * curvature), p]

    def _of_two(self, distance: Tensor) -> list[Tensor]:
        step = self._unit.step
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
        first, second = 2 / step, 2 / step**2
        return [
            *(p[0] * a[0] + p[1] * a[1], first * a[0] * lean[0], first * a[1] * lean[1]),
            *(second * h11, second * h12, second * h22, *a),
            *(overlap, own_turn / step, other_turn / step, twist / step**2),
        ]


def _continuing(vectors: Array) -> Array:
    """Signs that make each vector go on as the next one does, shape (vectors, 1).

    What remains of e^(−θt) ⊗ C_p beside its limit ∫C_p turns around where θ goes through zero.
    """
    same = np.sum(vectors[:-1] * vectors[1:], axis=1) >= 0
    return np.append(np.cumprod(np.where(same, 1.0, -1.0)[::-1])[::-1], 1.0)[:, None]


def _gram(overlap: Tensor, turns: list[Tensor]) -> Matrix:
    """Scalar products of the r(θ) and their derivatives, lower triangle; `turns` are lengths of the latter.

    Both are orthogonal to the columns without rate, and r(θ), of length one, to its own derivative.
    """
    if not turns:
        return []
    one = torch.ones_like(turns[0])
    if len(turns) == 1:
        return [[one], [0 * one, turns[0].square()]]
    product, first_turn, second_turn, twist = overlap
    return [
        [one],
        [product, one],
        [0 * one, first_turn, turns[0].square()],
        [second_turn, 0 * one, twist, turns[1].square()],
    ]


def _possible(coefficients: Sequence[Tensor] | Tensor, highest: list[float]) -> Tensor:
    """Whether coefficients of the fixed columns are from zero to their highest."""
    inside = torch.tensor(True)
    for coefficient, limit in zip(coefficients, highest, strict=True):
        inside = inside & (coefficient >= 0) & (coefficient <= limit)
    return inside


def solve_pair(overlap: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Solution of [[1, c], [c, 1]] x = (first, second)."""
    spread = 1 / ((1 - overlap) * (1 + overlap))
    return (first - overlap * second) * spread, (second - overlap * first) * spread
