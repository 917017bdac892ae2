"""Expected size of the error of a predicted curve, over time and from scan to scan.

Over time the variance is a sum of parts that are known without the truth: spread between the members, noise in closed
form, the error that the correction over time expects, a share of the curve in the first pass and another one later, an
error of timing (slope times a second) and a floor. Their weights are not negative and come from maximum likelihood. The
error relative to that depends on a few features of the scan; its logarithm is found by ridge regression on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.networks.prediction.continuous import ContinuousCurve
from dlif_core.networks.prediction.ensemble import EnsemblePrediction

Array = NDArray[np.float64]

#: Parts of the variance, and features of a scan, by their names in calibration files; ``doubt`` is the error that the
#: correction expects, relative to the curve.
PARTS = ("spread", "noise", "expected", "first pass", "tail", "slope", "floor")
FEATURES = ("doubt", "spread", "noise", "motion", "weights", "peak", "body weight")

_TIMING = 1.0  # [s]
_FIRST_PASS = 60.0  # after arrival [s]
_FLOOR = 0.01  # of the peak
_ITERATIONS = 20
_SHRINKAGE = 5.0  # ridge: scans without information that the regression counts
_TINY = 1e-6
_LARGEST = 1.0  # the logarithm of the scan's factor lies within plus and minus this


@dataclass(frozen=True, eq=False)
class ErrorScale:
    """Expected error of predicted curves.

    Attributes
    ----------
    shares
        Weight of each of `PARTS` in the variance, shape (parts,).
    centre, slopes
        Centre and slopes of the regression of the log error on `FEATURES`, each of shape (features,).
    """

    shares: Array
    centre: Array
    slopes: Array

    def at(self, prediction: EnsemblePrediction, curve: ContinuousCurve) -> Array:
        """Expected size of the error on the curve's time grid, shape (points,) [SUV]."""
        over_time = np.sqrt(self.shares @ parts(prediction, curve) ** 2)
        return np.asarray(np.exp(self._factor(prediction)) * np.maximum(over_time, _TINY))

    def _factor(self, prediction: EnsemblePrediction) -> float:
        return float(np.clip(self.slopes @ (scan_features(prediction) - self.centre), -_LARGEST, _LARGEST))

    def without(self, *features: str) -> ErrorScale:
        """The scale without some of `FEATURES`, for scans in which these mean something else."""
        kept = [feature not in features for feature in FEATURES]
        return replace(self, slopes=np.where(kept, self.slopes, 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {
            "variance": dict(zip(PARTS, self.shares.tolist(), strict=True)),
            "centre": dict(zip(FEATURES, self.centre.tolist(), strict=True)),
            "slopes": dict(zip(FEATURES, self.slopes.tolist(), strict=True)),
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> ErrorScale:
        """Read what `to_dict` wrote."""
        slopes, centre = (np.array([kept[name][feature] for feature in FEATURES]) for name in ("slopes", "centre"))
        return cls(np.array([kept["variance"][part] for part in PARTS]), centre, slopes)


def parts(prediction: EnsemblePrediction, curve: ContinuousCurve) -> Array:
    """Size of each part of the error over time, shape (parts, points) [SUV]."""
    mid, time, peak = prediction.timing.mid, curve.time, float(curve.values.max())
    known = (prediction.spread, prediction.noise, prediction.expected)
    spread, noise, expected = (np.interp(time, mid, values) for values in known)
    slope = np.abs(np.gradient(curve.values, time)) * _TIMING
    floor = np.where(time >= curve.arrival, _FLOOR, 0.1 * _FLOOR) * peak
    passing = curve.values * (time < curve.arrival + _FIRST_PASS)
    return np.stack([spread, noise, expected, passing, curve.values - passing, slope, floor])


def scan_features(prediction: EnsemblePrediction) -> Array:
    """Features of a scan on which the size of its error depends, shape (features,)."""

    def size(values: Array) -> float:
        return float(np.log(np.sqrt(np.mean(values**2)) + _TINY))

    curve = size(prediction.whole_blood)
    displacement = prediction.displacement.double().numpy(force=True)
    weights = float(prediction.weight_map.abs().sum())
    return np.array(
        [
            size(prediction.expected) - curve,
            size(prediction.spread) - curve if len(prediction.members) > 1 else 0.0,
            size(prediction.noise) - curve,
            size(displacement - displacement.mean(axis=0)),
            np.log(weights + _TINY),
            np.log(prediction.whole_blood.max() + _TINY),
            np.log(prediction.body_weight),
        ]
    )


def fit_scale(
    predictions: Sequence[EnsemblePrediction], curves: Sequence[ContinuousCurve], errors: Sequence[Array]
) -> ErrorScale:
    """Fit the scale to the errors of predicted curves.

    Parameters
    ----------
    predictions, curves
        Predictions of some scans and their continuous curves.
    errors
        Errors of their frame averages, each of shape (frames,) [SUV]; NaN where the truth is unknown.
    """
    sizes = [
        np.stack([prediction.timing.average(curve.time, part) for part in parts(prediction, curve)], axis=1)
        for prediction, curve in zip(predictions, curves, strict=True)
    ]
    known = [np.isfinite(error) for error in errors]
    shares = _variance_shares(
        np.concatenate([size[some] for size, some in zip(sizes, known, strict=True)]),
        np.concatenate([error[some] for error, some in zip(errors, known, strict=True)]),
        np.concatenate([np.full(some.sum(), 1.0 / some.sum()) for some in known]),
    )
    relative = np.array(
        [
            np.log(np.sqrt(np.mean(error[some] ** 2 / (size[some] ** 2 @ shares + _TINY))) + _TINY)
            for size, error, some in zip(sizes, errors, known, strict=True)
        ]
    )
    features = np.stack([scan_features(prediction) for prediction in predictions])
    return ErrorScale(shares, *_regression(features, relative))


def _variance_shares(sizes: Array, errors: Array, weight: Array) -> Array:
    """Weights of the parts, by maximum likelihood of normal errors: least squares of squares, reweighted."""
    from scipy.optimize import nnls

    squares, target = sizes**2, errors**2
    variance = squares.sum(axis=1) + _TINY
    shares = np.ones(sizes.shape[1])
    for _ in range(_ITERATIONS):
        root = np.sqrt(weight) / variance
        shares, _ = nnls(squares * root[:, None], target * root)
        variance = squares @ shares + 1e-3 * squares[:, -1] + _TINY
    return np.asarray(shares)


def _regression(features: Array, target: Array) -> tuple[Array, Array]:
    """Centre and slopes of a ridge regression on standardised features."""
    centre, spread = features.mean(axis=0), features.std(axis=0) + _TINY
    columns = (features - centre) / spread
    normal = columns.T @ columns + _SHRINKAGE * np.eye(columns.shape[1])
    return centre, np.linalg.solve(normal, columns.T @ (target - target.mean())) / spread
