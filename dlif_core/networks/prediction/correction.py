"""A small correction over time of the curve that a weight map reads, by how well the segmentation fits the scan.

A linear model, fitted in closed form, predicts the logarithm of true over read activity in each time window from the
description of the fit (`fit_quality.describe`). The curve is multiplied by a smooth factor near 1. Another linear model
predicts the logarithm of the relative error that is left, so that a segmentation that fits badly is known to give an
uncertain curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dlif_core.networks.prediction.features import WINDOWS
from dlif_core.networks.prediction.fit_quality import DESCRIPTION, FitDescription

Array = NDArray[np.float64]

# standardised features are clipped to this size
_FARTHEST = 5.0
# relative errors smaller than this are not told apart
_LEAST_ERROR = 0.01


class PredictedCorrection(NamedTuple):
    """Correction of a curve, and the error that is expected nevertheless.

    Attributes
    ----------
    logarithm
        Logarithm of the factor on the read activity plus `fit_quality.OFFSET`, shape (windows,).
    expected_log_error
        Expected logarithm of the relative error that is left, shape ().
    """

    logarithm: torch.Tensor
    expected_log_error: torch.Tensor


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
        self.register_buffer("slopes", torch.zeros(WINDOWS + 1, DESCRIPTION))
        self.register_buffer("intercept", torch.zeros(WINDOWS + 1))

    def forward(self, described: FitDescription) -> PredictedCorrection:
        """Predict the correction of a scan, and the error that it leaves."""
        standard = ((described.values - self.mean) / self.scale).clamp(-_FARTHEST, _FARTHEST) * described.known
        found = self.slopes @ standard + self.intercept
        return PredictedCorrection(found[:-1], found[-1])

    def fit(self, described: Sequence[FitDescription], logarithm: Array, ridge: float) -> None:
        """Fit to scans with known blood by ridge regression.

        Parameters
        ----------
        described
            Description of each scan.
        logarithm
            Logarithm of true over read activity, both plus `fit_quality.OFFSET`, shape (scans, windows); NaN where a
            scan lacks a window.
        ridge
            Penalty on squared slopes of standardised features [scans].
        """
        values = torch.stack([one.values for one in described]).double().numpy(force=True)
        known = torch.stack([one.known for one in described]).numpy(force=True)
        number = np.maximum(known.sum(axis=0), 1.0)
        mean = (known * values).sum(axis=0) / number
        scale = np.sqrt((known * (values - mean) ** 2).sum(axis=0) / number) + 1e-6
        standard = (known * (values - mean) / scale).clip(-_FARTHEST, _FARTHEST)
        slopes, intercept = _ridge_each(standard, logarithm, ridge)
        left = np.nanmean((logarithm - standard @ slopes.T - intercept) ** 2, axis=1)
        log_error = _ridge_each(standard, np.log(np.sqrt(left) + _LEAST_ERROR)[:, None], ridge)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))
        self.slopes.copy_(torch.from_numpy(np.concatenate([slopes, log_error[0]])))
        self.intercept.copy_(torch.from_numpy(np.concatenate([intercept, log_error[1]])))


def _ridge_each(features: Array, targets: Array, ridge: float) -> tuple[Array, Array]:
    """Slopes and intercept for every target."""
    fitted = [_ridge(features, target, ridge) for target in targets.T]
    return np.stack([slopes for slopes, _ in fitted]), np.array([intercept for _, intercept in fitted])


def _ridge(features: Array, target: Array, ridge: float) -> tuple[Array, float]:
    """Slopes and intercept of ridge regression; zeros where fewer than two scans have the target."""
    given = np.isfinite(target)
    if given.sum() < 2:
        return np.zeros(features.shape[1]), 0.0
    centre, level = features[given].mean(axis=0), float(target[given].mean())
    x, y = features[given] - centre, target[given] - level
    slopes = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
    return slopes, level - float(centre @ slopes)
