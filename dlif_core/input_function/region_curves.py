"""Curves of regions that any mouse scan has, found without labels, over fixed time windows after the bolus arrived.

Each region is the set of voxels of 1 mm that score highest in a map of early, late or middle activity. Windows are laid
relative to the arrival of the bolus, so that scans of any schedule give the same numbers up to noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming

Array = NDArray[np.float64]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Regions and the number of voxels in each; the first holds the most blood.
REGIONS = {
    "most blood": 15,
    "much blood": 60,
    "early": 60,
    "early and late": 60,
    "late": 60,
    "second minutes": 150,
    "early, then less": 200,
}
#: Windows that start so early are left out: blood has not arrived in them [s after the arrival].
_FIRST_START = 5.0
#: A scan must have all windows that end by then [s after the arrival].
_LAST_NEEDED = 720.0
#: Activity below this is noise [SUV].
_FLOOR = 0.02
_SMOOTHING = 0.6  # [voxels]


@dataclass(frozen=True, eq=False)
class FoundRegions:
    """Curves of the regions of one scan.

    Attributes
    ----------
    blood
        Curve of the region with most blood, shape (frames,) [SUV].
    features
        Logarithms of the means over windows, shape (regions + 1, windows); the last row is the whole image. NaN for a
        window that was not measured.
    weights
        Weights of the frames in every window, shape (windows, frames).
    measured
        Shape (windows,).
    arrival
        When the bolus arrived [s].
    """

    blood: Array
    features: Array
    weights: Array
    measured: Mask
    arrival: float

    def logarithms(self, curves: Array) -> Array:
        """Logarithms of the means of curves (..., frames) over the windows; NaN where not measured."""
        means = np.log(np.maximum(curves @ self.weights.T, _FLOOR))
        return np.where(self.measured, means, np.nan)


def window_middles() -> Array:
    """Middle of every window [s after the arrival]."""
    return np.asarray(_edges().mean(axis=1))


def region_curves(activity: Map, timing: FrameTiming) -> FoundRegions:
    """Find the regions of a scan and their curves.

    Parameters
    ----------
    activity
        Shape (frames, z, y, x), voxels of 1 mm [SUV].
    timing
        Timing of the frames.

    Raises
    ------
    InputError
        If the scan lacks the bolus or the 12 minutes after it, or is too small for the regions.
    """
    from dlif_core.networks.prediction.features import WINDOW_EDGES, arrival, window_matrix

    _require_voxels(activity)
    arrived = arrival(timing, activity.mean(axis=(1, 2, 3), dtype=float))
    weights, measured = window_matrix(timing, arrived)
    used = np.array(WINDOW_EDGES[:-1]) >= _FIRST_START
    weights, measured = weights[used], measured[used]
    _require_windows(measured)
    voxels = activity.reshape(len(timing), -1)
    curves = [voxels[:, chosen].mean(axis=1, dtype=float) for chosen in _chosen(activity, weights)]
    curves.append(voxels.mean(axis=1, dtype=float))
    empty = FoundRegions(curves[0], np.empty(0), weights, measured, arrived)
    return FoundRegions(curves[0], empty.logarithms(np.stack(curves)), weights, measured, arrived)


def _chosen(activity: Map, weights: Array) -> list[NDArray[np.intp]]:
    """Flat indices of the voxels of each region."""
    means = np.tensordot(weights.astype(np.float32), activity, axes=1)
    means = scipy.ndimage.gaussian_filter(means, (0, *(_SMOOTHING,) * 3), mode="nearest")
    at = {float(start): mean for (start, _), mean in zip(_edges(), means, strict=True)}
    early, late = np.maximum(np.maximum(at[5.0], at[15.0]), at[25.0]), at[360.0]
    blood = early - 2.0 * late
    both = np.clip(early * late, 0.0, None)
    scores = (blood, blood, early, both, late, at[180.0], at[40.0] - late)
    sizes = REGIONS.values()
    return [np.argpartition(score.ravel(), -n)[-n:] for score, n in zip(scores, sizes, strict=True)]


def _edges() -> Array:
    """Start and end of every window used [s after the arrival], shape (windows, 2)."""
    from dlif_core.networks.prediction.features import WINDOW_EDGES

    edges = np.stack([WINDOW_EDGES[:-1], WINDOW_EDGES[1:]], axis=1)
    return np.asarray(edges[edges[:, 0] >= _FIRST_START])


def _require_voxels(activity: Map) -> None:
    if activity[0].size < 4 * sum(REGIONS.values()):
        raise InputError(
            f"the image has {activity[0].size} voxels of 1 mm; the regions can't be told apart.",
            hint="Use an image of the whole trunk.",
        )
    if not activity.any():
        raise InputError("the image shows no activity.", hint="Check that the right file was taken.")


def _require_windows(measured: Mask) -> None:
    needed = _edges()[:, 1] <= _LAST_NEEDED
    if not measured[needed].all():
        raise InputError(
            f"the frames don't cover the time from the arrival of the bolus to {_LAST_NEEDED / 60:g} min after it.",
            hint="The scan must start before the injection is through and last longer.",
        )
