"""Injection of the tracer: place, time, duration, repetition and paravenous part."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import ConfigurationError
from dlif_core.frames import integral_at
from dlif_core.phantom.span import Span

Array = NDArray[np.float64]

#: Veins that tracer is given into.
Vein = Literal["tail", "retro-orbital", "jugular", "arm"]

_STEP = 0.25  # sampling interval on which injections are convolved [s]


@dataclass(frozen=True)
class Injection:
    """How activity is given: late or early, slowly, twice, or partly beside the vein.

    Attributes
    ----------
    shift
        How much later than usual the injection begins; negative for earlier [s].
    infusion
        Duration of an infusion at constant rate; 0 for a bolus [s].
    repeat, gap
        Fraction of the activity that is given again, and how much later [s].
    paravenous
        Fraction that is left in a depot beside the vein.
    release
        Rate at which the depot empties into blood [min⁻¹].
    vein
        Where it is given; it makes a difference only where blood pools differ.

    Raises
    ------
    ConfigurationError
        If a fraction is outside 0 to 1, a duration is negative or the release not positive.
    """

    shift: float = 0.0
    infusion: float = 0.0
    repeat: float = 0.0
    gap: float = 60.0
    paravenous: float = 0.0
    release: float = 0.05
    vein: Vein = "tail"

    def __post_init__(self) -> None:
        fractions = (self.repeat, self.paravenous)
        if min(*fractions, self.infusion, self.gap) < 0 or max(fractions) > 1 or self.release <= 0:
            raise ConfigurationError(
                f"this injection is impossible: {self}.", hint="Fractions must be from 0 to 1, times positive."
            )

    def delivered(self, time: ArrayLike) -> Array:
        """Part of all activity that has entered blood at given times [s], in their shape."""
        passed = np.asarray(time, float) - self.shift
        first, again = self._entered(passed), self._entered(passed - self.gap)
        return (1.0 - self.repeat) * first + self.repeat * again

    def _entered(self, passed: Array) -> Array:
        """Part of one infusion that has entered blood, given the time since its begin [s]."""
        given = np.clip(passed / max(self.infusion, 1e-6), 0.0, 1.0)
        rate, since = self.release / 60.0, np.clip(passed, 0.0, None)
        length = max(self.infusion, 1e-6)
        waited = np.clip(since - length, 0.0, None)
        # of what was infused the depot still holds the part that it took in less long ago than it takes to empty
        held = (np.exp(-rate * waited) - np.exp(-rate * since)) / (rate * length)
        return given - self.paravenous * held


class BloodPools(Protocol):
    """Whole blood of an animal after an injection [SUV]."""

    @property
    def injection(self) -> Injection:
        """How tracer was given."""
        ...

    def curve(self, time: ArrayLike) -> Array:
        """Arterial blood at given times [s], of their shape."""
        ...

    def within(self, organ: str, time: ArrayLike) -> Array:
        """Blood in a pool, or in the vessels of an organ, at given times [s], of their shape."""
        ...

    def supplying(self, organ: str, time: ArrayLike) -> Array:
        """Blood from which an organ's tissue takes up tracer, at given times [s], of their shape."""
        ...

    def described(self) -> dict[str, Any]:
        """What it follows from, as plain values."""
        ...


@dataclass(frozen=True)
class MixedBlood:
    """Blood with one curve wherever it is pooled.

    Kinetics are linear: whatever enters the blood over time makes the sum of the curves of its small parts.

    Attributes
    ----------
    bolus
        The curve of all activity injected at once at the usual time [SUV].
    injection
        How the activity is given.
    """

    bolus: FengInput
    injection: Injection = Injection()

    def curve(self, time: ArrayLike) -> Array:
        """Whole blood at given times [s], of their shape [SUV]."""
        if self.injection == Injection():
            return self.bolus.curve(time)
        given = self.injection
        passed = np.asarray(time, float) - given.shift
        sampled = np.arange(0.0, max(float(passed.max()), 0.0) + 2 * _STEP, _STEP)
        values = self.bolus.curve(sampled)
        if given.infusion:
            values = _infused(sampled, values, given.infusion)
        if given.repeat:
            again = np.interp(sampled - given.gap, sampled, values, left=0.0)
            values = (1.0 - given.repeat) * values + given.repeat * again
        if given.paravenous:
            values = (1.0 - given.paravenous) * values + given.paravenous * _released(values, given.release)
        return np.asarray(np.interp(passed, sampled, values, left=0.0))

    def within(self, organ: str, time: ArrayLike) -> Array:
        """The same as `curve`, in every organ."""
        return self.curve(time)

    def supplying(self, organ: str, time: ArrayLike) -> Array:
        """The same as `curve`, for every organ."""
        return self.curve(time)

    def described(self) -> dict[str, Any]:
        """Parameters of bolus and injection."""
        return {**asdict(self.bolus), **asdict(self.injection)}


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
    vein: Vein = "tail"

    def draw(self, rng: np.random.Generator) -> Injection:
        """Draw an injection."""
        names = ("shift", "infusion", "repeat", "gap", "paravenous", "release")
        return Injection(**{name: getattr(self, name).draw(rng) for name in names}, vein=self.vein)
