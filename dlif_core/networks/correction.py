"""A small correction over time of what a weight map reads: learned in closed form, from how well the drawing fits.

A linear model gives the logarithm of true over read activity in each time window from the `description` of a scan. The
curve is multiplied by a smooth factor near 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dlif_core.networks.description import DESCRIPTION, Described
from dlif_core.networks.features import WINDOWS

Array = NDArray[np.float64]

# standardised features beyond this say nothing more
_FARTHEST = 5.0


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

    def forward(self, described: Described) -> torch.Tensor:
        """Logarithm of the factor on the read activity plus `description.OFFSET`, shape (windows,)."""
        standard = ((described.values - self.mean) / self.scale).clamp(-_FARTHEST, _FARTHEST) * described.known
        return self.slopes @ standard + self.intercept

    def fit(self, described: Sequence[Described], logarithm: Array, ridge: float) -> None:
        """Fit to scans with known blood by ridge regression.

        Parameters
        ----------
        described
            Description of each scan.
        logarithm
            Of true over read activity, both plus `description.OFFSET`, shape (scans, windows); NaN where a scan lacks a
            window.
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
