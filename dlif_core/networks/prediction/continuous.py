"""Continuous whole-blood curve from frame averages, with the right peak and width within frames of many seconds.

A parametric curve is fitted to the frame averages first: the model of Feng et al. (Int J Biomed Comput 1993;32:95-110)
with dispersion, with a tail of several exponentials and an injection that takes time. Only arrival, rise, dispersion
and duration of the injection enter non-linearly; the amplitudes follow by non-negative least squares (variable
projection). The residual of the frame averages is added as a smooth curve, the mean of a Gaussian process whose
correlation lasts longer the later it is, so that a second bolus is not lost and areas are kept, while noise is not
followed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming, integral_at

Array = NDArray[np.float64]

# rates of the tail [min⁻¹], and by how much the rise is faster than any of them
_TAIL_RATES, _APART = (0.01, 0.03, 0.1, 0.3, 1.0), 0.01
# ranges of ln rise rate [min⁻¹], ln dispersion [min], and of the duration of the injection [s]
_RISE, _DISPERSION, _DURATION = (np.log(1.0), np.log(25.0)), (np.log(0.02), np.log(0.7)), (0.0, 120.0)
_START = (np.log(5.5), np.log(0.15))
# durations from which the search starts, and the shortest that is distinguished from a bolus [s]
_BOLUS_AND_INFUSION, _SHORTEST = (1.0, 30.0), 0.5
# the bolus arrives at most so long before and after the first frame that shows it [s]
_BEFORE, _AFTER = 60.0, 30.0
_ARRIVED = 0.1  # share of the peak at which a frame shows it
_SCALES, _EVALUATIONS = (5.0, 0.3, 0.5, 15.0), 40
# error of frame averages beside noise: share of their own value and of the peak
_OWN_ERROR, _PEAK_ERROR = 0.03, 0.004
# standard deviation of the remainder: share of the curve, and share of the peak that fades with this time [s]
_REMAINDER, _EARLY_REMAINDER, _FADING = 0.1, 0.02, 120.0
# it grows with the misfit relative to the errors, up to this
_LARGEST_MISFIT = 5.0
# its correlation lasts so long, and longer by this share of the time since arrival [s]
_CORRELATION, _STRETCH = 10.0, 0.2
# steps of the time grid [s] up to these times after arrival [s]
_STEPS = ((240.0, 1.0), (600.0, 5.0), (np.inf, 30.0))


@dataclass(frozen=True, eq=False)
class ContinuousCurve:
    """A curve between and within frames.

    Attributes
    ----------
    time
        Strictly increasing, from injection (or arrival, if that was earlier) to the end of the scan, shape (points,)
        [s].
    values
        Piecewise linear, not negative, shape (points,), in the unit of the frame averages.
    arrival
        Time at which the tracer arrived [s].
    """

    time: Array
    values: Array
    arrival: float


def continuous_curve(timing: FrameTiming, averages: ArrayLike, noise: ArrayLike) -> ContinuousCurve:
    """Continuous curve with the given frame averages, as nearly as their noise warrants.

    Parameters
    ----------
    timing
        Start and duration of the frames.
    averages
        Frame averages of blood, shape (frames,), any unit.
    noise
        Standard deviation that noise gives them, shape (frames,), same unit. Three per cent of a frame's own value and
        .4 % of the peak are taken as further error.

    Raises
    ------
    InputError
        If no frame average is positive.
    """
    averages, noise = np.asarray(averages, float), np.asarray(noise, float)
    if averages.max() <= 0:
        raise InputError("the frame averages of blood show no activity.", hint="Use another input function.")
    error = np.sqrt(noise**2 + (_OWN_ERROR * averages) ** 2 + (_PEAK_ERROR * averages.max()) ** 2)
    shown = _first_shown(timing, averages)
    time = _grid(min(0.0, shown - _BEFORE), shown, float(timing.end[-1]))
    average = timing.average(time, np.eye(len(time))).T
    arrival, fitted = _fit(time, average, averages, error, shown)
    values = np.clip(fitted + _remainder(time, arrival, fitted, average, averages, error), 0.0, None)
    kept = time >= min(0.0, np.floor(arrival))
    return ContinuousCurve(time[kept], np.where(time[kept] < arrival, 0.0, values[kept]), arrival)


def _first_shown(timing: FrameTiming, averages: Array) -> float:
    """Middle of the last frame before the bolus; shortly before the scan if the first frame has it already.

    A frame before the injection may be long, and the bolus arrives after it: its end is taken, or the injection.
    """
    peak = int(np.argmax(averages))
    before = np.flatnonzero(averages[:peak] < _ARRIVED * averages[peak])
    if not len(before):
        start = float(timing.start[0])
        return (max(start, 0.0) if timing.end[0] > 0.0 else start) - 10.0
    last = before[-1]
    return max(float(timing.mid[last]), min(0.0, float(timing.end[last])))


def _grid(start: float, shown: float, end: float) -> Array:
    parts, first = [], start
    for until, step in _STEPS:
        parts.append(np.arange(first, min(shown + until, end), step))
        first = max(first, parts[-1][-1] + step) if len(parts[-1]) else first
    grid = np.unique(np.concatenate([*parts, [0.0]]))
    return np.append(grid[grid < end], end)


def _fit(time: Array, average: Array, averages: Array, error: Array, shown: float) -> tuple[float, Array]:
    """Arrival [s] and the parametric curve on the grid."""
    from scipy.optimize import least_squares, nnls

    def amplitudes(shape: Array) -> tuple[Array, Array, Array]:
        columns = _columns(time, shape)
        design = average @ columns.T / error[:, None]
        found, _ = nnls(design, averages / error)
        return found, design @ found - averages / error, columns

    lower, upper = np.array([(shown - _BEFORE, shown + _AFTER), _RISE, _DISPERSION, _DURATION]).T

    def misfit(shape: Array) -> Array:
        return amplitudes(shape)[1]

    searches = [
        least_squares(
            misfit,
            [shown - 5.0, *_START, duration],
            bounds=(lower, upper),
            x_scale=_SCALES,
            max_nfev=_EVALUATIONS,
        )
        for duration in _BOLUS_AND_INFUSION
    ]
    best = min(searches, key=lambda search: float(search.cost))
    amplitude, _, columns = amplitudes(best.x)
    return float(best.x[0]), columns.T @ amplitude


def _columns(time: Array, shape: Array) -> Array:
    """Curves of unit amplitude: the rise, and the rise to each exponential of the tail; shape (columns, points)."""
    arrival, rise, dispersion = shape[0] / 60.0, -np.exp(shape[1]), float(np.exp(shape[2]))
    parts = [FengInput(arrival, 100.0, 0.0, 0.0, rise, 0.0, 0.0, dispersion)]
    slower = [max(-rate, rise + _APART) for rate in _TAIL_RATES]
    parts += [FengInput(arrival, 0.0, 1.0, 0.0, rise, rate, 0.0, dispersion) for rate in slower]
    boluses, duration = np.array([part.curve(time) for part in parts]), max(float(shape[3]), _SHORTEST)
    return (integral_at(time, boluses, time) - integral_at(time, boluses, time - duration)) / duration


def _remainder(time: Array, arrival: float, fitted: Array, average: Array, averages: Array, error: Array) -> Array:
    """Residual of the frame averages as a smooth curve, the mean of a Gaussian process."""
    passed = np.clip(time - arrival, 0.0, None)
    stretched = np.log1p(passed * _STRETCH / _CORRELATION) / _STRETCH
    missed = np.sqrt(np.mean(((averages - average @ fitted) / error) ** 2))
    size = _REMAINDER * fitted + _EARLY_REMAINDER * fitted.max() * np.exp(-passed / _FADING)
    size = np.where(time < arrival, 0.0, size) * np.clip(missed, 1.0, _LARGEST_MISFIT)
    covariance = size[:, None] * size * np.exp(-0.5 * (stretched[:, None] - stretched) ** 2)
    seen = average @ covariance
    system = seen @ average.T + np.diag(error**2)
    return np.asarray(seen.T @ np.linalg.solve(system, averages - average @ fitted))
