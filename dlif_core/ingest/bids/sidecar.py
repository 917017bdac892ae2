"""Fields of a PET-BIDS sidecar, read one by one; faults and assumptions are collected on the way.

Only the fields named here are read; names of persons, dates and free text never enter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Check, Finding
from dlif_core.checks.metadata import (
    CLOCK_TIME,
    DOSE_NOT_GIVEN,
    DOSE_UNREADABLE,
    FIELD_SPELLING,
    FRAME_GAPS,
    HALF_LIFE,
    NOT_GIVEN,
    TIME_AXIS,
    UNIT_NOT_GIVEN,
)
from dlif_core.errors import DlifError, FrameTimingError, InputError, UnitError
from dlif_core.frames import FrameTiming
from dlif_core.ingest.bids.fields import (
    between,
    canonical,
    clock,
    is_dicom_clock,
    read_flag,
    read_text,
    time_of_day,
    unreadable,
)
from dlif_core.ingest.bids.vocabulary import KEPT_FIELDS
from dlif_core.ingest.faults import Faults
from dlif_core.ingest.tables import is_given, number, read_json, read_number
from dlif_core.radionuclides import HALF_LIFE_TOLERANCE, HALF_LIVES, NUCLIDE_WORDS, nuclide, nuclides_of
from dlif_core.shown import shown
from dlif_core.units import factor

Array = NDArray[np.float64]
_Value = TypeVar("_Value")

#: Fields that are read, as PET-BIDS, BIDS and DICOM name them.
SIDECAR_FIELDS = (
    *("TracerName", "TracerRadionuclide", "RadionuclideHalfLife", "Units", "Species"),
    *("InjectedRadioactivity", "InjectedRadioactivityUnits", "BodyWeight", "BodyWeightUnits"),
    *("TimeZero", "ScanStart", "InjectionStart", "FrameTimesStart", "FrameDuration"),
    *("ImageDecayCorrected", "ImageDecayCorrectionTime", "DecayCorrection", "DecayCorrectionFactor", "DecayFactor"),
    *("AcquisitionTime", "SeriesTime", "FrameReferenceTime"),
    *KEPT_FIELDS,
)


def read_sidecar(uris: Sequence[str], names: Sequence[str] = ()) -> dict[str, Any]:
    """Read JSON sidecars and merge them by the BIDS inheritance principle: later files override earlier ones.

    Fields whose names differ from one of `names` in case only get that name.
    """
    merged: dict[str, Any] = {}
    for uri in uris:
        merged |= canonical(read_json(uri), names)[0]
    return merged


@dataclass(frozen=True)
class StatedTimes:
    """Times that a sidecar states, in seconds from TimeZero.

    Attributes
    ----------
    injection
        Start of the injection; zero where it isn't stated.
    scan_start
        Start of the scan, or None.
    image_decay
        Time to which the image was decay-corrected, or None.
    """

    injection: float = 0.0
    scan_start: float | None = None
    image_decay: float | None = None


class Sidecar:
    """The merged sidecar of one scan.

    Attributes
    ----------
    fields
        Fields under the names that PET-BIDS gives them.
    where
        The most specific sidecar, for messages.
    faults
        What makes the scan unusable.
    findings
        What was assumed.
    """

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        self.where = where
        self.faults = Faults(where)
        self.findings: list[Finding] = []
        self.fields, renamed = canonical(fields, SIDECAR_FIELDS)
        self._note_spellings(renamed)

    @classmethod
    def read(cls, uris: Sequence[str]) -> Sidecar:
        """Read the sidecars of a scan, the most general first.

        Raises
        ------
        InputError
            If one of them can't be read.
        """
        sidecar = cls({}, uris[-1])
        for uri in uris:
            fields, renamed = canonical(read_json(uri), SIDECAR_FIELDS)
            sidecar.fields |= fields
            sidecar._note_spellings(renamed)
        return sidecar

    def _note_spellings(self, renamed: Mapping[str, str]) -> None:
        for key, name in renamed.items():
            self.note(FIELD_SPELLING, f"{key} is read as {name}, as PET-BIDS spells it.", name)

    def note(self, check: Check, message: str, field: str = "", remedy: str = "") -> None:
        """Remember what a check found in a field."""
        where = f"{self.where}, field {field}" if field else self.where
        self.findings.append(check.found(message, where=where, remedy=remedy))

    def attempt(self, read: Callable[[], _Value], otherwise: _Value) -> _Value:
        """Return what `read` returns; on a fault, collect it and return `otherwise`, until all are raised."""
        try:
            return read()
        except DlifError as error:
            self.faults.add(error)
            return otherwise

    def text(self, name: str) -> str:
        """Return a text field cut to the length of a name, "" if it is absent."""
        return read_text(self.fields, name, self.where)

    def times(self) -> StatedTimes:
        """Return the times of injection, scan and decay correction; those that can't be read are collected as faults.

        Where the injection isn't given, it is taken to be at TimeZero, with a note.
        """
        injection, scan_start, image_decay = (
            self.attempt(lambda name=name: self._seconds(name), None)  # type: ignore[misc]
            for name in ("InjectionStart", "ScanStart", "ImageDecayCorrectionTime")
        )
        if not is_given(self.fields.get("InjectionStart")):
            self.note(
                NOT_GIVEN, "InjectionStart is not given; injection is taken to be at time zero.", "InjectionStart"
            )
        if is_given(self.fields.get("TimeZero")) and clock(self.fields["TimeZero"]) is None:
            self.note(CLOCK_TIME, f"TimeZero is {self._as_stated('TimeZero')}, not a clock time.", "TimeZero")
        return StatedTimes(injection or 0.0, scan_start, image_decay)

    def _seconds(self, name: str) -> float | None:
        """Return a time in seconds from TimeZero, also of one that is written as a clock time; None if it is absent."""
        value = self.fields.get(name)
        stated, zero = clock(value), clock(self.fields.get("TimeZero"))
        if stated is None:
            if is_dicom_clock(value):
                raise unreadable(name, value, "seconds from TimeZero, nor a clock time hh:mm:ss", self.where)
            return read_number(self.fields, name, self.where)
        if zero is None:
            raise InputError(
                f"{name} is the clock time {time_of_day(value)}, but TimeZero, from which times count, is "
                f"{self._as_stated('TimeZero')}.",
                where=f"{self.where}, field {name}",
                hint="Write seconds from TimeZero, or give TimeZero as hh:mm:ss.",
            )
        seconds = between(zero, stated)
        midnight = " across midnight" if (seconds < 0) != (stated < zero) else ""
        self.note(
            CLOCK_TIME,
            f"{name} is the clock time {time_of_day(value)}; it is taken as {seconds:g} s from TimeZero "
            f"({time_of_day(self.fields['TimeZero'])}){midnight}.",
            name,
        )
        return seconds

    def _as_stated(self, name: str) -> str:
        value = self.fields.get(name)
        return shown(value) if is_given(value) else "not given"

    def timing(self, times: StatedTimes) -> FrameTiming:
        """Return the frames in seconds from injection.

        Raises
        ------
        FrameTimingError, FrameOverlapError
            If frame times are missing, not numbers, or impossible.
        """
        self._require_times("FrameTimesStart", "FrameDuration")
        start, duration = (np.array(self.fields[name], dtype=float) for name in ("FrameTimesStart", "FrameDuration"))
        timing = FrameTiming(start - times.injection, duration, where=self.where)
        if times.scan_start is not None and abs(times.scan_start - start[0]) > 0.5:
            self.note(
                TIME_AXIS,
                f"ScanStart is {times.scan_start:g} s but the first frame starts at {start[0]:g} s; "
                "FrameTimesStart is used unchanged, relative to TimeZero.",
                "ScanStart",
            )
        for gap in timing.gaps:
            self.note(FRAME_GAPS, f"There is a {gap}.", "FrameTimesStart")
        return timing

    def _require_times(self, *names: str) -> None:
        faults = [f"{name} {fault}" for name in names if (fault := _fault_of_times(self.fields.get(name)))]
        if faults:
            raise FrameTimingError(
                f"{' and '.join(faults)}.", where=self.where, hint="Give one number of seconds for each frame."
            )

    def half_life(self) -> float:
        """Return the half-life [s] from RadionuclideHalfLife, checked against TracerRadionuclide, or from the table.

        Raises
        ------
        InputError
            If neither field serves, or they contradict each other.
        """
        named = self.text("TracerRadionuclide")
        name = nuclide(named)
        stated, listed = read_number(self.fields, "RadionuclideHalfLife", self.where), HALF_LIVES.get(name)
        if stated is None:
            if listed is None:
                raise self._unknown_half_life(named)
            return listed
        if stated <= 0 or (listed is not None and abs(stated / listed - 1) > HALF_LIFE_TOLERANCE):
            expected = f"; {name} has {listed:g} s" if listed else ""
            raise InputError(
                f"RadionuclideHalfLife is {stated:g}{expected}.",
                where=f"{self.where}, field RadionuclideHalfLife",
                hint="Give the half-life in seconds, of the nuclide in TracerRadionuclide.",
            )
        if listed is None and not nuclides_of(stated):
            self._doubt_half_life(stated, named)
        return stated

    def _unknown_half_life(self, named: str) -> InputError:
        told = shown(named, NUCLIDE_WORDS)
        stated = f"TracerRadionuclide {told} names no nuclide of PET" if named else "no nuclide is named"
        return InputError(
            f"the half-life is unknown: {stated}.",
            where=self.where,
            hint=f"Give RadionuclideHalfLife in seconds, or TracerRadionuclide as one of {', '.join(HALF_LIVES)}.",
        )

    def _doubt_half_life(self, stated: float, named: str) -> None:
        units = {"minutes": 60.0, "hours": 3600.0, "days": 86400.0}
        others = [
            f"in {unit} it would be that of {names[0]}"
            for unit, s in units.items()
            if (names := nuclides_of(stated * s))
        ]
        told = shown(named, NUCLIDE_WORDS)
        nuclide_named = f"TracerRadionuclide {told} is not known" if named else "TracerRadionuclide is not given"
        self.note(
            HALF_LIFE,
            f"RadionuclideHalfLife is {stated:g} s, the half-life of no nuclide of PET that dlif knows, and "
            f"{nuclide_named}{'; ' + ', '.join(others) if others else ''}.",
            "RadionuclideHalfLife",
        )

    def unit(self) -> str:
        """Return the unit of the image as it is spelled.

        Raises
        ------
        UnitError
            If it is missing or no concentration of activity.
        """
        unit = self.text("Units")
        factor(unit, "concentration", where=f"{self.where}, field Units")
        return unit

    @property
    def _decay_correction(self) -> str:
        return str(self.fields.get("DecayCorrection") or "").strip().upper()  # NONE is a value here

    def decay_scheme(self, times: StatedTimes) -> tuple[float, ...]:
        """Return what DICOM's DecayCorrection may mean [s from TimeZero]: the injection, or the start of the scan."""
        if self._decay_correction == "ADMIN":
            return (times.injection,)
        if self._decay_correction == "START":
            first = self.numbers("FrameTimesStart")[:1]
            return first if times.scan_start is None else (times.scan_start, *first)
        return ()

    def decay_reference(self, times: StatedTimes) -> float:
        """Return the time to which the image is decay-corrected [s from TimeZero].

        Raises
        ------
        InputError
            If the image is not decay-corrected, or it is said in a way that can't be read.
        """
        corrected = read_flag(self.fields, "ImageDecayCorrected", self.where)
        scheme = self._decay_correction
        if corrected is False or scheme == "NONE":
            field = "ImageDecayCorrected" if corrected is False else "DecayCorrection"
            beside = ", though ImageDecayCorrected is true" if corrected else ""
            raise InputError(
                f"the image is not decay-corrected: {field} is {shown(self.fields[field])}{beside}.",
                where=f"{self.where}, field {field}",
                hint="Reconstruct it with decay correction, set ImageDecayCorrected to true and "
                "ImageDecayCorrectionTime to its reference.",
            )
        if corrected is None and scheme not in ("ADMIN", "START"):
            self.note(
                NOT_GIVEN,
                "ImageDecayCorrected is not given; the image is taken to be decay-corrected.",
                "ImageDecayCorrected",
            )
        return self._decay_reference(times, scheme)

    def _decay_reference(self, times: StatedTimes, scheme: str) -> float:
        if times.image_decay is not None:
            return times.image_decay
        if scheme == "START" and times.scan_start is not None:
            return times.scan_start
        reference = "time zero" if scheme == "START" else "injection"
        self.note(
            NOT_GIVEN,
            f"ImageDecayCorrectionTime is not given; decay correction is taken to be to {reference}.",
            "ImageDecayCorrectionTime",
        )
        return 0.0 if scheme == "START" else times.injection

    def injected_activity(self) -> float | None:
        """Return the injected activity [Bq]; None, with a finding, if it can't be read with certainty."""
        try:
            value = read_number(self.fields, "InjectedRadioactivity", self.where)
            if value is None:
                self.note(DOSE_NOT_GIVEN, "InjectedRadioactivity is not given; SUV is unavailable.")
                return None
            unit = self.text("InjectedRadioactivityUnits")
            return positive(value, "InjectedRadioactivity", self.where) * factor(unit, "activity", where=self.where)
        except InputError as error:
            field = "InjectedRadioactivityUnits" if isinstance(error, UnitError) else "InjectedRadioactivity"
            fault, remedy = error.message, error.hint
        stated = fault if fault.startswith(field) else f"{field}: {fault}"
        self.note(DOSE_UNREADABLE, f"{stated} The dose is left out, SUV is unavailable.", field, remedy)
        return None

    def body_weight(self) -> float | None:
        """Return the body weight [kg] if the sidecar states it, else None; kg is assumed without a unit, with a note.

        Raises
        ------
        InputError
            If it is no positive number, or its unit is not known.
        """
        value, unit = read_number(self.fields, "BodyWeight", self.where), self.text("BodyWeightUnits")
        if value is None:
            return None
        if not unit:
            self.note(UNIT_NOT_GIVEN, "BodyWeightUnits is not given; kg is assumed, as BIDS recommends.", "BodyWeight")
        scale = factor(unit or "kg", "mass", where=f"{self.where}, field BodyWeightUnits")
        return positive(value, "BodyWeight", self.where) * scale

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a field that is a list of numbers; nothing if it is anything else."""
        values = self.fields.get(name)
        found = [number(value) for value in values] if isinstance(values, list) else []
        return tuple(value for value in found if value is not None) if None not in found else ()


def positive(value: float, name: str, where: str) -> float:
    """Return a number above zero.

    Raises
    ------
    InputError
        If it isn't.
    """
    if value <= 0:
        hint = "Correct it, or write n/a if it is unknown."
        raise InputError(f"{name} is {value:g}, not above zero.", where=f"{where}, field {name}", hint=hint)
    return value


def _fault_of_times(value: object) -> str:
    if not is_given(value):
        return "is missing"
    if not isinstance(value, list) or not value or any(number(entry) is None for entry in value):
        return f"is {shown(value)}, not a list of numbers"
    return ""
