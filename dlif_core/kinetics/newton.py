"""Damped Newton ascent for many small problems at once; problems that have converged leave the batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlif_core.kinetics.projection import Drop, Projection

_ITERATIONS = 60
_LONGEST_STEP = 1.5
#: A step this short [ln θ], or one that promises no more than rounding, ends the ascent. It is still taken; where it
#: is not damped, convergence is quadratic and it may be longer.
_STEP, _UNDAMPED_STEP, _GAIN = 1e-9, 1e-5, 1e-14
_TINY = 1e-300


@dataclass(frozen=True)
class Ascent:
    """Local maxima of the drop.

    Attributes
    ----------
    log_rates
        Shape (rates, voxels).
    heights
        Coefficients of the r(θ), shape (rates, voxels).
    drop
        Drop of the residual sum, shape (voxels,).
    converged
        Shape (voxels,).
    """

    log_rates: Tensor
    heights: Tensor
    drop: Tensor
    converged: Tensor


def ascend(projection: Projection, start: Tensor, curves: Tensor) -> Ascent:
    """Rates at the local maximum of the drop, from a start near it.

    Parameters
    ----------
    projection
        Gives the drop and its derivatives.
    start
        Logarithms of the rates, shape (rates, voxels).
    curves
        Coordinates, shape (voxels, directions).
    """
    found = projection.clamp(start)
    converged = torch.zeros(found.shape[1], dtype=torch.bool, device=found.device)
    active = torch.arange(found.shape[1], device=found.device)
    drop = projection.around(found, curves)
    here = drop(found)
    heights, value = here.heights.clone(), here.value.clone()
    damping = torch.zeros_like(here.value)
    for _ in range(_ITERATIONS):
        at = found[:, active]
        step, gain = _step(projection, at, here, damping)
        trial = projection.clamp(at + step)
        ahead = drop(trial)
        shortest = torch.where(damping > 0, _STEP, _UNDAMPED_STEP)
        final = ((trial - at).abs().amax(0) < shortest) | (gain.abs() <= _GAIN * here.value)
        better = (ahead.value >= here.value) | final
        here = _choose(better, ahead, here)
        found[:, active] = torch.where(better, trial, at)
        heights[:, active], value[active], converged[active] = here.heights, here.value, final
        keep = (~final).nonzero()[:, 0]
        if not len(keep):
            break
        damping = torch.where(better, 0.0, (10 * damping).clamp_min(1.0))[keep]
        here, active = Drop(*(part[..., keep] for part in vars(here).values())), active[keep]
        drop.keep(keep)
    return Ascent(found, heights, value, converged)


def _choose(better: Tensor, ahead: Drop, here: Drop) -> Drop:
    parts = zip(vars(ahead).values(), vars(here).values(), strict=True)
    return Drop(*(torch.where(better, new, old) for new, old in parts))


def _step(projection: Projection, at: Tensor, here: Drop, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The damped Newton step, shape (rates, voxels), and the gain that the quadratic promises."""
    low, high = projection.bounds
    held: Tensor = ((at <= low) & (here.gradient < 0)) | ((at >= high) & (here.gradient > 0))
    gradient = torch.where(held, 0.0, here.gradient)
    step = _newton_step(-here.curvature, gradient, held) / (1 + damping)
    step = step * (_LONGEST_STEP / (step.abs().amax(0) + _TINY)).clamp_max(1.0)
    return step, (gradient * step).sum(0)


def _newton_step(matrix: Tensor, right: Tensor, held: Tensor) -> Tensor:
    """|A|⁻¹ g: Newton's step where A is positive definite, an ascent of the same scale where it is not."""
    if len(right) == 1:
        return torch.div(right, matrix[0, 0].abs() + _TINY)
    h11, h22 = torch.where(held, 1.0, torch.stack([matrix[0, 0], matrix[1, 1]]))
    h12 = torch.where(held.any(0), 0.0, matrix[0, 1])
    h11, h12, h22 = _absolute(h11, h12, h22)
    determinant = h11 * h22 - h12**2 + _TINY
    return torch.stack([h22 * right[0] - h12 * right[1], h11 * right[1] - h12 * right[0]]) / determinant


def _absolute(h11: Tensor, h12: Tensor, h22: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """|A| of symmetric 2×2 matrices: eigenvalues by absolute value, eigenvectors unchanged.

    For eigenvalues λ₁ > 0 > λ₂ it is A + 2 |λ₂| (λ₁ − A) / (λ₁ − λ₂). The smaller eigenvalue comes from the
    determinant, because the two may differ by many orders of magnitude.
    """
    half, radius = 0.5 * (h11 + h22), torch.hypot(0.5 * (h11 - h22), h12) + _TINY
    determinant = h11 * h22 - h12**2
    sign = torch.where((determinant > 0) & (half < 0), -1.0, 1.0)
    outer = half.abs() + radius
    inner = determinant.abs() / outer
    upper, lower = torch.where(half > 0, outer, inner), torch.where(half > 0, inner, outer)
    share = torch.where(determinant < 0, lower / radius, 0.0)
    return (
        sign * h11 + share * (upper - h11),
        sign * h12 - share * h12,
        sign * h22 + share * (upper - h22),
    )
