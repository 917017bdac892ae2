"""Relevance of voxels and frames for a metric of a predicted curve, by integrated gradients.

Integrated gradients (Sundararajan, Taly & Yan, ICML 2017) distribute a metric of the curve over voxels and frames,
through the segmentation and the reading alike. Their path runs from the same image at half its activity to the image:
images nearer to zero are unlike any that a network was trained on, and its segmentation changes abruptly there. The
path is straight in the roots of the activity, which are what the network sees. The shares are scaled such that they add
up to the metric itself (except for what the correction makes of a curve of zeros, which is little).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dlif_core.networks.explanation.explained_scan import ExplainedScan
from dlif_core.networks.explanation.targets import Target

Array = NDArray[np.float64]

#: Points on the path of integrated gradients; with four, shares add up to the metric to about .3 %.
STEPS = 4
# root of the share of the activity at which the path begins
_FAINT = 0.5**0.5


class Relevance(NamedTuple):
    """Shares of voxels and frames in a metric of the curve.

    Attributes
    ----------
    value
        Value of the metric.
    voxels
        Shares of the voxels, shape (members, z, y, x), in the unit of the metric.
    frames
        Shares of the frames, shape (members, frames). For a metric of the ensemble, not of its members, both have one
        entry.
    gap
        Part of the metric by which the shares don't add up to it.
    """

    value: float
    voxels: Array
    frames: Array
    gap: float

    @property
    def steady(self) -> Array:
        """Mean over members where it exceeds their standard deviation, 0 elsewhere; shape (z, y, x)."""
        mean = self.voxels.mean(axis=0)
        if len(self.voxels) == 1:
            return np.asarray(mean)
        return np.where(np.abs(mean) > self.voxels.std(axis=0, ddof=1), mean, 0.0)


def relevance(seen: ExplainedScan, target: Target, steps: int = STEPS) -> Relevance:
    """Integrated gradients of a metric of the curve.

    Parameters
    ----------
    seen
        The scan and the ensemble.
    target
        The metric.
    steps
        Number of points on the path, of a Gauss-Legendre rule.
    """
    target = target.linearised(torch.from_numpy(seen.prediction.whole_blood))
    parts = [seen] if target.of_ensemble else [seen.member(index) for index in range(len(seen.networks))]
    shares = [_integrated(part, target, steps) for part in parts]
    voxels, frames = (np.stack([share.sum(axis) for share in shares]) for axis in (0, (1, 2, 3)))
    value = _metric(parts, target, lambda part: part.own_curves)
    faint = _metric(parts, target, lambda part: part.curves(_FAINT**2 * part.activity))
    # a metric that doesn't change on the path, such as the spread of members that agree, can't be scaled
    scale = (value - _metric(parts, target, _zeros_corrected)) / (value - faint) if value != faint else 1.0
    frames, voxels = scale * frames, scale * voxels
    gap = abs(float(frames.mean(axis=0).sum()) - scale * (value - faint)) / max(abs(value), 1e-9)
    return Relevance(value, voxels, frames, gap)


@torch.no_grad()
def _metric(parts: Sequence[ExplainedScan], target: Target, curves: Callable[[ExplainedScan], torch.Tensor]) -> float:
    """Mean over parts of a metric of the curves that a function gives."""
    return float(np.mean([float(target.value(curves(part))) for part in parts]))


def _zeros_corrected(seen: ExplainedScan) -> torch.Tensor:
    """Curves of zeros after the members' corrections, shape (members, frames) [SUV]."""
    return seen.corrected(seen.activity.new_zeros(len(seen.networks), len(seen.timing)))


class _FromRoots(nn.Module):
    """The metric of images that are given by the roots of their activity, one after the other."""

    def __init__(self, seen: ExplainedScan, target: Target) -> None:
        super().__init__()
        self.seen, self.target = seen, target

    def forward(self, roots: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.target.value(self.seen.curves(root * root.abs())) for root in roots])


def _integrated(seen: ExplainedScan, target: Target, steps: int) -> Array:
    """Shares of frames and voxels, shape (frames, z, y, x)."""
    from captum.attr import IntegratedGradients

    roots = seen.activity.sign() * seen.activity.abs().sqrt()
    rule = IntegratedGradients(_FromRoots(seen, target), multiply_by_inputs=True)
    shares = rule.attribute(
        roots[None], _FAINT * roots[None], n_steps=steps, method="gausslegendre", internal_batch_size=1
    )
    return np.asarray(shares[0].double().numpy(force=True))
