"""Exact convolution of a piecewise linear input curve with exponentials, averaged over frames.

The response y(t) = ∫ e^(−θ(t−s)) C(s) ds is advanced from frame edge to frame edge by the closed form of each
linear segment; since y' = C − θ y, its integral over a frame is (∫C − Δy) / θ. Nothing is sampled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.frames import FrameTiming, integral_at

Array = NDArray[np.float64]

_SECONDS_PER_MINUTE = 60.0

# (e^z − 1 − z) / z² near zero, where the closed form cancels
_SECOND = np.polynomial.Polynomial([1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040])


class FrameConvolution:
    """Frame averages of a curve's response to exponentials and of its running integral.

    Parameters
    ----------
    time
        Shape (points,), strictly increasing [s]. The curve is zero before its first point and constant after its last.
    values
        Shape (points,) [Bq/mL].
    timing
        Frames to average over.
    """

    def __init__(self, time: ArrayLike, values: ArrayLike, timing: FrameTiming) -> None:
        minutes = np.asarray(time, float) / _SECONDS_PER_MINUTE
        values = np.asarray(values, float)
        self._frames = timing
        self._duration = timing.duration / _SECONDS_PER_MINUTE
        stops = np.unique(np.concatenate([timing.start, timing.end])) / _SECONDS_PER_MINUTE
        self._stops = stops[stops > minutes[0]] if (stops > minutes[0]).any() else stops[-1:]
        self._first = np.searchsorted(self._stops, timing.start / _SECONDS_PER_MINUTE, side="left")
        self._last = np.searchsorted(self._stops, timing.end / _SECONDS_PER_MINUTE, side="left")
        self._before_start = timing.start / _SECONDS_PER_MINUTE <= minutes[0]
        self._before_end = timing.end / _SECONDS_PER_MINUTE <= minutes[0]
        self._integral = timing.average(time, values) * self._duration
        self._set_segments(minutes, values)
        self.running_integral = self._average_running_integral(minutes, values)

    def _set_segments(self, minutes: Array, values: Array) -> None:
        nodes = np.union1d(minutes, self._stops)
        nodes = nodes[nodes <= self._stops[-1]]
        node_values = np.interp(nodes, minutes, values, left=0.0)
        self._step = np.diff(nodes)
        self._start_value = node_values[:-1]
        self._rise = np.diff(node_values)
        self._segment_stop = np.searchsorted(self._stops, nodes[1:], side="left")
        self._lag = self._stops[self._segment_stop] - nodes[1:]
        self._groups = np.searchsorted(self._segment_stop, np.arange(len(self._stops)))

    def exponential(self, rate: ArrayLike) -> Array:
        """Frame averages of e^(−θt) ⊗ C.

        Parameters
        ----------
        rate
            θ, shape (rates,) [min⁻¹].

        Returns
        -------
        Shape (rates, frames) [Bq/mL·min].
        """
        theta = np.atleast_1d(np.asarray(rate, float))
        safe = np.where(theta != 0, theta, 1.0)[:, None]
        response = self._at_stops(safe)
        edges = np.concatenate([response, np.zeros((len(theta), 1))], axis=1)
        start = np.where(self._before_start, 0.0, edges[:, self._first])
        end = np.where(self._before_end, 0.0, edges[:, self._last])
        average = (self._integral - (end - start)) / (safe * self._duration)
        return np.where(theta[:, None] != 0, average, self.running_integral)

    def _at_stops(self, theta: Array) -> Array:
        """The response at every stop, shape (rates, stops)."""
        exponent = -theta * self._step
        first = np.expm1(exponent) / exponent
        small = np.abs(exponent) < 1e-2
        second = np.where(small, _SECOND(exponent), (first - 1) / np.where(small, 1.0, exponent))
        gain = self._step * (self._start_value * first + self._rise * second) * np.exp(-theta * self._lag)
        added = np.add.reduceat(gain, self._groups, axis=1)
        decay = np.exp(-theta * np.diff(self._stops, prepend=self._stops[0]))
        response = np.empty_like(added)
        state = np.zeros(len(theta))
        for stop in range(added.shape[1]):
            state = decay[:, stop] * state + added[:, stop]
            response[:, stop] = state
        return response

    def _average_running_integral(self, minutes: Array, values: Array) -> Array:
        """Frame averages of ∫C, exact: the segments' cubic integrals, shape (frames,) [Bq/mL·min]."""
        nodes = np.union1d(minutes, self._stops)
        node_values = np.interp(nodes, minutes, values, left=0.0)
        running = integral_at(minutes, values, nodes)
        step = np.diff(nodes)
        area = step * running[:-1] + step**2 * (node_values[:-1] / 3 + node_values[1:] / 6)
        total = np.concatenate([[0.0], np.cumsum(area)])
        at = [np.interp(edge / _SECONDS_PER_MINUTE, nodes, total) for edge in (self._frames.start, self._frames.end)]
        return np.asarray((at[1] - at[0]) / self._duration)
