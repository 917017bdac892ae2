"""Fields of a PET-BIDS sidecar, read one by one; faults and assumptions are collected on the way.

Only the fields named here are read; names of persons, dates and free text never enter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Check, Finding
from dlif_core.checks.metadata import DOSE_NOT_GIVEN, DOSE_UNREADABLE, FRAME_GAPS, NOT_GIVEN, TIME_AXIS
from dlif_core.errors import DlifError, FrameTimingError, InputError, UnitError
from dlif_core.frames import FrameTiming
from dlif_core.ingest.faults import Faults
from dlif_core.ingest.tables import is_given, number, read_json
from dlif_core.radionuclides import HALF_LIFE_TOLERANCE, HALF_LIVES, nuclide
from dlif_core.units import factor

Array = NDArray[np.float64]
_Value = TypeVar("_Value")


def read_sidecar(uris: Sequence[str]) -> dict[str, Any]:
    """Read JSON sidecars and merge them by the BIDS inheritance principle: later files override earlier ones."""
    merged: dict[str, Any] = {}
    for uri in uris:
        merged |= read_json(uri)
    return merged


class Sidecar:
    """The merged sidecar of one scan.

    Attributes
    ----------
    fields
        Raw fields.
    where
        The most specific sidecar, for messages.
    faults
        What makes the scan unusable.
    findings
        What was assumed.
    """

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        self.fields = fields
        self.where = where
        self.faults = Faults(where)
        self.findings: list[Finding] = []

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
        """Return a text field cut to 100 characters, "" if it is absent."""
        value = self.fields.get(name)
        return str(value).strip()[:100] if is_given(value) else ""

    def injection_start(self) -> float:
        """Return the time of injection on the files' time axis [s]; zero, with a warning, where it isn't given."""
        return self._seconds("InjectionStart", "injection is taken to be at time zero")

    def timing(self, injection: float) -> FrameTiming:
        """Return the frames in seconds from injection.

        Raises
        ------
        FrameTimingError, FrameOverlapError
            If frame times are missing, not numbers, or impossible.
        """
        self._require_times("FrameTimesStart", "FrameDuration")
        start, duration = (np.array(self.fields[name], dtype=float) for name in ("FrameTimesStart", "FrameDuration"))
        timing = FrameTiming(start - injection, duration, where=self.where)
        scan_start = number(self.fields.get("ScanStart"))
        if scan_start is not None and abs(scan_start - start[0]) > 0.5:
            self.note(
                TIME_AXIS,
                f"ScanStart is {scan_start:g} s but the first frame starts at {start[0]:g} s; "
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
        name = nuclide(self.text("TracerRadionuclide"))
        stated, listed = number(self.fields.get("RadionuclideHalfLife")), HALF_LIVES.get(name)
        if stated is None and listed is None:
            raise InputError(
                "the half-life is unknown.",
                where=self.where,
                hint="Give RadionuclideHalfLife in seconds, or TracerRadionuclide as one of " + ", ".join(HALF_LIVES),
            )
        if stated is None:
            assert listed is not None
            return listed
        if stated <= 0 or (listed is not None and abs(stated / listed - 1) > HALF_LIFE_TOLERANCE):
            expected = f"; {name} has {listed:g} s" if listed else ""
            raise InputError(
                f"RadionuclideHalfLife is {stated:g}{expected}.",
                where=self.where,
                hint="Give the half-life in seconds, of the nuclide in TracerRadionuclide.",
            )
        return stated

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

    def decay_reference(self, injection: float) -> float:
        """Return the time to which the image is decay-corrected, on the files' time axis [s].

        Raises
        ------
        InputError
            If the image is not decay-corrected.
        """
        corrected = self.fields.get("ImageDecayCorrected")
        scheme = self.text("DecayCorrection").upper()
        if corrected is False or (corrected is not True and scheme == "NONE"):
            raise InputError(
                "the image is not decay-corrected.",
                where=self.where,
                hint="Reconstruct it with decay correction, set ImageDecayCorrected to true and "
                "ImageDecayCorrectionTime to its reference.",
            )
        if corrected is not True and scheme not in ("ADMIN", "START"):
            self.note(
                NOT_GIVEN,
                "ImageDecayCorrected is not given; the image is taken to be decay-corrected.",
                "ImageDecayCorrected",
            )
        if scheme == "START" and number(self.fields.get("ImageDecayCorrectionTime")) is None:
            return self._seconds("ScanStart", "decay correction is taken to be to time zero")
        return self._seconds("ImageDecayCorrectionTime", "decay correction is taken to be to injection", injection)

    def injected_activity(self) -> float | None:
        """Return the injected activity [Bq]; None, with a warning, if it can't be read with certainty."""
        value, unit = number(self.fields.get("InjectedRadioactivity")), self.text("InjectedRadioactivityUnits")
        if value is None or value <= 0:
            self.note(DOSE_NOT_GIVEN, "InjectedRadioactivity is not given; SUV is unavailable.")
            return None
        try:
            return value * factor(unit, "activity", where=self.where)
        except UnitError as error:
            self.note(
                DOSE_UNREADABLE,
                f"InjectedRadioactivityUnits: {error.message} The dose is left out, SUV is unavailable.",
                "InjectedRadioactivityUnits",
                error.hint,
            )
            return None

    def body_weight(self) -> float | None:
        """Return the body weight [kg] if the sidecar states it with its unit, else None."""
        value, unit = number(self.fields.get("BodyWeight")), self.text("BodyWeightUnits")
        if value is None or value <= 0 or not unit:
            return None
        return value * factor(unit, "mass", where=f"{self.where}, field BodyWeightUnits")

    def _seconds(self, name: str, assumption: str, otherwise: float = 0.0) -> float:
        value = number(self.fields.get(name))
        if value is None:
            self.note(NOT_GIVEN, f"{name} is not given; {assumption}.", name)
            return otherwise
        return value


def _fault_of_times(value: object) -> str:
    if not is_given(value):
        return "is missing"
    if not isinstance(value, list) or not value or any(number(entry) is None for entry in value):
        return "is not a list of numbers"
    return ""
