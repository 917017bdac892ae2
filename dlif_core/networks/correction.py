"""A small correction over time of what a weight map reads: learned in closed form, from what a whole scan tells.

How much blood the drawn ventricle really shows depends on things that a few convolutions judge poorly: the resolution,
the size of the heart, how tissues all over the body take up the tracer. A linear model of the logarithm of true over
read activity in each time window sees them: the hottest voxels of every window and what becomes of them later, the
whole body, the curves of all drawn tissues, the weights. It multiplies the curve by a smooth factor near 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from dlif_core.networks.features import WINDOWS, Features
from dlif_core.networks.tissues import TISSUES
from dlif_core.networks.unmixing import Unmixed

Array = NDArray[np.float64]

#: Added to read and true activity before their ratio is taken: small values don't count by their ratio [SUV].
OFFSET = 0.15

# numbers of voxels whose mean describes the hottest part of a window
_HOTTEST = (8, 32, 128, 512, 2048, 8192)
# windows whose hottest voxels are followed over all windows, and how many voxels
_FOLLOWED, _FOLLOWED_VOXELS = (2, 3, 4, 6, 11), 32
# windows of the bolus and after it, by which blood-like voxels are found; weight of the later as in `image_derived`
_BOLUS, _LATER, _WASHOUT, _BLOOD_LIKE_VOXELS = slice(2, 5), slice(8, 10), 2.0, 24
# least activity whose logarithm is taken, and the scale on which increments count as large [SUV]
_FLOOR, _INCREMENT = 0.02, 0.1
# standardised features beyond this say nothing more
_FARTHEST = 5.0
_CURVES = 1 + 2 * len(_HOTTEST) + len(_FOLLOWED) + 1 + len(TISSUES)
_GROWING = len(_HOTTEST) + len(_FOLLOWED) + 1
#: Numbers that describe a scan and what a network reads of it.
DESCRIPTION = _CURVES * WINDOWS + _GROWING * (WINDOWS - 1) + 3 + len(TISSUES)


class Described(NamedTuple):
    """Description of a scan.

    Attributes
    ----------
    values
        Shape (description,).
    known
        1 where the scan tells the value, 0 where it lacks the window, shape (description,).
    """

    values: torch.Tensor
    known: torch.Tensor


def describe(seen: Features, unmixed: Unmixed, tissues: torch.Tensor) -> Described:
    """What a correction goes by.

    Parameters
    ----------
    seen
        Features of the scan.
    unmixed
        What a network reads of it, blood first.
    tissues
        What it drew, shape (tissues, z, y, x).
    """
    windows = seen.image.square()
    hottest, grown = _image_curves(windows)
    curves = torch.cat([hottest, unmixed.curves @ seen.windows.T])
    measured = seen.constants[:WINDOWS]
    both = measured[1:] * measured[:-1]
    weights = unmixed.weight_map[0]
    single = torch.stack([weights.square().sum().sqrt().log(), weights.abs().sum().log(), seen.constants[-1]])
    volumes = tissues.flatten(1).sum(dim=1).log1p()
    return Described(
        torch.cat([curves.clamp(min=_FLOOR).log().flatten(), _increments(grown).flatten(), single, volumes]),
        torch.cat([measured.repeat(_CURVES), both.repeat(_GROWING), torch.ones_like(single), torch.ones_like(volumes)]),
    )


def _image_curves(windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Curves of parts of the image over the windows; and those of them whose growth is looked at."""
    smooth = functional.avg_pool3d(windows[None], 3, stride=1, padding=1)[0]
    hot = _hottest(smooth)
    followed = torch.stack([_followed(smooth, smooth[w], _FOLLOWED_VOXELS) for w in _FOLLOWED])
    score = smooth[_BOLUS].amax(dim=0) - _WASHOUT * smooth[_LATER].amax(dim=0)
    blood_like = _followed(smooth, score, _BLOOD_LIKE_VOXELS)[None]
    whole = windows.sum(dim=(1, 2, 3))[None]
    grown = torch.cat([hot, followed, blood_like])
    return torch.cat([whole, _hottest(windows), grown]), grown


def _hottest(windows: torch.Tensor) -> torch.Tensor:
    """Mean of the hottest voxels of every window, shape (numbers of voxels, windows)."""
    voxels = windows.flatten(1)
    ordered = voxels.topk(min(max(_HOTTEST), voxels.shape[1]), dim=1).values
    return torch.stack([ordered[:, :number].mean(dim=1) for number in _HOTTEST])


def _followed(smooth: torch.Tensor, score: torch.Tensor, number: int) -> torch.Tensor:
    """Mean over the voxels that score highest, in every window."""
    return smooth.flatten(1)[:, score.flatten().topk(number).indices].mean(dim=1)


def _increments(curves: torch.Tensor) -> torch.Tensor:
    return (curves.diff(dim=1) / _INCREMENT).arcsinh()


class Correction(nn.Module):
    """Linear model of the logarithm of true over read activity; a new one corrects nothing.

    Its numbers are buffers: they go with the network's weights and no training by steps changes them.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    slopes: torch.Tensor
    intercept: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(DESCRIPTION))
        self.register_buffer("scale", torch.ones(DESCRIPTION))
        self.register_buffer("slopes", torch.zeros(WINDOWS, DESCRIPTION))
        self.register_buffer("intercept", torch.zeros(WINDOWS))

    def forward(self, seen: Features, unmixed: Unmixed, tissues: torch.Tensor) -> torch.Tensor:
        """Factor on the read activity plus `OFFSET`, shape (frames,); arguments as of `describe`."""
        described = describe(seen, unmixed, tissues)
        standard = ((described.values - self.mean) / self.scale).clamp(-_FARTHEST, _FARTHEST) * described.known
        logarithm = self.slopes @ standard + self.intercept
        return (seen.frames_from_windows.to(logarithm) @ logarithm).exp()

    def fit(self, described: Sequence[Described], logarithm: Array, ridge: float) -> None:
        """Fit to scans with known blood by ridge regression.

        Parameters
        ----------
        described
            Description of each scan.
        logarithm
            Of true over read activity, both plus `OFFSET`, shape (scans, windows); NaN where a scan lacks a window.
        ridge
            Penalty on squared slopes of standardised features [scans].
        """
        values = torch.stack([one.values for one in described]).double().numpy(force=True)
        known = torch.stack([one.known for one in described]).numpy(force=True)
        number = np.maximum(known.sum(axis=0), 1.0)
        mean = (known * values).sum(axis=0) / number
        scale = np.sqrt((known * (values - mean) ** 2).sum(axis=0) / number) + 1e-6
        standard = (known * (values - mean) / scale).clip(-_FARTHEST, _FARTHEST)
        fitted = [_ridge(standard, logarithm[:, window], ridge) for window in range(WINDOWS)]
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))
        self.slopes.copy_(torch.from_numpy(np.stack([slopes for slopes, _ in fitted])))
        self.intercept.copy_(torch.tensor([intercept for _, intercept in fitted]))


def _ridge(features: Array, target: Array, ridge: float) -> tuple[Array, float]:
    """Slopes and intercept; none where fewer than two scans tell the target."""
    given = np.isfinite(target)
    if given.sum() < 2:
        return np.zeros(features.shape[1]), 0.0
    centre, level = features[given].mean(axis=0), float(target[given].mean())
    x, y = features[given] - centre, target[given] - level
    slopes = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
    return slopes, level - float(centre @ slopes)
