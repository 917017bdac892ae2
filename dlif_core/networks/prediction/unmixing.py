"""The input function as a signed weight map: frames unmixed into tissues, of which arterial blood is one.

With W(k, v) the part of tissue k that voxel v shows, C(v, t) = Σ W(k, v)·c(k, t) + noise. Weighted least squares gives
c(k, t) = Σ A(k, v)·C(v, t) with A = (W M Wᵀ + ridge)⁻¹ W M: a map of signed weights for each tissue that depends on no
frame. So the curve is exactly linear in the data, what spills from the myocardium into the ventricle is taken off by
as much as this scan needs, dose and timing come out right by construction, and noise propagates in closed form. It is
the geometric transfer matrix of Rousset et al. (J Nucl Med 1998;39:904-911) with tissues that a network has segmented.

Animals move between frames by parts of a millimetre, which costs more than noise does. Given W, the displacement of
each frame follows from the same model by Gauss-Newton steps on C(v + d, t) ≈ Σ W(k, v)·c(k, t).
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from dlif_core.networks.prediction.resampling import displaced

#: Least curvature of the normal equations [voxels]: a tissue that is absent gets no curve.
_RIDGE = 0.02
# noise variance of a voxel ~ its mean activity plus this [SUV]
_BACKGROUND = 0.2
# largest displacement per step [voxels]; curvature of the prior that animals lie still [SUV]
_LARGEST_STEP, _STILLNESS = 1.0, 0.5


class Unmixed(NamedTuple):
    """Tissue curves and the weight maps with which they were read.

    Attributes
    ----------
    weight_map
        A: signed weights of every tissue, shape (tissues, z, y, x).
    curves
        c: curves of the tissues, shape (tissues, frames), in the unit of the activity.
    """

    weight_map: torch.Tensor
    curves: torch.Tensor


def unmix(activity: torch.Tensor, tissues: torch.Tensor, confidence: torch.Tensor) -> Unmixed:
    """Curves of tissues by weighted least squares.

    Parameters
    ----------
    activity
        Image, shape (frames, z, y, x).
    tissues
        W: part of every tissue in every voxel, within 0 to 1, shape (tissues, z, y, x).
    confidence
        M: weight of every voxel, positive, shape (z, y, x).
    """
    seen = activity.flatten(1)
    shares = tissues.flatten(1)
    weighted = shares * confidence.flatten()
    normal = (weighted @ shares.T).double()
    normal = normal + _RIDGE * torch.eye(len(shares), dtype=normal.dtype, device=normal.device)
    weights = torch.linalg.inv(normal).to(shares) @ weighted
    return Unmixed(weights.view_as(tissues), weights @ seen.T)


def noise_confidence(activity: torch.Tensor, duration: torch.Tensor) -> torch.Tensor:
    """Inverse of the variance that counting noise gives a voxel, up to a factor common to all; shape (z, y, x).

    Parameters
    ----------
    activity
        Image, shape (frames, z, y, x) [SUV].
    duration
        Duration of the frames, shape (frames,) [s].
    """
    mean = torch.einsum("f,fzyx->zyx", (duration / duration.sum()).to(activity), activity)
    return 1.0 / (mean.clamp(min=0.0) + _BACKGROUND)


def frame_displacements(
    activity: torch.Tensor, tissues: torch.Tensor, confidence: torch.Tensor, steps: int = 3
) -> torch.Tensor:
    """Displacement of the body in every frame from where the tissues show it.

    Parameters
    ----------
    activity
        Image, shape (frames, z, y, x) [SUV].
    tissues, confidence
        Segmentation and weights of the voxels, see `unmix`.
    steps
        Number of Gauss-Newton steps.

    Returns
    -------
    Displacement d along z, y, x, shape (frames, 3) [voxels]; `displaced(activity, d)` shows the body at one place.
    """
    place = activity.new_zeros(len(activity), 3)
    for _ in range(steps):
        aligned = displaced(activity, place)
        modelled = torch.einsum("kf,kzyx->fzyx", unmix(aligned, tissues, confidence).curves, tissues)
        place = place - _step(_smooth(aligned - modelled), _smooth(modelled))
    return place


def _step(residual: torch.Tensor, modelled: torch.Tensor) -> torch.Tensor:
    """Displacement that explains most of the residual, shape (frames, 3)."""
    slopes = torch.stack(torch.gradient(modelled, dim=(1, 2, 3)), dim=1).flatten(2)
    weight = 1.0 / (modelled.clamp(min=0.0) + 0.5 * _BACKGROUND).flatten(1)
    weighted = slopes * weight[:, None]
    curvature = weighted @ slopes.transpose(1, 2)
    still = _STILLNESS * torch.eye(3, dtype=curvature.dtype, device=curvature.device)
    pull = weighted @ residual.flatten(1).unsqueeze(-1)
    step: torch.Tensor = torch.linalg.solve(curvature + still, pull).squeeze(-1)
    return step.clamp(-_LARGEST_STEP, _LARGEST_STEP)


def _smooth(images: torch.Tensor) -> torch.Tensor:
    """Binomial smoothing along z, y, x; beyond its edges an image continues with their values."""
    for axis in (1, 2, 3):
        first, last = images.narrow(axis, 0, 1), images.narrow(axis, images.shape[axis] - 1, 1)
        wide = torch.cat([first, images, last], dim=axis)
        n = images.shape[axis]
        images = 0.25 * (wide.narrow(axis, 0, n) + wide.narrow(axis, 2, n)) + 0.5 * images
    return images
