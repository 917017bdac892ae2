"""Damped Newton ascent for many small problems at once; problems that have converged leave the batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlif_core.kinetics.compartment.cost_reduction import CostReduction
from dlif_core.kinetics.compartment.design import tile_size
from dlif_core.kinetics.compartment.projection import Projection

#: Steps at most: of all curves tile by tile, then of all those left at once.
_STEPS, _MORE_STEPS = 7, 33
_LONGEST_STEP = 1.5
#: A step this short, or one that promises no more than rounding, ends the ascent. It is still taken; where it
#: is not damped, convergence is quadratic and it may be longer.
_STEP, _UNDAMPED_STEP, _GAIN = 1e-9, 1e-5, 1e-14
#: Share of a batch that must be left for it to go on as it is; copying what is left takes as long as a step.
_WORTH_KEEPING = 0.7
#: Curves that ascend at once, so that their polynomials stay in the cache.
_TILE = 4096
_TINY = 1e-300


@dataclass(frozen=True)
class Ascent:
    """Local maxima of the cost reduction.

    Attributes
    ----------
    positions
        Shape (rates, voxels).
    reduction
        The cost reduction and its derivatives there.
    converged
        Shape (voxels,).
    """

    positions: Tensor
    reduction: CostReduction
    converged: Tensor


def ascend(projection: Projection, start: Tensor, curves: Tensor) -> Ascent:
    """Rates at the local maximum of the cost reduction, from a start near it.

    Parameters
    ----------
    projection
        Gives the cost reduction and its derivatives.
    start
        Positions of the rates, shape (rates, voxels).
    curves
        Coordinates, shape (voxels, directions).
    """
    size = tile_size(curves, _TILE)
    tiles = zip(torch.split(start, size, 1), torch.split(curves, size), strict=True)
    parts = zip(*(_climb(projection, *tile, _STEPS) for tile in tiles), strict=True)
    at, reduction, done = (torch.cat(part, -1) for part in parts)
    left = (~done).nonzero()[:, 0]
    if len(left):
        further = _climb(projection, at[:, left], curves.index_select(0, left), _MORE_STEPS)
        for whole, part in zip((at, reduction, done), further, strict=True):
            whole[..., left] = part
    return Ascent(at, CostReduction(reduction), done)


def _climb(projection: Projection, start: Tensor, curves: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rates, parts of the reduction and whether they have converged, after some steps."""
    at = projection.clamp(start)
    reduction = projection.around(at, curves)
    here = reduction(at).parts
    done = torch.zeros_like(here[0], dtype=torch.bool)
    found = at.clone(), here.clone(), done.clone()
    active, damping = torch.arange(at.shape[1], device=at.device), torch.zeros_like(here[0])
    for _ in range(steps):
        step, gain = _step(projection, at, CostReduction(here), damping)
        trial = projection.clamp(at + step)
        ahead = reduction(trial).parts
        shortest = torch.where(damping > 0, _STEP, _UNDAMPED_STEP)
        final = ((trial - at).abs_().amax(0) < shortest) | (gain.abs() <= _GAIN * here[0])
        better = ((ahead[0] >= here[0]) | final) & ~done
        _keep_old(~better, (trial, at), (ahead, here))
        at, here, done = trial, ahead, done | final
        damping = torch.where(better, 0.0, (10 * damping).clamp_min_(1.0))
        left = int((~done).sum())
        if left <= _WORTH_KEEPING * len(done):
            for whole, part in zip(found, (at, here, done), strict=True):
                whole[..., active] = part
            if not left:
                return found
            keep = (~done).nonzero()[:, 0]
            at, here, done, active, damping = (
                part.index_select(-1, keep) for part in (at, here, done, active, damping)
            )
            reduction.keep(keep)
    for whole, part in zip(found, (at, here, done), strict=True):
        whole[..., active] = part
    return found


def _keep_old(where: Tensor, *pairs: tuple[Tensor, Tensor]) -> None:
    """Put the old in place of the new where it is to stay."""
    some = where.nonzero()[:, 0]
    if len(some):
        for new, old in pairs:
            new[..., some] = old[..., some]


def _step(projection: Projection, at: Tensor, here: CostReduction, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The damped Newton step, shape (rates, voxels), and the gain that the quadratic promises.

    It ends where two rates meet. Where it crosses a bound it ends there, and the other rate goes to its best value for
    that.
    """
    low, high = projection.bounds
    held: Tensor = ((at <= low) & (here.gradient < 0)) | ((at >= high) & (here.gradient > 0))
    gradient = here.gradient * ~held
    matrix = _positive(here.curvature, held)
    step = _solved(matrix, gradient) / (1 + damping)
    step = step * (_LONGEST_STEP / (step.abs().amax(0) + _TINY)).clamp_max(1.0)
    if len(at) == 2:
        step *= projection.share_until_meeting(at, step)
        _stop_at_bounds(projection.bounds, at, step, matrix, gradient, damping)
    return step, (gradient * step).sum(0)


def _positive(curvature: Tensor, held: Tensor) -> tuple[Tensor, ...]:
    """Minus the curvature with eigenvalues by absolute value, its lower triangle; one for a rate that is held."""
    if len(held) == 1:
        return (curvature[0].abs() + _TINY,)
    h11, h22 = (-curvature[::2]).masked_fill_(held, 1.0)
    return _absolute(h11, -curvature[1] * ~held.any(0), h22)


def _solved(matrix: tuple[Tensor, ...], right: Tensor) -> Tensor:
    """Newton's step where the curvature is negative definite, an ascent of the same scale where it is not."""
    if len(matrix) == 1:
        return right / matrix[0]
    h11, h12, h22 = matrix
    determinant = h11 * h22 - h12**2 + _TINY
    return torch.stack([h22 * right[0] - h12 * right[1], h11 * right[1] - h12 * right[0]]).div_(determinant)


def _stop_at_bounds(
    bounds: tuple[float, float],
    at: Tensor,
    step: Tensor,
    matrix: tuple[Tensor, ...],
    gradient: Tensor,
    damping: Tensor,
) -> None:
    """End steps on bounds; beside a rate that stops short, the other one goes to the optimum of the quadratic."""
    there = at + step
    beyond = (there < bounds[0]) | (there > bounds[1])
    for rate, other in ((0, 1), (1, 0)):
        some = (beyond[rate] & ~beyond[other]).nonzero()[:, 0]
        if len(some):
            short = there[rate, some].clamp_(*bounds).sub_(at[rate, some])
            left = gradient[other, some] - matrix[1][some] * short
            best = left / (matrix[2 * other][some] * (1 + damping[some]) + _TINY)
            step[rate, some], step[other, some] = short, best.clamp_(-_LONGEST_STEP, _LONGEST_STEP)


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
