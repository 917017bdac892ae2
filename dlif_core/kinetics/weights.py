"""Frame weights, one vector for a scan, so that regional and voxelwise fits share one optimum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import FrameTimingError, InputError
from dlif_core.kinetics.context import require_kind
from dlif_core.kinetics.settings import FitSettings
from dlif_core.registry import suggestion
from dlif_core.scan import DynamicScan, RegionCurves

Array = NDArray[np.float64]

_ACTIVITY_FLOOR = 0.05


def mean_curve(regions: RegionCurves) -> Array:
    """Mean of the region curves weighted by volume, shape (frames,) [Bq/mL]; unweighted if a volume is unknown."""
    volume = regions.volume
    known = np.isfinite(volume).all() and volume.sum() > 0
    return np.asarray(np.average(regions.activity, axis=0, weights=volume if known else None))


def pilot_curve(regions: RegionCurves, settings: FitSettings) -> Array:
    """The curve that settles what regions and voxels have in common, shape (frames,) [Bq/mL].

    It is that of `FitSettings.pilot_region`, else the mean curve of all regions.

    Raises
    ------
    InputError
        If there is no such region.
    """
    return mean_curve(regions) if settings.pilot_region is None else region_curve(regions, settings.pilot_region)


def region_curve(regions: RegionCurves, name: str) -> Array:
    """The curve of one region, shape (frames,) [Bq/mL].

    Raises
    ------
    InputError
        If there is no such region.
    """
    if name not in regions.names:
        raise InputError(
            f"there is no region {name!r}.{suggestion(name, regions.names)}",
            where="region curves",
            hint=f"The scan has: {', '.join(regions.names)}.",
        )
    return np.asarray(regions.activity[regions.names.index(name)])


def frame_weights(scan: DynamicScan, settings: FitSettings) -> Array:
    """Weights of the squared residuals of every frame.

    ``uniform``: 1. ``duration``: w ∝ Δt. ``decay``: w ∝ e^(−λt). ``duration-decay``: w ∝ Δt e^(−λt) / C̄, the inverse
    Poisson variance of a decay-corrected mean, with t the middle of the frame and C̄ the mean curve of all regions. C̄
    is floored at 5 % of its maximum, so that frames before the tracer arrives don't dominate. Named weights are
    clipped to `FitSettings.weight_limits` times their median; given ones are taken as they are.

    Parameters
    ----------
    scan
        The scan; its frames, half-life and decay-corrected region curves are used.
    settings
        Only `weights` and `weight_limits` are used.

    Returns
    -------
    Shape (frames,), with mean 1.

    Raises
    ------
    FrameTimingError
        If weights are given, but not one for every frame, or scan or settings are objects of another kind.
    """
    require_kind(scan, DynamicScan, "scan")
    require_kind(settings, FitSettings, "settings")
    timing = scan.timing
    if not isinstance(settings.weights, str):
        return _given(settings.weights, len(timing))
    weights = np.ones(len(timing))
    if "duration" in settings.weights:
        weights *= timing.duration
    if "decay" in settings.weights:
        weights *= np.exp2(-timing.mid / scan.acquisition.half_life)
    if settings.weights == "duration-decay":
        activity = mean_curve(scan.regions)
        floor = _ACTIVITY_FLOOR * activity.max()
        weights /= np.maximum(activity, floor) if floor > 0 else 1.0
    low, high = np.median(weights) * np.array(settings.weight_limits)
    weights = np.clip(weights, low, high)
    return np.asarray(weights / weights.mean())


def _given(weights: tuple[float, ...], frames: int) -> Array:
    if len(weights) != frames:
        raise FrameTimingError(
            f"expected {frames} weights, one for every frame, got {len(weights)}.",
            where="fit setting weights",
            hint="Give one for every frame, or the name of a scheme.",
        )
    return np.asarray(np.array(weights, float) / np.mean(weights))
