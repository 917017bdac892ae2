"""Injection of the tracer: time, duration, repetition and paravenous part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import ConfigurationError
from dlif_core.frames import integral_at
from dlif_core.phantom.span import Span

Array = NDArray[np.float64]

_STEP = 0.25  # sampling interval on which injections are convolved [s]


@dataclass(frozen=True)
class Injection:
    """A bolus given late or early, slowly, twice, or partly beside the vein.

    Kinetics are linear: whatever enters the blood over time makes the sum of the curves of its small parts.

    Attributes
    ----------
    bolus
        The curve of all activity injected at once at the usual time [SUV].
    shift
        How much later the injection begins; negative for earlier [s].
    infusion
        Duration of an infusion at constant rate; 0 for a bolus [s].
    repeat, gap
        Fraction of the activity that is given again, and how much later [s].
    paravenous
        Fraction that is left in a depot beside the vein.
    release
        Rate at which the depot empties into blood [min⁻¹].

    Raises
    ------
    ConfigurationError
        If a fraction is outside 0 to 1, a duration is negative or the release not positive.
    """

    bolus: FengInput
    shift: float = 0.0
    infusion: float = 0.0
    repeat: float = 0.0
    gap: float = 60.0
    paravenous: float = 0.0
    release: float = 0.05

    def __post_init__(self) -> None:
        fractions = (self.repeat, self.paravenous)
        if min(*fractions, self.infusion, self.gap) < 0 or max(fractions) > 1 or self.release <= 0:
            raise ConfigurationError(
                f"this injection is impossible: {self}.", hint="Fractions must be from 0 to 1, times positive."
            )

    def curve(self, time: ArrayLike) -> Array:
        """Whole blood at given times.

        Parameters
        ----------
        time
            Any shape [s].

        Returns
        -------
        Same shape [SUV].
        """
        passed = np.asarray(time, float) - self.shift
        sampled = np.arange(0.0, max(float(passed.max()), 0.0) + 2 * _STEP, _STEP)
        values = self.bolus.curve(sampled)
        if self.infusion:
            values = _infused(sampled, values, self.infusion)
        if self.repeat:
            again = np.interp(sampled - self.gap, sampled, values, left=0.0)
            values = (1.0 - self.repeat) * values + self.repeat * again
        if self.paravenous:
            values = (1.0 - self.paravenous) * values + self.paravenous * _released(values, self.release)
        return np.asarray(np.interp(passed, sampled, values, left=0.0))


Blood = FengInput | Injection


def begin(blood: Blood) -> float:
    """Time of the injection relative to the usual one [s]."""
    return blood.shift if isinstance(blood, Injection) else 0.0


def _infused(time: Array, values: Array, duration: float) -> Array:
    """Running mean of the curve over the duration of the infusion, up to each time."""
    return (integral_at(time, values, time) - integral_at(time, values, time - duration)) / duration


def _released(values: Array, rate: float) -> Array:
    """Convolution of a piecewise linear curve with rate·e^(−rate·t), exact at its samples."""
    z = rate / 60.0 * _STEP
    decay = np.exp(-z)
    mean = -np.expm1(-z) / z
    return np.asarray(lfilter([1.0 - mean, mean - decay], [1.0, -decay], values))


@dataclass(frozen=True)
class InjectionRanges:
    """Ranges from which injections are drawn at random; the attributes are those of `Injection`."""

    shift: Span = Span((0.0, 0.0))
    infusion: Span = Span((0.0, 0.0))
    repeat: Span = Span((0.0, 0.0))
    gap: Span = Span((20.0, 120.0))
    paravenous: Span = Span((0.0, 0.0))
    release: Span = Span((0.01, 0.1))

    def draw(self, rng: np.random.Generator, bolus: FengInput) -> Injection:
        """Draw an injection of a bolus."""
        names = ("shift", "infusion", "repeat", "gap", "paravenous", "release")
        return Injection(bolus, **{name: getattr(self, name).draw(rng) for name in names})
