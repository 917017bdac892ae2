"""Delay between a laboratory's blood and its images, and blood that is moved by it.

The curve of a network is read in the image, so it keeps the scanner's time, which kinetics need. Blood has the time of
a counter or of the person who took samples, and has passed a catheter. So a delay that all animals share belongs to the
blood: it is moved before networks are compared with it, and the curve of the network is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlif_core.frames import FrameTiming
from dlif_core.networks.calibration.cases import CalibrationCase
from dlif_core.networks.prediction.continuous import continuous_curve
from dlif_core.networks.release.own_scan import WholeBlood

Array = NDArray[np.float64]

# delays that are tried [s]
_SHIFTS = np.arange(-40.0, 40.01, 0.5)
# the rise is compared from so long before the arrival up to so long after the peak of prediction or blood [s]
_BEFORE, _AFTER = 60.0, 20.0
_FEWEST_FRAMES = 6
# powers of time in the factor between the two
_POWERS = np.arange(3)
# a common delay counts if it is at least so long [s] and so many times its standard error
_LEAST, _CERTAIN = 1.0, 3.0
# of a median relative to a mean, and of a normal law relative to its median absolute deviation
_MEDIAN, _NORMAL = 1.2533, 1.4826


class Delay(NamedTuple):
    """Time by which the blood of a laboratory is later than its images.

    Attributes
    ----------
    applied
        Time by which blood was moved earlier [s]; 0 where no delay is common to the animals.
    median, error
        Median over animals of what was found, and its standard error [s]; NaN where none could be found.
    animals
        Number of animals in which it was found.
    """

    applied: float
    median: float
    error: float
    animals: int


NO_DELAY = Delay(0.0, float("nan"), float("nan"), 0)


def blood_of(timing: FrameTiming, averages: Array) -> WholeBlood:
    """Continuous curve through frame averages of blood, NaN where they are unknown, for want of the samples."""
    known = np.isfinite(averages)
    shown = FrameTiming(timing.start[known], timing.duration[known])
    curve = continuous_curve(shown, averages[known], np.zeros(int(known.sum())))
    return WholeBlood(curve.time, curve.values)


def moved(timing: FrameTiming, averages: Array, blood: WholeBlood, delay: float) -> Array:
    """Frame averages of blood as they were without a delay [s], unknown in the same frames.

    Parameters
    ----------
    timing, averages
        Frames, and the frame averages of the blood with its delay.
    blood
        Curve of the blood with its delay.
    delay
        Time by which it is late [s].
    """
    if not delay:
        return averages
    return np.maximum(
        averages + timing.average(blood.time - delay, blood.values) - timing.average(blood.time, blood.values), 0.0
    )


def scan_delay(case: CalibrationCase) -> float:
    """Time by which the blood of a scan is later than its prediction [s]; NaN if the rise does not show it.

    The prediction is moved until it fits the rise of the blood best. It may differ from the blood by a factor, a
    parabola over time, so that an error of the activity is not taken for a delay: one of a half at the peak that is
    gone a minute later changes what is found by less than half a second.
    """
    timing, curve, truth = case.prediction.timing, case.curve, case.whole_blood
    rise = _rise(case)
    if rise.sum() < _FEWEST_FRAMES:
        return float("nan")
    passed = (timing.mid[rise] - curve.arrival) / 60.0
    weight = np.sqrt(timing.duration[rise])
    left = np.empty(len(_SHIFTS))
    for place, shift in enumerate(_SHIFTS):
        shape = timing.average(curve.time + shift, curve.values)[rise]
        columns = weight[:, None] * shape[:, None] * passed[:, None] ** _POWERS
        found, *_ = np.linalg.lstsq(columns, weight * truth[rise], rcond=None)
        left[place] = np.sum((columns @ found - weight * truth[rise]) ** 2)
    return _lowest(left)


def _rise(case: CalibrationCase) -> NDArray[np.bool_]:
    """Frames with known blood, from before the arrival to shortly after the peak."""
    timing, truth = case.prediction.timing, case.whole_blood
    known = np.isfinite(truth)
    if not known.any() or not np.nanmax(truth) > 0.0:
        return np.zeros(len(timing), dtype=bool)
    peaks = case.curve.time[int(np.argmax(case.curve.values))], timing.mid[int(np.nanargmax(truth))]
    return np.asarray(
        known & (timing.end > case.curve.arrival - _BEFORE) & (timing.start < max(peaks) + _AFTER), dtype=bool
    )


def _lowest(left: Array) -> float:
    """Shift at the lowest point of a parabola through the lowest three values; NaN if that is at an end."""
    low = int(np.argmin(left))
    if low in (0, len(left) - 1):
        return float("nan")
    before, here, after = left[low - 1 : low + 2]
    curvature = before - 2.0 * here + after
    offset = 0.5 * (before - after) / curvature if curvature > 0.0 else 0.0
    return float(_SHIFTS[low] + offset * (_SHIFTS[1] - _SHIFTS[0]))


def common_delay(delays: Sequence[float], animals: Sequence[str]) -> Delay:
    """Median over animals of the delays of their scans, which counts if it is clearly more than a second.

    Parameters
    ----------
    delays
        Delay of each scan [s], NaN where it is unknown.
    animals
        Animal of each scan.
    """
    owners, found = np.array(animals), np.array(delays, float)
    known = np.isfinite(found)
    each = np.array([np.median(found[known & (owners == animal)]) for animal in sorted(set(owners[known]))])
    if len(each) < 2:
        return NO_DELAY
    median = float(np.median(each))
    spread = max(_NORMAL * float(np.median(np.abs(each - median))), 0.25 * float(np.std(each, ddof=1)))
    error = _MEDIAN * spread / float(np.sqrt(len(each)))
    common = abs(median) >= _LEAST and abs(median) >= _CERTAIN * error
    return Delay(median if common else 0.0, median, error, len(each))
