"""Features of a scan that the networks see: means over fixed time windows after the bolus arrived.

Windows are relative to the arrival of the bolus, which is found in the image, and a mean over a window is the
exact mean of the frames by their overlap with it. So scans of any schedule, with the injection earlier or later, give
the same features up to noise, and a window that a truncated scan lacks is marked as missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.scan import NetworkScan

Array = NDArray[np.float64]

#: Edges of the windows [s after the arrival of the bolus].
WINDOW_EDGES = (-25.0, -5.0, 5.0, 15.0, 25.0, 40.0, 60.0, 100.0, 180.0, 360.0, 720.0, 1320.0, 2400.0)
WINDOWS = len(WINDOW_EDGES) - 1

#: Edges of the windows in which curves are corrected [s after the arrival of the bolus], which follow the tail longer.
COURSE_EDGES = (*WINDOW_EDGES[:-1], 1860.0, 2400.0, 3600.0)
COURSE = len(COURSE_EDGES) - 1

#: Numbers that describe a scan as a whole: which windows it has, and the body weight.
CONSTANTS = WINDOWS + 1

_MIDDLES = np.array([0.5 * (first + last) for first, last in pairwise(COURSE_EDGES)])
# a window counts as measured when frames cover this part of it
_COVERED = 0.5
# the bolus has arrived when the whole image has reached this part of its plateau, the median of this span [s]
_RISE, _PLATEAU = 0.5, 300.0
# a scan that begins after the arrival is taken to begin so long after it [s]
_MISSED = 15.0


class Course(NamedTuple):
    """How the frames of a scan relate to the windows in which curves are corrected.

    Attributes
    ----------
    windows
        Weights of the frames in every window, shape (course windows, frames); zeros where the scan lacks the window.
    between
        Weights of the windows in every frame where values in windows are interpolated in time, shape (frames, course
        windows).
    measured
        Whether the scan has the window, shape (course windows,).
    """

    windows: torch.Tensor
    between: torch.Tensor
    measured: torch.Tensor


@dataclass(frozen=True, eq=False)
class Features:
    """Features of one scan.

    Attributes
    ----------
    image
        Square roots of the window means [SUV^½], zero where missing, shape (windows, z, y, x). The root makes the noise
        equally strong everywhere.
    constants
        Shape (constants,): 1 for each window that was measured and 0 for others, then the logarithm of the body weight
        relative to the usual one of the species.
    windows
        Weights of the frames in every window, shape (windows, frames).
    course
        Windows in which the curve is corrected.
    since
        Middle of every frame after the arrival of the bolus, shape (frames,) [s].
    """

    image: torch.Tensor
    constants: torch.Tensor
    windows: torch.Tensor
    course: Course
    since: torch.Tensor


def arrival(timing: FrameTiming, total: Array) -> float:
    """When the bolus arrived, from the mean of the whole image.

    Parameters
    ----------
    timing
        Start and duration of the frames.
    total
        Mean over the image in every frame, shape (frames,), any unit.

    Returns
    -------
    Time at which the total first reaches half its plateau [s]; if the first frame is there already, 15 s before it.
    """
    early = (timing.mid < timing.begin + _PLATEAU) | ((timing.start <= timing.begin) & (timing.begin < timing.end))
    if total[early].max() <= 0.0:
        early[:] = True
    level = _RISE * float(np.median(total[early][total[early] > 0.5 * total[early].max()]))
    first = int(np.argmax(total >= level))
    if first == 0:
        return float(timing.start[0]) - _MISSED
    before, after = total[first - 1], total[first]
    # the mean of a frame is placed at its middle, but a frame that the bolus enters late is low for that reason only
    reached = (level - before) / (after - before)
    return float(timing.mid[first - 1] + reached * (timing.mid[first] - timing.mid[first - 1]))


def window_matrix(
    timing: FrameTiming, arrived: float, edges: Sequence[float] = WINDOW_EDGES
) -> tuple[Array, NDArray[np.bool_]]:
    """Weights of the frames in every window, and which windows were measured.

    Parameters
    ----------
    timing
        Start and duration of the frames.
    arrived
        Time of arrival of the bolus [s].
    edges
        Edges of the windows [s after the arrival].

    Returns
    -------
    Shape (windows, frames); each row sums to 1, or is zero for a window that the frames don't cover by half. And shape
    (windows,).
    """
    limits = np.array(list(pairwise(edges))) + arrived
    overlap = np.minimum(timing.end, limits[:, 1:]) - np.maximum(timing.start, limits[:, :1])
    overlap = np.clip(overlap, 0.0, None)
    covered = overlap.sum(axis=1)
    measured = covered >= _COVERED * (limits[:, 1] - limits[:, 0])
    return np.where(measured[:, None], overlap / np.maximum(covered, 1e-9)[:, None], 0.0), measured


def frame_matrix(middle: Array, measured: NDArray[np.bool_]) -> Array:
    """Matrix that interpolates values in the measured windows of a course linearly to times, constant beyond them.

    Parameters
    ----------
    middle
        Times, shape (frames,) [s after the arrival of the bolus].
    measured
        Shape (course windows,).

    Returns
    -------
    Shape (frames, course windows).
    """
    one = np.eye(COURSE)[measured]
    found = np.zeros((len(middle), COURSE))
    for row, window in zip(one, np.flatnonzero(measured), strict=True):
        found[:, window] = np.interp(middle, _MIDDLES[measured], row[measured])
    return found


def course_of(timing: FrameTiming, arrived: float, like: torch.Tensor) -> Course:
    """Windows of a scan in which its curve is corrected, as tensors of the kind and on the device of another."""
    weights, measured = window_matrix(timing, arrived, COURSE_EDGES)
    between = frame_matrix(timing.mid - arrived, measured)
    return Course(
        torch.from_numpy(weights).to(like),
        torch.from_numpy(between).to(like),
        torch.from_numpy(measured).to(like.device),
    )


def features(scan: NetworkScan) -> Features:
    """Features of a scan on the networks' grid."""
    activity, timing = scan.activity, scan.timing
    total = activity.mean(dim=(1, 2, 3)).double().numpy(force=True)
    arrived = arrival(timing, total)
    weights, measured = window_matrix(timing, arrived)
    windows = torch.from_numpy(weights).to(activity)
    constants = np.append(measured.astype(float), np.log(scan.body_weight / scan.subject.body_weight))
    return Features(
        _root(window_means(activity, windows)),
        torch.from_numpy(constants).to(activity),
        windows,
        course_of(timing, arrived, activity),
        torch.from_numpy(timing.mid - arrived).to(activity),
    )


def seen_through(described: Features, activity: torch.Tensor, windows: torch.Tensor) -> Features:
    """Features as they would be if the windows had other weights.

    Parameters
    ----------
    described
        Features of the scan.
    activity
        Image of the scan, shape (frames, z, y, x) [SUV].
    windows
        Weights of the frames in every window, shape (windows, frames).
    """
    return replace(described, image=_root(window_means(activity, windows)), windows=windows)


def window_means(activity: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
    """Means over windows, shape (windows, z, y, x), by the weights of the frames in them."""
    return torch.einsum("wf,fzyx->wzyx", windows, activity)


def _root(means: torch.Tensor) -> torch.Tensor:
    """Square root, zero for what is not positive; its gradient is finite there too, which an explanation needs."""
    positive = means > 0.0
    return torch.where(positive, means, 1.0).sqrt() * positive
