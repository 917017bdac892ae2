"""Decay correction of a series in the terms of PET-BIDS.

DICOM names an event: START, ADMIN or NONE. START is the start of the acquisition. Siemens takes the time of the series
for it, also where the first frame begins later; GE writes it into an element of its own where the series was made
afterwards; by the standard it is the acquisition time. The factors of the frames tell which one is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding
from dlif_core.checks.metadata import DECAY_START
from dlif_core.ingest.dicom.clocks import date_time, elapsed, series_began
from dlif_core.ingest.dicom.headers import Facts, text, texts
from dlif_core.radionuclides import HALF_LIVES

Array = NDArray[np.float64]

#: Factors within this share of those of the frame times are taken as theirs.
_TOLERANCE = 0.02
#: What the choice of a reference may change before it is a doubt.
_NEGLIGIBLE = 0.05
_CLOCK = 1.0


@dataclass(frozen=True, eq=False)
class FrameDecay:
    """What is known of the frames for their decay correction.

    Attributes
    ----------
    start, duration
        Shape (frames,), from the start of the first frame [s].
    factors
        Stated factor of each frame; none where one of them is missing.
    zero
        Moment of the first frame; None where no clock time is stated.
    injection
        Start of the injection, from the start of the first frame [s]; None where it isn't known.
    half_life
        Half-life [s]; None where it isn't known.
    """

    start: Array
    duration: Array
    factors: tuple[float, ...]
    zero: float | None
    injection: float | None
    half_life: float | None


@dataclass(frozen=True)
class CorrectedTo:
    """Time to which a series is corrected for decay.

    Attributes
    ----------
    fields
        Fields of the sidecar.
    reference
        The time, from the start of the first frame [s]; None where it isn't known, or nothing was corrected.
    findings
        What is doubtful about it.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    reference: float | None = None
    findings: tuple[Finding, ...] = ()


def power_of_two(exponent: float) -> float:
    """The power of two, of an exponent that is cut where numbers end."""
    return float(np.exp2(np.clip(exponent, -1000.0, 1000.0)))


def corrected_to(facts: Facts, frames: FrameDecay, where: str) -> CorrectedTo:
    """Decay correction of a series.

    Parameters
    ----------
    facts
        Elements of the series.
    frames
        Times and factors of its frames.
    where
        The series, for messages.
    """
    scheme = text(facts, "DecayCorrection").upper()
    factors = {"DecayCorrectionFactor": list(frames.factors)} if frames.factors else {}
    if scheme == "NONE" or text(facts, "DecayCorrected").upper() == "NO":
        return CorrectedTo({"ImageDecayCorrected": False})
    exact = date_time(text(facts, "DecayCorrectionDateTime"), text(facts, "TimezoneOffsetFromUTC"))
    if exact is not None and frames.zero is not None:
        return _to(round(elapsed(frames.zero, exact), 4), factors)
    if scheme == "ADMIN":
        return _to(frames.injection, factors | {"DecayCorrection": scheme})
    if scheme == "START":
        return _to_start(facts, frames, where, factors)
    corrections = texts(facts, "CorrectedImage")
    if corrections and not {"DECY", "DECAY"} & set(corrections):
        return CorrectedTo({"ImageDecayCorrected": False})
    told = _told_by_factors(facts, frames)
    if told is not None:
        return _to(told, factors)
    return CorrectedTo(factors | ({"ImageDecayCorrected": True} if corrections else {}))


def _told_by_factors(facts: Facts, frames: FrameDecay) -> float | None:
    """The injection or the start, where no event is named and the factors of the frames fit one of them."""
    times = [*_starts(facts, frames), *([] if frames.injection is None else [frames.injection])]
    best = min(times, key=lambda time: _misfit(frames, time))
    return best if _misfit(frames, best) <= _TOLERANCE else None


def _to(reference: float | None, fields: Mapping[str, Any], findings: tuple[Finding, ...] = ()) -> CorrectedTo:
    stated = {} if reference is None else {"ImageDecayCorrectionTime": reference}
    return CorrectedTo({"ImageDecayCorrected": True, **stated, **fields}, reference, findings)


def _to_start(facts: Facts, frames: FrameDecay, where: str, factors: Mapping[str, Any]) -> CorrectedTo:
    times = _starts(facts, frames)
    best = min(times, key=lambda time: _misfit(frames, time))
    chosen = best if _misfit(frames, best) <= _TOLERANCE else times[0]
    findings = () if frames.factors else _doubts(facts, frames, times, where)
    began = {"ScanStart": chosen} if chosen < -_CLOCK else {}
    return _to(chosen, {**factors, **began, "DecayCorrection": "START"}, findings)


def _starts(facts: Facts, frames: FrameDecay) -> list[float]:
    """Times that START may mean, from the start of the first frame [s], the likeliest first."""
    if frames.zero is None:
        return [0.0]
    zone = text(facts, "TimezoneOffsetFromUTC")
    stated = (series_began(facts), date_time(text(facts, "GeScanDateTime"), zone))
    times = [round(elapsed(frames.zero, time), 4) for time in stated if time is not None]
    return [*(time if abs(time) > _CLOCK else 0.0 for time in times if time <= _CLOCK), 0.0]


def _misfit(frames: FrameDecay, reference: float) -> float:
    """Largest relative difference of the stated factors from those of the frame times; infinite where none are stated.

    Factors hold for the mean of a decaying frame, or for its start or middle.
    """
    if not frames.factors or frames.half_life is None:
        return np.inf
    rate = np.log(2.0) / frames.half_life
    stated, since = np.array(frames.factors), frames.start - reference
    with np.errstate(all="ignore"):
        mean = np.exp(rate * since) * rate * frames.duration / -np.expm1(-rate * frames.duration)
        others = [np.exp(rate * (since + part * frames.duration)) for part in (0.0, 0.5)]
        found = [float(np.max(np.abs(stated / expected - 1))) for expected in (mean, *others)]
    return min((value for value in found if np.isfinite(value)), default=np.inf)


def _doubts(facts: Facts, frames: FrameDecay, times: Sequence[float], where: str) -> tuple[Finding, ...]:
    """A doubt where nothing tells which time is meant and it matters."""
    half_life = frames.half_life or max(HALF_LIVES.values())
    factor = power_of_two((max(times) - min(times)) / half_life)
    if factor < 1 + _NEGLIGIBLE or "SIEMENS" in text(facts, "Manufacturer").upper() or "GeScanDateTime" in facts:
        return ()
    message = (
        f"DecayCorrection is START, which may be the time of the series, {-min(times):g} s before the first frame, or "
        f"the first frame; it is taken as the former. No decay factor tells; between them lies a factor "
        f"of {factor:.3g}."
    )
    return (DECAY_START.found(message, where=where),)
