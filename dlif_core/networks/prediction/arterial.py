"""Arterial blood, read from its own pools and, once blood is mixed, from the veins too.

In the first minute arterial and venous blood differ, so only arterial pools count: the left ventricle and the aorta,
which are small, so that their curve is noisy. A few circulations later the two differ by what tissue extracts, a few
per cent. The arterial curve of a frame is the mean of both readings, weighted by the inverse of their variances: noise
for both, as the residual of the image shows it, and for the veins also how far they may differ from arteries at that
time (mass balance of `phantom.circulation`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from dlif_core.networks.prediction.tissues import ARTERIAL, VENOUS
from dlif_core.networks.prediction.unmixing import Unmixed

# time after arrival [s], and how far venous blood may then be from arterial blood (standard deviation, relative)
_SINCE = (10.0, 30.0, 60.0, 120.0, 240.0)
_DIFFERENCE = (3.0, 0.6, 0.15, 0.05, 0.025)
# late venous over arterial blood
_EXTRACTED = 0.98
# the variance of a sum over voxels is so many times what it would be if their noise were not correlated
_GRAIN = 4.0
# a pool is read where its weights let this part of it through
_PRESENT = 0.5
# least activity relative to which differences are taken [SUV]
_FAINT = 0.1


class ArterialReading(NamedTuple):
    """Arterial blood as the weight maps of both pools read it.

    Attributes
    ----------
    curve
        Shape (frames,), in the unit of the activity.
    shares
        Weights of the readings of arterial and of venous pools in it, shape (2, frames).
    noise
        Standard deviation of the reading of arterial pools, as the residual of the image shows it, shape (frames,).
    """

    curve: torch.Tensor
    shares: torch.Tensor
    noise: torch.Tensor


def read_arterial(
    activity: torch.Tensor, tissues: torch.Tensor, confidence: torch.Tensor, unmixed: Unmixed, since: torch.Tensor
) -> ArterialReading:
    """Combine the readings of arterial and venous pools.

    Parameters
    ----------
    activity, tissues, confidence
        Image, segmentation and weights of the voxels with which `unmixing.unmix` gave `unmixed`.
    unmixed
        Weight maps and curves.
    since
        Middle of every frame after the arrival of the bolus, shape (frames,) [s].
    """
    arterial, venous = unmixed.curves[ARTERIAL], unmixed.curves[VENOUS] / _EXTRACTED
    own, other, both = _noise(activity, tissues, confidence, unmixed)
    level = (0.5 * (arterial + venous)).clamp(min=_FAINT)
    differs = np.exp(np.interp(since.double().numpy(force=True), _SINCE, np.log(_DIFFERENCE)))
    apart = other + own - 2.0 * both + (torch.from_numpy(differs).to(level) * level).square()
    share = ((own - both) / apart.clamp(min=1e-12)).clamp(0.0, 1.0)
    # the ridge of the least squares draws the curve of a pool that is hardly there to zero
    share = share * ((unmixed.weight_map[VENOUS] * tissues[VENOUS]).sum() > _PRESENT)
    shares = torch.stack([1.0 - share, share / _EXTRACTED])
    return ArterialReading(arterial + share * (venous - arterial), shares, own.clamp(min=0.0).sqrt())


def _noise(
    activity: torch.Tensor, tissues: torch.Tensor, confidence: torch.Tensor, unmixed: Unmixed
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Variances of the readings of arterial and venous pools, and their covariance, each of shape (frames,)."""
    left = activity - torch.einsum("kf,kzyx->fzyx", unmixed.curves, tissues)
    variance = _GRAIN * (left.square() * confidence).mean(dim=(1, 2, 3))  # of a voxel, times its confidence
    rows = unmixed.weight_map[[ARTERIAL, VENOUS]].flatten(1)
    shared = (rows / confidence.flatten()) @ rows.T
    return variance * shared[0, 0], variance * shared[1, 1] / _EXTRACTED**2, variance * shared[0, 1] / _EXTRACTED
