"""Numbers of the input function that a fit finds: how late and how smeared out it arrives, and what it is mixed from.

All that is done to a curve here is linear and the same at all times, so the order does not matter. A changed curve is
again piecewise linear: at its points it is exact, and points are set so close that between them it differs by less
than a millionth of the measured curve's peak. The points move smoothly with the numbers, as optimisers need it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction

Array = NDArray[np.float64]

_SECONDS_PER_MINUTE = 60.0
#: Largest error of a changed curve between its points, as a share of the measured curve's peak.
_TOLERANCE = 1e-6
#: Time constants between which the points are made close enough, as multiples of the longest one.
_TIME_CONSTANTS = np.geomspace(1 / 128, 1, 8)
#: Dispersion below which a curve stays as it is [s]; far below the steps of numerical derivatives.
_SHORTEST = 1e-9
#: Time after which an exponential is over, in time constants.
_OVER = 40.0
#: Width of a step of a curve, as a share of the distance of its points.
_STEP_WIDTH = 1e-6


@dataclass(frozen=True)
class InputParameter:
    """One number that changes the input function.

    Attributes
    ----------
    name, units, long_name
        Name, units and description in data sets.
    lower, upper
        Bounds.
    grid
        Values at which the search for the optimum begins.
    neutral
        The value that changes nothing, alone or with the neutral values of the model's others.
    """

    name: str
    units: str
    long_name: str
    lower: float
    upper: float
    grid: tuple[float, ...]
    neutral: float = 0.0


#: From the measured input function and the values of a model's own input parameters, in order, to that of the tissue.
InputTransform = Callable[..., InputFunction]

DELAY = InputParameter(
    "delay", "s", "delay of the tissue against the input function", -30.0, 30.0, tuple(np.arange(-30.0, 31.0, 2.0))
)


def dispersed(curve: InputFunction, tau: float, longest: float) -> InputFunction:
    """The curve with the dispersion between its site of measurement and the tissue.

    With τ > 0 the tissue's curve is the more dispersed one, (1/τ) e^(−t/τ) ⊗ C. With τ < 0 the measured curve is, as
    behind a long sampling line, and the dispersion is taken out: C + |τ| dC/dt, its exact inverse (Iida et al., J
    Cereb Blood Flow Metab 1986;6:536). Both join smoothly at τ = 0. Whole blood, plasma and samples are changed alike;
    the band is left out, because it does not follow.

    Parameters
    ----------
    curve
        The measured curve.
    tau
        τ [s].
    longest
        The largest |τ| for which the same number of points must do [s].
    """
    if abs(tau) < _SHORTEST:
        return curve
    return _smeared(curve, tau, longest) if tau > 0 else _sharpened(curve, -tau)


def dual_input(curve: InputFunction, arterial_fraction: float, rate: float, slowest: float) -> InputFunction:
    """The input of the liver: fA C_A + (1 − fA) C_PV, where C_PV = kPV e^(−kPV t) ⊗ C_A has passed the gut.

    Whole blood and plasma are mixed alike.

    Parameters
    ----------
    curve
        The arterial curve C_A.
    arterial_fraction
        fA, share of the hepatic artery in the flow.
    rate, slowest
        kPV and its lower bound [min⁻¹].
    """
    portal = _smeared(curve, _SECONDS_PER_MINUTE / rate, _SECONDS_PER_MINUTE / slowest)

    def mixed(name: str) -> Array:
        measured = np.interp(portal.time, curve.time, getattr(curve, name))
        return np.asarray(arterial_fraction * measured + (1 - arterial_fraction) * getattr(portal, name))

    samples = None if curve.samples is None else _mixed_samples(curve, portal, arterial_fraction)
    return replace(portal, whole_blood=mixed("whole_blood"), plasma=mixed("plasma"), samples=samples)


def _mixed_samples(curve: InputFunction, portal: InputFunction, arterial_fraction: float) -> Array:
    assert curve.samples is not None
    assert portal.samples is not None
    measured = np.array([np.interp(portal.time, curve.time, sample) for sample in curve.samples])
    return np.asarray(arterial_fraction * measured + (1 - arterial_fraction) * portal.samples)


def _changed(curve: InputFunction, time: Array, change: Callable[[Array], Array]) -> InputFunction:
    """The input function with every curve changed, along the last axis."""
    samples = None if curve.samples is None else change(curve.samples)
    whole_blood, plasma = change(np.stack([curve.whole_blood, curve.plasma]))
    return replace(curve, time=time, whole_blood=whole_blood, plasma=plasma, samples=samples, lower=None, upper=None)


def _sharpened(curve: InputFunction, tau: float) -> InputFunction:
    """C + τ dC/dt: every segment stays a straight line, with a step where two meet."""
    step = np.diff(curve.time)
    time = np.append(np.stack([curve.time[:-1], curve.time[1:] - _STEP_WIDTH * step], 1), curve.time[-1])

    def change(values: Array) -> Array:
        rise = tau * np.diff(values) / step
        lines = np.stack([values[..., :-1] + rise, values[..., 1:] + rise], -1)
        return np.concatenate([lines.reshape(*values.shape[:-1], -1), values[..., -1:]], -1)

    return _changed(curve, time, change)


def _smeared(curve: InputFunction, tau: float, longest: float) -> InputFunction:
    """(1/τ) e^(−t/τ) ⊗ C, with points between the measured ones."""
    step = np.append(np.diff(curve.time), _OVER * tau)
    segment, after = _points(curve, step, tau, longest)

    def change(values: Array) -> Array:
        at_start, away, slope = _segments(values, step, tau)
        inside = at_start[..., segment] + slope[..., segment] * after
        return np.asarray(inside + away[..., segment] * np.expm1(-after / tau))

    return _changed(curve, curve.time[segment] + after, change)


def _segments(values: Array, step: Array, tau: float) -> tuple[Array, Array, Array]:
    """The smeared curve on every segment, the last of them after the last point: y(s) = y₀ + r s + A (e^(−s/τ) − 1).

    Returns
    -------
    y₀, A and the slope r, each of the shape of `values`.
    """
    slope = np.concatenate([np.diff(values) / step[:-1], np.zeros_like(values[..., :1])], -1)
    fall = np.expm1(-step / tau)
    start = np.zeros_like(values)
    for here in range(values.shape[-1] - 1):
        away = start[..., here] - values[..., here] + slope[..., here] * tau
        start[..., here + 1] = start[..., here] + slope[..., here] * step[here] + away * fall[here]
    return start, start - values + slope * tau, slope


def _points(curve: InputFunction, step: Array, tau: float, longest: float) -> tuple[NDArray[np.int64], Array]:
    """Segment of every point and its distance from that segment's start [s].

    A chord of width w misses A e^(−s/τ) by at most A e^(−s/τ) (w/τ)² / 8; the points are spaced so that all chords of
    a segment miss it alike.
    """
    pieces = _pieces(curve, longest)
    segment = np.repeat(np.arange(len(step)), pieces)
    within = np.arange(len(segment)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    share = within / pieces[segment]
    return segment, -2 * tau * np.log1p(share * np.expm1(-step[segment] / (2 * tau)))


@lru_cache(maxsize=8)
def _pieces(curve: InputFunction, longest: float) -> NDArray[np.int64]:
    """Number of pieces for every segment that is enough for all time constants up to the longest, shape (points,)."""
    values = np.stack([curve.whole_blood, curve.plasma])
    allowed = 8 * _TOLERANCE * np.abs(values).max(axis=1, keepdims=True)
    most = np.ones(len(curve.time))
    for tau in longest * _TIME_CONSTANTS:
        step = np.append(np.diff(curve.time), _OVER * tau)
        _, away, _ = _segments(values, step, tau)
        needed = -2 * np.expm1(-step / (2 * tau)) * np.sqrt(np.abs(away) / np.maximum(allowed, 1e-300))
        most = np.maximum(most, needed.max(axis=0))
    return np.ceil(most).astype(np.int64)
