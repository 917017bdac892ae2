"""Non-negative least squares of many curves on the same columns.

The active-set method of Lawson & Hanson (Solving Least Squares Problems, Prentice-Hall 1974), run for many curves at
once. The few columns that a curve uses stand in its slots; small matrices and vectors have the curves along their last
dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Curves that are worked on at once.
_TILE = 16384
#: Slope of the residual sum, as share of the curve's norm, that is rounding.
_ROUNDING = 1e-10
#: Pivot of the normal equations of normalised columns below which a column depends on those before it.
_DEPENDENT = 1e-13
_ITERATIONS = 200
_TINY = 1e-300


@dataclass(frozen=True)
class Solution:
    """The columns in use and their coefficients.

    Attributes
    ----------
    support
        Index of the column in each slot, rising, shape (slots, curves); the number of columns where a slot is empty.
    amount
        Coefficients, above zero, and zero in empty slots, shape (slots, curves).
    converged
        Shape (curves,).
    """

    support: Tensor
    amount: Tensor
    converged: Tensor

    def replaced(self, where: Tensor, other: Solution, empty: int) -> Solution:
        """The same with another solution of those curves for which `where`, of shape (curves,), is true."""
        slots = max(len(self.support), len(other.support))
        support, amount = _filled(self.support, slots, empty), _filled(self.amount, slots, 0)
        converged = self.converged.clone()
        support[:, where], amount[:, where] = _filled(other.support, slots, empty), _filled(other.amount, slots, 0)
        converged[where] = other.converged
        return Solution(support, amount, converged)


class NonNegativeSolver:
    """Coefficients ≥ 0 of columns that minimise the residual sums of curves.

    Parameters
    ----------
    columns
        Shape (columns, directions).
    """

    def __init__(self, columns: Tensor) -> None:
        self.empty = len(columns)
        norm = columns.norm(dim=1)
        self._norm = torch.cat([norm.where(norm > 0, 1.0), columns.new_ones(1)])
        self._columns = torch.cat([columns, columns.new_zeros(1, columns.shape[1])]) / self._norm[:, None]
        self._overlap = (self._columns @ self._columns.T).flatten()

    def solve(self, curves: Tensor, usable: int) -> Solution:
        """Fit curves of shape (curves, directions) by the first `usable` columns."""
        tiles = [_Tile(self, curves[first : first + _TILE], usable) for first in range(0, len(curves), _TILE)]
        slots = max(len(tile.support) for tile in tiles)
        support = torch.cat([_filled(tile.support, slots, self.empty) for tile in tiles], dim=1)
        amount = torch.cat([_filled(tile.amount, slots, 0) for tile in tiles], dim=1)
        support, order = support.sort(dim=0)
        converged = torch.cat([tile.converged for tile in tiles])
        return Solution(support, amount.gather(0, order) / self._norm[support], converged)

    def variances(self, support: Tensor, functions: Sequence[Tensor]) -> list[Tensor]:
        """Variances of linear functions of the coefficients in slots, where every frame has the variance 1.

        Parameters
        ----------
        support
            Shape (slots, curves).
        functions
            Their coefficients, each of the same shape, zero in empty slots.

        Returns
        -------
        Each of shape (curves,).
        """
        lower, norm = self._cholesky(support), self._norm[support]
        return [_forward(lower, function / norm).square().sum(0) for function in functions]

    def left(self, curves: Tensor, solution: Solution) -> Tensor:
        """What a solution leaves of curves, shape (curves, directions)."""
        return self._left(curves, solution.support, solution.amount * self._norm[solution.support])

    def slopes(self, curves: Tensor, support: Tensor, amount: Tensor) -> Tensor:
        """Scalar products of what is left of curves with normalised columns, shape (curves, columns + 1)."""
        return self._left(curves, support, amount) @ self._columns.T

    def _left(self, curves: Tensor, support: Tensor, amount: Tensor) -> Tensor:
        dense = amount.new_zeros(len(curves), self.empty + 1).scatter_(1, support.T, amount.T)
        return curves - dense @ self._columns

    def correction(self, support: Tensor, slopes: Tensor) -> Tensor:
        """What coefficients of normalised columns in slots lack to those of least squares, shape (slots, curves)."""
        lower = self._cholesky(support)
        return _backward(lower, _forward(lower, slopes.gather(1, support.T).T))

    def _cholesky(self, support: Tensor) -> Tensor:
        """Lower factor of the normal equations; its pivot is infinite for a dependent column, which then gets zero."""
        matrix = self._overlap[support[:, None] * (self.empty + 1) + support]
        for j in range(len(support)):
            column = matrix[j + 1 :, j] - (matrix[j + 1 :, :j] * matrix[j, :j]).sum(1)
            pivot = 1.0 - matrix[j, :j].square().sum(0)
            matrix[j, j] = torch.where(pivot > _DEPENDENT, pivot, torch.inf).sqrt()
            matrix[j + 1 :, j] = column / matrix[j, j]
        return matrix


def _forward(lower: Tensor, right: Tensor) -> Tensor:
    """Solve L z = b."""
    solution = torch.empty_like(right)
    for i in range(len(right)):
        solution[i] = (right[i] - (lower[i, :i] * solution[:i]).sum(0)) / lower[i, i]
    return solution


def _backward(lower: Tensor, right: Tensor) -> Tensor:
    """Solve Lᵀ x = z."""
    solution = torch.empty_like(right)
    for i in reversed(range(len(right))):
        solution[i] = (right[i] - (lower[i + 1 :, i] * solution[i + 1 :]).sum(0)) / lower[i, i]
    return solution


class _Tile:
    """The active-set method for the curves of a tile."""

    def __init__(self, solver: NonNegativeSolver, curves: Tensor, usable: int) -> None:
        self._solver, self._curves = solver, curves
        self.support = torch.full((0, len(curves)), solver.empty, device=curves.device)
        self.amount = curves.new_zeros(0, len(curves))
        limit, active = _ROUNDING * curves.norm(dim=1), torch.arange(len(curves), device=curves.device)
        for _ in range(_ITERATIONS):
            slopes = self._slopes(active)
            steepest = slopes.scatter(1, self.support[:, active].T, -torch.inf)[:, :usable].max(dim=1)
            rising = steepest.values > limit[active]
            active = active[rising]
            if not len(active):
                break
            self._add(active, steepest.indices[rising])
            active = active[self._settle(active, slopes[rising])]
        self.converged = torch.ones(len(curves), dtype=torch.bool, device=curves.device)
        self.converged[active] = False

    def _slopes(self, curves: Tensor) -> Tensor:
        return self._solver.slopes(self._curves[curves], self.support[:, curves], self.amount[:, curves])

    def _add(self, curves: Tensor, column: Tensor) -> None:
        """Put a column into an empty slot of each curve, with the coefficient zero."""
        if not (self.support[:, curves] == self._solver.empty).any(0).all():
            self.support = _filled(self.support, len(self.support) + 1, self._solver.empty)
            self.amount = _filled(self.amount, len(self.support), 0)
        slot = (self.support[:, curves] == self._solver.empty).int().argmax(0)
        self.support[slot, curves] = column

    def _settle(self, curves: Tensor, slopes: Tensor) -> Tensor:
        """Go to the optimum of the columns in use and drop those that become negative; False where nothing moved."""
        moved = torch.ones_like(curves, dtype=torch.bool)
        todo = torch.arange(len(curves), device=curves.device)
        while len(todo):
            lanes = curves[todo]
            support, here = self.support[:, lanes], self.amount[:, lanes]
            step = self._solver.correction(support, slopes)
            negative = (here + step <= 0) & (support != self._solver.empty)
            way = torch.where(negative, here / (-step).clamp_min(_TINY), torch.inf)
            share = way.amin(0)
            dropped = negative & (way <= share)
            self.amount[:, lanes] = (here + share.clamp_max(1.0) * step).masked_fill(dropped, 0.0)
            self.support[:, lanes] = support.masked_fill(dropped, self._solver.empty)
            moved[todo] &= share > 0
            todo = todo[negative.any(0)]
            slopes = self._slopes(curves[todo])
        return moved


def _filled(slots: Tensor, count: int, value: int) -> Tensor:
    """The slots with further ones that hold a value."""
    return torch.cat([slots, slots.new_full((count - len(slots), slots.shape[1]), value)])
