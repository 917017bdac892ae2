"""Frame weights, one vector for a scan, so that regional and voxelwise fits share one optimum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlif_core.frames import FrameTiming
from dlif_core.kinetics.settings import FitSettings
from dlif_core.scan import RegionCurves

Array = NDArray[np.float64]

_ACTIVITY_FLOOR = 0.05
_WEIGHT_RANGE = (0.01, 100.0)


def mean_curve(regions: RegionCurves) -> Array:
    """Mean of the region curves weighted by volume, shape (frames,) [Bq/mL]; unweighted if a volume is unknown."""
    volume = regions.volume
    known = np.isfinite(volume).all() and volume.sum() > 0
    return np.asarray(np.average(regions.activity, axis=0, weights=volume if known else None))


def frame_weights(regions: RegionCurves, timing: FrameTiming, settings: FitSettings, half_life: float) -> Array:
    """Weights of the squared residuals of every frame.

    ``uniform``: 1. ``duration``: w ∝ Δt. ``duration-decay``: w ∝ Δt e^(−λt) / C̄, the inverse Poisson variance of a
    decay-corrected mean, with t the middle of the frame and C̄ the mean curve of all regions. C̄ is floored at 5 % of
    its maximum, so that frames before the tracer arrives don't dominate; weights are clipped to 0.01 … 100 times their
    median.

    Parameters
    ----------
    regions
        Decay-corrected region curves.
    timing
        Frames.
    settings
        Only `weights` is used.
    half_life
        Of the radionuclide [s].

    Returns
    -------
    Shape (frames,), with mean 1.
    """
    if settings.weights == "uniform":
        return np.ones(len(timing))
    weights = timing.duration.copy()
    if settings.weights == "duration-decay":
        activity = mean_curve(regions)
        floor = _ACTIVITY_FLOOR * activity.max()
        decay = np.exp2(-timing.mid / half_life)
        weights *= decay / np.maximum(activity, floor) if floor > 0 else decay
    low, high = np.median(weights) * np.array(_WEIGHT_RANGE)
    weights = np.clip(weights, low, high)
    return np.asarray(weights / weights.mean())
