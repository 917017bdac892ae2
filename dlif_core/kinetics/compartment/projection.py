"""Variable projection: the residual sum as a function of the rates alone, for many curves at once.

For given rates the best coefficients are linear regression (Golub & Pereyra, SIAM J Numer Anal 1973;10:413). The
columns that don't depend on a rate are projected out once; r(θ) is what remains of an exponential, at unit length.
With p(θ) = r(θ)·y, they reduce the residual sum by p² for one exponential and by pᵀ C⁻¹ p for two, C their Gram matrix
(`CostReduction`). So a whole grid of rates costs one matrix product.
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

from dlif_core.kinetics.compartment.active_set import ActiveSet
from dlif_core.kinetics.compartment.cost_reduction import LocalCostReduction
from dlif_core.kinetics.compartment.covariance import Matrix, directions_of_inverse
from dlif_core.kinetics.compartment.design import MARGIN, Curves, Interpolant, RateAxis, tile_size

Array = NDArray[np.float64]
#: Bounds that a search keeps: none, coefficients ≥ 0 ("lower"), or vB ≤ 1 too ("all").
Bounds = Literal["none", "lower", "all"]

#: Steps of a search in points of the grid, by number of exponentials.
_STRIDE = (1, 3, 3)
#: Rates closer together than this, by their positions, can't be told apart.
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


class Projection:
    """The exponentials of one scan with the columns without rate of an active set projected out.

    Parameters
    ----------
    axis
        The axis of the rates.
    exponential
        Coordinates of the weighted columns at the grid, shape (points, directions).
    fixed
        Coordinates of the columns that don't depend on a rate, shape (columns, directions); ∫C_p before C_WB or C_R.
    active_set
        The active set to which these columns belong.
    device
        Where to compute.
    """

    def __init__(self, axis: RateAxis, exponential: Array, fixed: Array, active_set: ActiveSet, device: str) -> None:
        basis, triangle = np.linalg.qr(fixed.T)
        remainder = exponential - (exponential @ basis) @ basis.T
        remainder -= (remainder @ basis) @ basis.T
        norm = np.linalg.norm(remainder, axis=1, keepdims=True) * _continuing(remainder)
        coordinates = np.linalg.pinv(triangle)
        inverse = coordinates @ basis.T
        shadow = exponential @ inverse.T
        positions, inside = axis.positions, slice(MARGIN, MARGIN + axis.points)
        self._axis, self._unit = axis, Interpolant.through(positions, remainder / norm, device)
        self._nodes = torch.as_tensor(remainder / norm, device=device)
        self.active_set = active_set
        derivative = self._unit(torch.as_tensor(positions, device=device), 1)[1].cpu().numpy()
        lengths = [norm, *(np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (exponential, derivative))]
        self._scale = Interpolant.through(positions, np.hstack([*lengths, shadow]), device)
        self.bounds = float(positions[inside][0]), float(positions[inside][-1])
        every = positions, remainder / norm, norm, shadow, axis.rates[:, None]
        grid = [part[inside][:: _STRIDE[active_set.exponentials]] for part in every]
        self._grid, self._grid_unit, self._grid_norm, self._shadow, self._grid_rates = (
            torch.as_tensor(np.ascontiguousarray(a), device=device) for a in grid
        )
        self._basis, self._inverse, self._coordinates, self._lengths = (
            torch.as_tensor(a, device=device) for a in (basis, inverse, coordinates, np.linalg.norm(fixed, axis=1))
        )
        highest = [torch.inf] * (active_set.integral + active_set.reference) + [1.0] * (active_set.blood == "free")
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
        best = self._best_of_one if self.active_set.exponentials == 1 else self._best_of_two
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
            if self.active_set.reference:
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
        """Reductions for a slower rate with each faster one: by the slower one, then what the faster one adds."""
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

    def around(self, positions: Tensor, curves: Tensor) -> LocalCostReduction:
        """The cost reduction near positions of shape (rates, voxels), for curves of shape (voxels, directions)."""
        overlaps = self.overlaps if self.active_set.exponentials == 2 else None
        return LocalCostReduction(self._unit, curves @ self._nodes.T, overlaps, positions)

    def remainder(self, curves: Curves) -> Tensor:
        """Sum of squares of the curves without the columns that don't depend on a rate, shape (voxels,)."""
        projected: Tensor = (curves.inside @ self._basis).square().sum(1)
        return curves.square - projected

    def regress(self, positions: Tensor, amplitudes: Tensor, curves: Curves) -> Regression:
        """The coefficients that belong to coefficients of r(θ), both of shape (rates, voxels)."""
        gains, levels, sizes = torch.empty_like(amplitudes), self._inverse @ curves.inside.T, []
        for index, rate in enumerate(positions):
            norm, length, _, *shadow = self._scale(rate)[0].T
            gains[index] = amplitudes[index] / norm
            sizes.append(gains[index] * length)
            for level, part in zip(levels, shadow, strict=True):
                level -= part * gains[index]
        if self.active_set.reference and sizes:
            sizes[0] = sizes[0] + self._axis.log_rate(positions[0]).exp() * levels[-1] * length
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
            See `CostReduction.overlap`, shape (4 or 0, voxels).
        held
            Whether a rate is held on a bound, shape (rates, voxels).

        Returns
        -------
        Directions, see `dlif_core.kinetics.compartment.covariance`, and whether the numbers can't be told apart, shape
        (voxels,).
        """
        count = len(gains)
        scales = [[part.T for part in self._scale(place, 1)] for place in self._axis.position(log_rates)]
        inverse, singular = directions_of_inverse(_gram(overlap, [scale[2] for scale, _ in scales]), held)
        zero, stretch = torch.zeros_like(gains.sum(0)), 1 + self._axis.slow * (-log_rates).exp()  # d ln θ / du
        found = []
        for direction in inverse:
            along = [*direction, *[zero] * (2 * count - len(direction))]
            found.append(self._change_of_numbers(along[:count], along[count:], gains, scales))
            found[-1][:count] = [change * part for change, part in zip(found[-1], stretch, strict=False)]
        of_levels = [[zero] * (2 * count) + [zero + part for part in level] for level in self._coordinates.T]
        return found + of_levels, singular

    def _change_of_numbers(
        self, along_unit: list[Tensor], along_derivative: list[Tensor], gains: Tensor, scales: list[list[Tensor]]
    ) -> list[Tensor]:
        """Change of the free numbers: positions of the rates, gains and levels.

        Parameters
        ----------
        along_unit, along_derivative
            Change of the model curve, as coefficients of every r(θ) and of its derivative by the position.
        gains
            Coefficients of the exponentials, shape (rates, voxels).
        scales
            Lengths, shares in the columns without rate, and the derivatives of these, for every rate.
        """
        rates, gain_changes = [], []
        levels = [torch.zeros_like(gains[0])] * len(self._lengths)
        for amplitude, derivative, gain, (scale, slope) in zip(
            along_unit, along_derivative, gains, scales, strict=True
        ):
            rates.append(derivative / (gain * scale[0]))
            gain_changes.append((amplitude - gain * slope[0] * rates[-1]) / scale[0])
            shares = zip(levels, scale[3:], slope[3:], strict=True)
            levels = [level - gain_changes[-1] * part - gain * rates[-1] * rise for level, part, rise in shares]
        return [*rates, *gain_changes, *levels]

    def clamp(self, positions: Tensor) -> Tensor:
        """The nearest positions inside the bounds; of two, the second stays the faster one."""
        low, high = self.bounds
        if len(positions) == 1:
            return positions.clamp(low, high)
        slow = positions[0].clamp(low, high - _CLOSEST)
        return torch.stack([slow, torch.maximum(positions[1].clamp(low, high), slow + _CLOSEST)])

    def share_until_meeting(self, positions: Tensor, step: Tensor) -> Tensor:
        """Share of a step of two rates that can be made until they can't be told apart, shape (voxels,)."""
        closing = (step[0] - step[1]).clamp_min_(_TINY)
        return (positions[1] - positions[0]).sub_(_CLOSEST).clamp_min_(0.0).div_(closing).clamp_max_(1.0)

    def too_close(self, positions: Tensor) -> Tensor:
        """Whether two rates can't be told apart, shape (voxels,)."""
        close = torch.zeros_like(positions[0], dtype=torch.bool) if len(positions) else torch.tensor(False)
        for slow, fast in pairwise(positions):
            close = close | (fast - slow < 1.01 * _CLOSEST)
        return close


def _continuing(vectors: Array) -> Array:
    """Signs that make each vector go on as the next one does, shape (vectors, 1).

    What remains of e^(−θt) ⊗ C_p beside its limit ∫C_p changes its sign where θ goes through zero.
    """
    same = np.sum(vectors[:-1] * vectors[1:], axis=1) >= 0
    return np.append(np.cumprod(np.where(same, 1.0, -1.0)[::-1])[::-1], 1.0)[:, None]


def _gram(overlap: Tensor, lengths: list[Tensor]) -> Matrix:
    """Scalar products of the r(θ) and their derivatives, lower triangle; `lengths` are those of the derivatives.

    Both are orthogonal to the columns without rate, and r(θ), of length one, to its own derivative.
    """
    if not lengths:
        return []
    one = torch.ones_like(lengths[0])
    if len(lengths) == 1:
        return [[one], [0 * one, lengths[0].square()]]
    c, d1_c, d2_c, d12_c = overlap
    return [
        [one],
        [c, one],
        [0 * one, d1_c, lengths[0].square()],
        [d2_c, 0 * one, d12_c, lengths[1].square()],
    ]


def _possible(coefficients: Sequence[Tensor] | Tensor, highest: list[float]) -> Tensor:
    """Whether coefficients of the fixed columns are from zero to their highest."""
    inside = torch.tensor(True)
    for coefficient, limit in zip(coefficients, highest, strict=True):
        inside = inside & (coefficient >= 0) & (coefficient <= limit)
    return inside
