"""FC-DLIF, the published network from image to curve, as the reference that others are compared with.

Source of the layers: Salomonsen, Luppino et al., EJNMMI Res 2026;16:65 (arXiv 2507.02367). A spatial encoder sees each
frame by itself, then convolutions over time turn the frames' descriptions into the curve. The publication leaves open
the activation and the kind of pooling; here they are ReLU and the maximum. The network knows one schedule of frames, so
scans with other frames are laid on it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dlif_core.frames import FrameTiming
from dlif_core.phantom.scanner import MOUSE_FRAMES, frame_timing

Array = NDArray[np.float64]

#: Frames and voxels (z, y, x) of the published input: 42 frames in 45.5 min, voxels of the scanner.
PUBLISHED_SHAPE = (42, 96, 48, 48)
#: Fewest voxels (z, y, x) that the four poolings and the bottleneck leave something of.
SMALLEST_IMAGE = (64, 32, 32)

_SPATIAL = (1, 8, 8, 16, 16, 32)
_TEMPORAL = (32, 16, 8, 4, 1)
_BOTTLENECK = (4, 2, 2)
# frames encoded at a time where no gradient is wanted, to bound memory
_FRAMES_AT_ONCE = 8


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, all without bias.

    Parameters
    ----------
    channels, out
        Number of channels before and after the block.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, out, 3, padding=1, bias=False)
        self.second = nn.Conv3d(out, out, 3, padding=1, bias=False)
        self.shortcut = nn.Identity() if channels == out else nn.Conv3d(channels, out, 1, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (n, channels, z, y, x) to (n, out, z, y, x)."""
        inner = self.second(torch.relu(self.first(image)))
        return torch.relu(inner + self.shortcut(image))


class FCDLIF(nn.Module):
    """Fully convolutional: 90,124 parameters in 18 tensors.

    Without a bias anywhere it is positively homogeneous: twice the image is twice the curve.
    """

    def __init__(self) -> None:
        super().__init__()
        blocks = [ResidualBlock(*channels) for channels in pairwise(_SPATIAL)]
        pooled = [layer for block in blocks[:-1] for layer in (block, nn.MaxPool3d(2))]
        bottleneck = nn.Conv3d(_SPATIAL[-1], _SPATIAL[-1], _BOTTLENECK, bias=False)
        self.spatial = nn.Sequential(*pooled, blocks[-1], bottleneck, nn.AdaptiveAvgPool3d(1))
        convolutions = [nn.Conv1d(*channels, 3, padding=1, bias=False) for channels in pairwise(_TEMPORAL)]
        between = [layer for convolution in convolutions[:-1] for layer in (convolution, nn.ReLU())]
        self.temporal = nn.Sequential(*between, convolutions[-1])

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        """Whole-blood curve of scans.

        Parameters
        ----------
        activity
            Shape (scans, frames, z, y, x) [SUV], at least (64, 32, 32) voxels.

        Returns
        -------
        Frame averages, shape (scans, frames) [SUV].
        """
        scans, frames = activity.shape[:2]
        images = activity.reshape(scans * frames, 1, *activity.shape[2:])
        # channels beside each other make convolutions of few channels twice as fast; numbers stay the same
        images = images.to(memory_format=torch.channels_last_3d)
        parts = (images,) if torch.is_grad_enabled() else torch.split(images, _FRAMES_AT_ONCE)
        described = torch.cat([self.spatial(part) for part in parts])
        curve: torch.Tensor = self.temporal(described.reshape(scans, frames, -1).transpose(1, 2)).squeeze(1)
        return curve


def published_loss(predicted: torch.Tensor, whole_blood: torch.Tensor) -> torch.Tensor:
    """Mean square error weighted .4, .7 and 1 over frames 0-24, 25-33 and 34-41, as published; shape (scans, 42)."""
    weight = predicted.new_tensor([0.4] * 25 + [0.7] * 9 + [1.0] * 8)
    return (weight * (predicted - whole_blood) ** 2).mean()


@torch.no_grad()
def predict_curve(network: FCDLIF, activity: torch.Tensor) -> torch.Tensor:
    """Whole-blood curve of one scan; an image that is too small for the network is padded with zeros.

    Parameters
    ----------
    network
        Trained.
    activity
        Shape (frames, z, y, x) [SUV], voxels as in training.

    Returns
    -------
    Frame averages, shape (frames,) [SUV].
    """
    curve: torch.Tensor = network(padded(activity)[None])[0]
    return curve


def padded(activity: torch.Tensor) -> torch.Tensor:
    """Images with zeros around them on all sides, so that they have at least `SMALLEST_IMAGE` voxels."""
    missing = [max(least - n, 0) for n, least in zip(activity.shape[1:], SMALLEST_IMAGE, strict=True)]
    sides = [side for n in reversed(missing) for side in (n // 2, n - n // 2)]
    return nn.functional.pad(activity, sides)


def published_timing(timing: FrameTiming) -> FrameTiming:
    """The published schedule on a scan: its 42 frames from the begin of the scan, then more of 5 min while it lasts.

    A frame counts if it is half over by the end of the scan; the last one ends with the scan at the latest.

    Parameters
    ----------
    timing
        Frames of the scan.

    Returns
    -------
    Fewer than 42 frames if the scan ends early.
    """
    begin, end = float(timing.start[0]), float(timing.end[-1])
    frames, last = frame_timing(MOUSE_FRAMES), float(MOUSE_FRAMES[-1][1])
    more = begin + np.arange(float(frames.end[-1]), end - begin, last)
    start = np.concatenate([begin + frames.start, more])
    duration = np.concatenate([frames.duration, np.full(len(more), last)])
    shown = (start + 0.5 * duration <= end) | (np.arange(len(start)) == 0)
    return FrameTiming(start[shown], np.minimum(duration[shown], end - start[shown]))


def to_frames(values: torch.Tensor, timing: FrameTiming, frames: FrameTiming) -> torch.Tensor:
    """Frame averages on other frames: the mean over the time that both share, or the nearest where they share none.

    Parameters
    ----------
    values
        Averages over the frames of `timing`, shape (frames, ...).
    timing
        Frames of the values.
    frames
        Frames wanted.
    """
    shared = np.minimum(timing.end, frames.end[:, None]) - np.maximum(timing.start, frames.start[:, None])
    weights: Array = np.clip(shared, 0.0, None)
    nearest = np.abs(timing.mid - frames.mid[:, None]).argmin(axis=1)
    gap = weights.sum(axis=1) == 0.0
    weights[gap, nearest[gap]] = 1.0
    weights /= weights.sum(axis=1, keepdims=True)
    return torch.einsum("nf,f...->n...", torch.from_numpy(weights).to(values), values)
