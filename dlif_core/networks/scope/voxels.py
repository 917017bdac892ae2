"""Values of voxels that can't be right: a spot above all others, and a constant that was taken off the image.

Totals of frames and what is judged by them are taken without both, so that no frame is blamed for them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.scope.verdict import Verdict

Array = NDArray[np.float64]

# share of the voxels that a spot may have, and the activity from which it is one, in units of that of the next ones
_SPOT, _ABOVE = 0.001, 5.0
# share of the activity of a frame that a spot holds when it is told, and of the largest frame that counts as whole
_TOLD, _FAINT = 0.2, 0.25
# share of the voxels that may lie lower, and the mean over time below zero from which a constant was taken off [SUV]
_LOWEST, _OFFSET = 0.1, -0.1


def without_spots(activity: torch.Tensor) -> torch.Tensor:
    """The image with the activity of spots cut down to the largest that voxels beside a spot may have.

    Parameters
    ----------
    activity
        Shape (frames, z, y, x) [SUV].
    """
    flat = activity.flatten(1)
    count = max(1, round(_SPOT * flat.shape[1]))
    largest = _ABOVE * flat.topk(count, dim=1).values[:, -1].clamp(min=0.0)
    return torch.minimum(activity, torch.where(largest > 0.0, largest, torch.inf)[:, None, None, None])


def offset(activity: torch.Tensor, duration: torch.Tensor) -> float:
    """The constant below zero that lies on an image [SUV]; 0 where its lowest voxels are near zero on average.

    Parameters
    ----------
    activity
        Shape (frames, z, y, x) [SUV].
    duration
        Duration of the frames, shape (frames,) [s].
    """
    weights = (duration / duration.sum()).to(activity)
    mean = torch.einsum("f,fzyx->zyx", weights, activity).flatten()
    low = float(mean.kthvalue(max(1, round(_LOWEST * len(mean)))).values)
    return low if low < _OFFSET else 0.0


def cleaned(scan: NetworkScan) -> NetworkScan:
    """The scan without spots and without the constant on it."""
    activity = without_spots(scan.activity)
    return scan.with_activity(activity - offset(activity, scan.seconds))


def spot_shares(activity: torch.Tensor) -> Array:
    """Share of the activity of every frame that spots hold, shape (frames,); faint frames count as fuller."""
    total, left = (image.double().sum(dim=(1, 2, 3)) for image in (activity, without_spots(activity)))
    whole = torch.maximum(total, (_FAINT * left.max()).clamp(min=1e-9))
    return np.asarray(((total - left) / whole).numpy(force=True))


def check_voxels(scan: NetworkScan) -> Iterator[Verdict]:
    """Doubt an image with a spot that holds much of the activity, or with a constant below zero on it."""
    shares = spot_shares(scan.activity)
    told = np.flatnonzero(shares > _TOLD)
    if len(told):
        frame, timing = int(shares.argmax()), scan.timing
        reason = (
            f"a spot of few voxels holds up to {100 * shares[frame]:.0f} % of the activity of a frame "
            f"(frame {frame + 1}, {timing.start[frame]:g} to {timing.end[frame]:g} s; in {len(told)} of {len(timing)} "
            "frames much of it): is a voxel faulty?"
        )
        yield Verdict("doubtful", (reason,))
    low = offset(without_spots(scan.activity), scan.seconds)
    if low < 0.0:
        reason = (
            f"a tenth of the image lies below {low:.2g} SUV on average, where air should be zero: was a constant taken "
            "off the image?"
        )
        yield Verdict("doubtful", (reason,))
