"""Standard errors of the free numbers of a fit and, by the delta method, of the parameters of its model.

A covariance is kept as directions d₁, d₂ … with covariance = Σ dᵢ dᵢᵀ: the variance of f(x) is then Σ (∇f·dᵢ)², one
derivative of f along each direction. Matrices are small and voxels many, so entries are tensors along the voxels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlif_core.kinetics.compartment.active_set import ActiveSet, kinetic_parameters
from dlif_core.kinetics.model import Model

Matrix = list[list[Tensor]]

#: Pivot of the normalised normal equations below which parameters aren't identifiable.
_SINGULAR = 1e-13
#: Step of the complex-step derivative, exact to rounding (Squire & Trapp, SIAM Rev 1998;40:110).
_STEP = 1e-50


def directions_of_inverse(gram: Matrix, held: Sequence[Tensor] | Tensor) -> tuple[Matrix, Tensor]:
    """Directions of the inverse of positive definite matrices, by Cholesky factorisation.

    Parameters
    ----------
    gram
        Lower triangle.
    held
        Which of the last numbers are held on a bound and so have no variance.

    Returns
    -------
    One direction for each number, which ends at that number, and whether the matrix is singular, shape (voxels,).
    """
    norm = [row[-1].clamp_min(1e-300).rsqrt() for row in gram]
    for number, fast in enumerate(held, len(norm) - len(held)):
        norm[number] = norm[number] * ~fast
    singular = torch.tensor(False)
    lower: Matrix = []
    for i, row in enumerate(gram):
        lower.append([])
        for j in range(i):
            lower[i].append((norm[i] * norm[j] * row[j] - _inner(lower[i], lower[j])) / lower[j][j])
        pivot = 1 - _inner(lower[i], lower[i])
        singular = singular | ~(pivot > _SINGULAR)
        lower[i].append(pivot.sqrt())
    return [[entry * size for entry, size in zip(row, norm, strict=False)] for row in _inverse(lower)], singular


def _inner(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Scalar product as far as both go."""
    return sum((a * b for a, b in zip(first, second, strict=False)), torch.tensor(0.0, dtype=torch.float64))


def _inverse(lower: Matrix) -> Matrix:
    """Inverse of lower triangular matrices, given by rows up to the diagonal."""
    inverse: Matrix = []
    for i, row in enumerate(lower):
        below = [_inner(row[j:i], [inverse[k][j] for k in range(j, i)]) for j in range(i)]
        inverse.append([-entry / row[i] for entry in below] + [1 / row[i]])
    return inverse


def propagate(
    model: Model,
    active_set: ActiveSet,
    blood_volume: float | None,
    free: Sequence[Tensor],
    directions: Matrix,
    like: Tensor,
) -> tuple[Tensor, Tensor]:
    """Parameters and their variances by the delta method, each of shape (parameters, voxels).

    Parameters
    ----------
    model, active_set, blood_volume, free, like
        The same as those of `kinetic_parameters`.
    directions
        Directions of the covariance of the free numbers.
    """
    values = torch.stack(kinetic_parameters(model, active_set, blood_volume, free, like))
    variances = torch.zeros_like(values)
    for direction in directions:
        numbers = [torch.complex(number, _STEP * change) for number, change in zip(free, direction, strict=True)]
        perturbed = kinetic_parameters(model, active_set, blood_volume, numbers, torch.complex(like, like))
        variances += (torch.stack(perturbed).imag / _STEP).square()
    return values, variances
