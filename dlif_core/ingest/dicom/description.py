"""A series of DICOM described in the terms of PET-BIDS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dlif_core.checks import Finding
from dlif_core.checks.metadata import CORRECTIONS, DECAY_CORRECTED, FILES_LEFT_OUT, IMAGE_HEADER
from dlif_core.errors import InputError, UnitError
from dlif_core.ingest.described import DescribedScan
from dlif_core.ingest.dicom.clocks import DAY, clock_of, elapsed, injected
from dlif_core.ingest.dicom.decay import CorrectedTo, FrameDecay, corrected_to, power_of_two
from dlif_core.ingest.dicom.frame_times import TimesOfFrames, times_of_frames
from dlif_core.ingest.dicom.frames import FramesOfPlanes, arranged
from dlif_core.ingest.dicom.headers import DicomHeader, Facts, number, text, texts
from dlif_core.ingest.dicom.pixels import DicomImage, DicomSeries
from dlif_core.ingest.dicom.pmod import states_places
from dlif_core.ingest.dicom.quantity import DoseAtReference, stated_dose, stated_weight, unit_of
from dlif_core.ingest.dicom.subject import about_injection, about_subject_and_scanner, half_life_of
from dlif_core.shown import counted, shown

#: After so many half-lives nothing is left to measure, so that a date must be wrong.
_MOST_HALF_LIVES = 20.0
#: Nuclides that live so long [s] are scanned a day after the injection, too.
_LONG_LIVED = 6 * 3600.0
_SAME: tuple[str, ...] = (
    *("SeriesInstanceUID", "Units", "SUVType", "DecayCorrection", "RadionuclideTotalDose", "RadionuclideHalfLife"),
    *("RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime", "PatientWeight"),
)
#: What DICOM takes for an identifier.
_UID, _LONGEST_UID = re.compile(r"[0-9]+(\.[0-9]+)*"), 64
_DYNAMIC = "dlif needs a dynamic series, reconstructed in frames of time."


def require_dynamic_pet(header: DicomHeader, where: str) -> None:
    """Refuse a file that belongs to no dynamic series of PET.

    Raises
    ------
    InputError
        If it is of another modality, gated, of several bed positions, or a projection.
    """
    facts = header.frames[0]
    kinds = texts(facts, "SeriesType")
    if text(facts, "Modality") != "PT":
        modality = shown(text(facts, "Modality"), ("ct", "mr", "nm", "pt", "sr", "sc", "ot"))
        raise InputError(f"this is a file of modality {modality}, not of PET.", where=header.uri, hint="Remove it.")
    gates = max(number(facts, "NumberOfTimeSlots") or 1, number(facts, "NumberOfRRIntervals") or 1)
    of_heart = text(facts, "CardiacSynchronizationTechnique") not in ("", "NONE")
    of_breath = text(facts, "RespiratoryMotionCompensationTechnique") == "GATING"
    if "GATED" in kinds or gates > 1 or of_heart or of_breath:
        count = f" with {gates:g} gates" if gates > 1 else ""
        raise InputError(f"the series is gated{count}.", where=where, hint=_DYNAMIC)
    if "WHOLE BODY" in kinds:
        message = "the series is a whole-body scan: parts of the body were measured at different times."
        raise InputError(message, where=where, hint=_DYNAMIC)
    if "REPROJECTION" in kinds:
        raise InputError("the series holds projections, not slices.", where=where, hint=_DYNAMIC)


def frames_of(series: DicomSeries, where: str) -> FramesOfPlanes:
    """Planes of a series in the order of frames and slices.

    Raises
    ------
    InputError
        If slices or frames are missing, double or of different grids; the message says which.
    """
    facts = series.headers[0].facts
    slices, frames = number(facts, "NumberOfSlices"), number(facts, "NumberOfTimeSlices")
    return arranged(series.planes, where, int(slices) if slices else None, int(frames) if frames else None)


def described(series: DicomSeries, where: str, stated: Mapping[str, Any]) -> DescribedScan:
    """Describe a series.

    Parameters
    ----------
    series
        The series, read.
    where
        The series, for messages.
    stated
        Fields that a table of scans states; dose and weight for images of SUV are taken from there first.

    Raises
    ------
    InputError
        Of the kind that names the fault.
    """
    _require_one_series(series, where)
    facts, frames = series.headers[0].frames[0], frames_of(series, where)
    times = times_of_frames(frames, where)
    injection = _injection(facts, times)
    decay = _decay(facts, times, injection, where)
    known = _known(facts, stated, decay, injection, where)
    unit = unit_of(facts, known, where)
    fields = about_injection(facts) | about_subject_and_scanner(facts) | _times(times, injection) | dict(decay.fields)
    found = (*times.findings, *decay.findings, *unit.findings, *_corrections(facts, where), *_injections(facts, where))
    found += _contradiction(facts, times, where)
    return DescribedScan(
        fields | {"Units": "Bq/mL"},
        where,
        DicomImage(series, frames, unit.factor),
        findings=(*found, *_places(series.headers[0], where)),
        identity=_identity(facts),
    )


def _identity(facts: Facts) -> dict[str, str]:
    """Identifiers of study and frame of reference, by which exported maps stand beside their images."""
    names = ("StudyInstanceUID", "FrameOfReferenceUID")
    return {name: uid for name in names if _UID.fullmatch(uid := text(facts, name)) and len(uid) <= _LONGEST_UID}


def _require_one_series(series: DicomSeries, where: str) -> None:
    first = series.headers[0]
    for header in series.headers:
        differing = [name for name in _SAME if header.frames[0].get(name) != first.frames[0].get(name)]
        if differing:
            kind = UnitError if "Units" in differing else InputError
            raise kind(
                f"{differing[0]} differs from that of the other files.",
                where=header.uri,
                hint=f"Keep files of one series together; the others lie in {where}.",
            )


def _injection(facts: Facts, times: TimesOfFrames) -> float | None:
    """Start of the injection, from the start of the first frame [s]; None where it isn't known."""
    stated, half_life = injected(facts), half_life_of(facts) or 0.0
    if stated is None or times.zero is None:
        return None
    found = round(elapsed(times.zero, stated), 4)
    if half_life and abs(found) > max(DAY / 2, _MOST_HALF_LIVES * half_life):
        found = elapsed(times.zero % DAY, stated % DAY)
    last = 0.0 if times.start is None else float(times.start[-1])
    return found - DAY if found > last and stated < DAY and half_life > _LONG_LIVED else found


def _decay(facts: Facts, times: TimesOfFrames, injection: float | None, where: str) -> CorrectedTo:
    empty = np.zeros(0)
    known = times.start is not None and times.duration is not None
    frames = FrameDecay(
        start=empty if times.start is None else times.start,
        duration=empty if times.duration is None else times.duration,
        factors=times.factors if known else (),
        zero=times.zero,
        injection=injection,
        half_life=half_life_of(facts),
    )
    return corrected_to(facts, frames, where)


def _known(
    facts: Facts, stated: Mapping[str, Any], decay: CorrectedTo, injection: float | None, where: str
) -> DoseAtReference:
    """Dose, weight and decay from the injection to the time of decay correction, for images of SUV."""
    fields = about_injection(facts) | about_subject_and_scanner(facts) | dict(stated)
    began = fields.get("InjectionStart", injection)
    reference = fields.get("ImageDecayCorrectionTime", decay.reference)
    half_life = fields.get("RadionuclideHalfLife") or half_life_of(facts)
    left = 1.0 if reference is None else None  # then it is taken to be the injection
    if isinstance(began, int | float) and isinstance(reference, int | float) and isinstance(half_life, int | float):
        left = power_of_two(-(reference - began) / half_life)
    return DoseAtReference(stated_dose(fields, where), stated_weight(fields, where), left)


def _times(times: TimesOfFrames, injection: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if times.start is not None:
        found["FrameTimesStart"] = times.start.tolist()
    if times.duration is not None:
        found["FrameDuration"] = times.duration.tolist()
    if times.reference:
        found["FrameReferenceTime"] = list(times.reference)
    if times.zero is not None:
        found["TimeZero"] = clock_of(times.zero)
    if injection is not None:
        found["InjectionStart"] = injection
    return found


def _corrections(facts: Facts, where: str) -> tuple[Finding, ...]:
    stated = texts(facts, "CorrectedImage")
    absent = "ATTN" not in stated if stated else text(facts, "AttenuationCorrected").upper() == "NO"
    message = "The image is not corrected for attenuation."
    return (CORRECTIONS.found(message, where=where),) if absent else ()


def _contradiction(facts: Facts, times: TimesOfFrames, where: str) -> tuple[Finding, ...]:
    """A doubt where one element says that decay is corrected, another that it isn't, and no factor decides."""
    stated = texts(facts, "CorrectedImage")
    named = text(facts, "DecayCorrection").upper() in ("START", "ADMIN")
    if not named or times.factors or not stated or {"DECY", "DECAY"} & set(stated):
        return ()
    message = (
        "DecayCorrection says that the image is corrected for decay, CorrectedImage doesn't list it (DECY), and there "
        "are no decay factors; it is taken as corrected."
    )
    return (DECAY_CORRECTED.found(message, where=where),)


def _places(header: DicomHeader, where: str) -> tuple[Finding, ...]:
    counted_on = "PmodStarts" in header.facts and not states_places(header)
    message = "PMOD states the place of the first slice only; the others are taken to follow along its normal."
    return (IMAGE_HEADER.found(message, where=where),) if counted_on else ()


def _injections(facts: Facts, where: str) -> tuple[Finding, ...]:
    count = int(facts.get("injections", 1))
    message = f"The files describe {counted(count, 'injection')}; the first is taken."
    return (FILES_LEFT_OUT.found(message, where=where),) if count > 1 else ()
