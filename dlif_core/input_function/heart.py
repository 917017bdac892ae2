"""The left ventricle of a mouse as a second blood pool, whose spill-over from the wall is corrected by a known tail.

At the place where the bolus is highest, a voxel shows r·B + (1 − r)·T, B being blood and T the wall: the shares add up
to one. So B = T + k·(M − T), M being the mean of the chamber and k = 1/r. The wall of a fed heart is many times as
active as blood late in the scan, which determines k from the level that blood has then. The mixture is that of Fang &
Muzic (J Nucl Med 2008;49:606-614); here the level takes the place of their model of the wall.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from dlif_core.frames import FrameTiming
from dlif_core.scan import DynamicScan, ImageArray

Array = NDArray[np.float64]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

# lengths in a mouse [mm]: smoothing before maxima are sought, their least distance, the chamber and where its wall lies
_SMOOTHING, _APART, _CHAMBER, _WALL = 0.6, 2.0, 1.2, (1.5, 3.5)
# the wall is what is hottest late there: above this quantile
_HOT = 0.95
# maxima below this share of the highest are no ventricle
_HIGH = 0.5
# the bolus is sought up to here [s]
_EARLY = 300.0
# k of a ventricle; below the first there is nothing to correct, above the second noise would be blown up
_RANGE = (1.3, 3.0)
# distance of the corrected curve from that of the other pool, relative, where its scale may differ so much
_FARTHEST, _SCALES = 0.4, (0.9, 1.5)
_FEWEST = 8


@dataclass(frozen=True, eq=False)
class LateLevel:
    """Level of blood late in the scan.

    Attributes
    ----------
    weights
        Weights of the frames, shape (frames,), that add up to 1.
    value
        Weighted mean of blood over the frames [Bq/mL].
    """

    weights: Array
    value: float


@dataclass(frozen=True, eq=False)
class Heart:
    """A left ventricle, corrected for spill-over.

    Attributes
    ----------
    chamber
        The voxels averaged, shape (z, y, x).
    blood
        Corrected curve, shape (frames,) [Bq/mL].
    recovery
        r, the part of blood in the mean of the chamber; the rest is wall.
    """

    chamber: Mask
    blood: Array
    recovery: float


def find_heart(
    scan: DynamicScan, pool: Array, late: Map, level: LateLevel, other_pool: Mask | None = None
) -> Heart | None:
    """The left ventricle of a mouse, or None where no place looks like one.

    Parameters
    ----------
    scan
        A scan with image and affine.
    pool
        Curve of another blood pool, shape (frames,) [Bq/mL]: the bolus must not come to the heart after it, as it does
        to a kidney, and the corrected curve must resemble it.
    late
        Mean activity late in the scan, shape (z, y, x) [Bq/mL].
    level
        Blood late in the scan.
    other_pool
        Voxels of the other pool, shape (z, y, x), of which the chamber must hold none: a pool can't correct itself.
    """
    activity = scan.activity
    assert activity is not None
    latest = _rise(pool, scan.timing)
    for chamber, wall in _candidates(_peak_map(activity, scan.voxel_size, pool), scan.voxel_size, late, level.value):
        inside, around = mean_curve(activity, chamber), mean_curve(activity, wall)
        gain = _gain(float(inside @ level.weights), float(around @ level.weights), level.value)
        same = other_pool is not None and bool((other_pool & chamber).any())
        if same or _rise(inside, scan.timing) > latest or not _RANGE[0] <= gain <= _RANGE[1]:
            continue
        blood = around + gain * (inside - around)
        if _distance(blood, pool) <= _FARTHEST:
            return Heart(chamber, blood, 1.0 / gain)
    return None


def _rise(curve: Array, timing: FrameTiming) -> int:
    """The frame in which a curve passes half its early peak."""
    early = np.where(timing.start < _EARLY, curve, 0.0)
    return int(np.argmax(early > 0.5 * early.max()))


def mean_curve(activity: ImageArray, mask: Mask) -> Array:
    """Mean over a mask in every frame, reading only the box around it; shape (frames,)."""
    box = scipy.ndimage.find_objects(mask.astype(np.uint8))[0]
    voxels = np.asarray(activity[(slice(None), *box)])[:, mask[box]]
    return np.asarray(voxels.mean(axis=1, dtype=float))


def _peak_map(activity: ImageArray, voxel_size: Array, pool: Array) -> Map:
    """Mean of the three frames about the peak of the pool."""
    peak = int(pool.argmax())
    mean = np.mean(
        [np.asarray(activity[i], np.float32) for i in range(max(peak - 1, 0), min(peak + 2, len(pool)))], axis=0
    )
    return np.asarray(scipy.ndimage.gaussian_filter(mean, _SMOOTHING / voxel_size), np.float32)


def _candidates(peak: Map, voxel_size: Array, late: Map, level: float) -> Iterator[tuple[Mask, Mask]]:
    """Chamber and wall at the maxima of the peak where the late activity is that of a heart; the highest first."""
    reach = tuple(2 * round(_APART / edge) + 1 for edge in voxel_size)
    high = _HIGH * float(np.sort(peak, axis=None)[-_FEWEST:][0])
    places = np.argwhere((scipy.ndimage.maximum_filter(peak, size=reach) == peak) & (peak > high))
    for place in sorted(places, key=lambda at: -peak[tuple(at)]):
        distance = _distance_from(place, peak.shape, voxel_size)
        chamber, shell = distance <= _CHAMBER, (distance > _WALL[0]) & (distance <= _WALL[1])
        wall = shell & (late >= np.quantile(late[shell], _HOT))
        inside, around = float(late[chamber].mean()), float(late[wall].mean())
        if around > inside > level:
            yield chamber, wall


def _distance_from(place: NDArray[np.intp], shape: tuple[int, ...], voxel_size: Array) -> Array:
    """Distance of every voxel from one of them [mm]."""
    axes = [((np.arange(n) - at) * edge) ** 2 for n, at, edge in zip(shape, place, voxel_size, strict=True)]
    return np.asarray(np.sqrt(axes[0][:, None, None] + axes[1][:, None] + axes[2]))


def _gain(inside: float, around: float, level: float) -> float:
    """k, at which the corrected curve is at its level late; infinite without contrast."""
    return (around - level) / (around - inside) if around > inside else np.inf


def _distance(blood: Array, pool: Array) -> float:
    """Relative distance of a curve from the multiple of the pool's that comes nearest to it."""
    scale = np.clip(pool @ blood / (pool @ pool), *_SCALES)
    return float(np.linalg.norm(blood - scale * pool) / np.linalg.norm(blood))
