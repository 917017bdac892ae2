"""The reduction of the residual sum of squares by one or two exponentials, with its derivatives by their rates.

With r(θ) what the columns without rate leave of an exponential, at unit length, and p(θ) = r(θ)·y, it is p² for one
exponential and pᵀ C⁻¹ p for two, C being their Gram matrix [[1, c], [c, 1]] with c = r(θ₁)·r(θ₂).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlif_core.kinetics.compartment.design import Interpolant, polynomial, stencil

#: Steps from the middle of its interval up to which a polynomial holds.
_REACH = 1.5


@dataclass(frozen=True)
class CostReduction:
    """Reduction of the residual sum of squares with its derivatives by the positions of the rates on their axis.

    Attributes
    ----------
    parts
        All numbers below it, one after the other, shape (numbers, voxels): 4 for one rate, 12 for two.
    """

    parts: Tensor

    @property
    def value(self) -> Tensor:
        """The reduction itself, shape (voxels,)."""
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
    def amplitudes(self) -> Tensor:
        """Coefficients of the r(θ), shape (rates, voxels)."""
        return self.parts[6:8] if len(self.parts) > 4 else self.parts[3:]

    @property
    def overlap(self) -> Tensor:
        """Scalar product of the two r(θ), its derivatives by either rate and by both, shape (4 or 0, voxels)."""
        return self.parts[8:]


class LocalCostReduction:
    """The reduction of the residual sum as a function of the rates, close to given rates.

    There p and C are polynomials in the position of θ with coefficients of their own for every curve; those of p come
    from its values at the points of the grid.

    Parameters
    ----------
    unit
        r(θ).
    products
        p at the points of the grid, shape (voxels, points).
    overlaps
        Polynomials of C, see `Projection.overlaps`; None for one rate.
    positions
        Shape (rates, voxels).
    """

    def __init__(self, unit: Interpolant, products: Tensor, overlaps: Tensor | None, positions: Tensor) -> None:
        self._unit, self._values, self._overlaps = unit, products, overlaps
        self._stencil = torch.as_tensor(stencil(), device=products.device)
        self._members = torch.arange(len(products), device=products.device)
        self._points, _ = unit.nearest(positions)
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
        """Keep only some of the curves."""
        self._members = self._members.index_select(0, some)
        self._points, self._products = self._points.index_select(-1, some), self._products.index_select(-1, some)
        self._overlap = self._overlap.index_select(-1, some)

    def __call__(self, positions: Tensor) -> CostReduction:
        """The reduction at positions of shape (rates, voxels), which may be far from those given before."""
        distance = (positions - self._unit.first) / self._unit.step - self._points
        away = (distance.abs().amax(0) > _REACH).nonzero()[:, 0]
        if len(away):
            self._points[:, away], distance[:, away] = self._unit.nearest(positions[:, away])
            found = self._polynomials(self._points[:, away], self._members[away])
            self._products[..., away], self._overlap[..., away] = found
        return CostReduction(torch.stack(self._of_one(distance) if len(distance) == 1 else self._of_two(distance)))

    def _of_one(self, distance: Tensor) -> list[Tensor]:
        p, slope, curvature = polynomial(self._products[0], distance[0], 2)
        first, second = 2 / self._unit.step, 2 / self._unit.step**2
        return [p**2, first * p * slope, second * (slope**2 + p * curvature), p]

    def _of_two(self, distance: Tensor) -> list[Tensor]:
        """Numbers of `CostReduction` for two rates.

        With c = r(θ₁)·r(θ₂), a = C⁻¹ p the amplitudes and ∂ᵢ the derivative by the position of θᵢ, it is p·a, and

            gᵢ = ∂ᵢpᵢ − aⱼ ∂ᵢc,    ∂ᵢ(p·a) = 2 aᵢ gᵢ,
            ∂₁a = C⁻¹ (g₁, −a₁ ∂₁c),    ∂₂a = C⁻¹ (−a₂ ∂₂c, g₂),
            ½ ∂₁∂₁(p·a) = g₁ ∂₁a₁ + a₁ (∂₁∂₁p₁ − ∂₁a₂ ∂₁c − a₂ ∂₁∂₁c),
            ½ ∂₁∂₂(p·a) = g₁ ∂₂a₁ − a₁ (∂₂a₂ ∂₁c + a₂ ∂₁∂₂c).
        """
        step = self._unit.step
        p, slope, curvature = zip(
            *(polynomial(*pair, 2) for pair in zip(self._products, distance, strict=True)), strict=True
        )
        c, d1_c, d2_c, d11_c, d12_c, d22_c = self._overlap_derivatives(distance)
        a = solve_pair(c, p[0], p[1])
        g1, g2 = slope[0] - a[1] * d1_c, slope[1] - a[0] * d2_c
        d1_a, d2_a = solve_pair(c, g1, -d1_c * a[0]), solve_pair(c, -d2_c * a[1], g2)
        h11 = d1_a[0] * g1 + a[0] * (curvature[0] - d1_a[1] * d1_c - a[1] * d11_c)
        h22 = d2_a[1] * g2 + a[1] * (curvature[1] - d2_a[0] * d2_c - a[0] * d22_c)
        h12 = d2_a[0] * g1 - a[0] * (d2_a[1] * d1_c + a[1] * d12_c)
        first, second = 2 / step, 2 / step**2
        return [
            *(p[0] * a[0] + p[1] * a[1], first * a[0] * g1, first * a[1] * g2),
            *(second * h11, second * h12, second * h22, *a),
            *(c, d1_c / step, d2_c / step, d12_c / step**2),
        ]

    def _overlap_derivatives(self, distance: Tensor) -> tuple[Tensor, ...]:
        """r(θ₁)·r(θ₂) and its derivatives by the positions of the rates: c, ∂₁c, ∂₂c, ∂₁∂₁c, ∂₁∂₂c, ∂₂∂₂c."""
        values, slopes, curvatures = polynomial(self._overlap, distance[0], 2)
        c, d2_c, d22_c = polynomial(values, distance[1], 2)
        d1_c, d12_c = polynomial(slopes, distance[1], 1)
        return c, d1_c, d2_c, polynomial(curvatures, distance[1], 0)[0], d12_c, d22_c


def solve_pair(overlap: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Solution of [[1, c], [c, 1]] x = (first, second)."""
    spread = 1 / ((1 - overlap) * (1 + overlap))
    return (first - overlap * second) * spread, (second - overlap * first) * spread
