"""Fields of a blood sidecar: dispersion, what was measured, haematocrit and free fraction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dlif_core.blood_samples.dispersion import resolves
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks import Finding
from dlif_core.checks.metadata import BLOOD_FIELDS, DISPERSED, DISPERSION
from dlif_core.errors import BloodError, InputError
from dlif_core.ingest.bids.fields import read_flag, read_text
from dlif_core.ingest.columns import UnitColumns, spelling
from dlif_core.ingest.tables import read_number
from dlif_core.shown import shortened
from dlif_core.units import factor

#: Fields and columns that are read, as PET-BIDS names them.
BLOOD_FIELD_NAMES = (
    *("TimeZero", "PlasmaAvail", "WholeBloodAvail", "MetaboliteAvail", "MetaboliteRecoveryCorrectionApplied"),
    *("MetaboliteCorrectionApplied", "DispersionCorrected", "DispersionConstant", "DispersionConstantUnits"),
    *("Haematocrit", "PlasmaFreeFraction"),
)

#: No tube disperses by more [s].
_LONGEST_DISPERSION = 120.0
#: Flag, field of BloodRecording, column.
_MEASURED = (
    ("PlasmaAvail", "plasma", "plasma_radioactivity"),
    ("WholeBloodAvail", "whole_blood", "whole_blood_radioactivity"),
    ("MetaboliteAvail", "parent_fraction", "metabolite_parent_fraction"),
)
#: Columns of PET-BIDS that hold parts of the metabolites.
_UNUSED = re.compile(r"metabolite_(polar|lipophilic)_fraction")
_LIKE_FRACTION = re.compile(r"parent|metabol|unchanged|intact")


def dispersion_of(recording: BloodRecording, columns: UnitColumns, findings: list[Finding]) -> BloodRecording:
    """The recording with the constant by which it is dispersed, if it comes from an autosampler and isn't corrected.

    Raises
    ------
    InputError
        If DispersionCorrected or DispersionConstant can't be read.
    """
    if not recording.is_automatic or not recording.arterial:
        return recording  # PET-BIDS: manual samples customarily say false
    where = columns.place
    corrected = read_flag(columns.sidecar, "DispersionCorrected", where)
    if corrected:
        return recording
    constant = _dispersion_constant(columns.sidecar, where)
    if corrected is False and constant and resolves(recording.time, constant):
        message = f"The samples are not corrected for dispersion; they are corrected with a constant of {constant:g} s."
        findings.append(DISPERSION.found(message, where=where))
        return replace(recording, dispersion=constant)
    message = "DispersionCorrected is not given; the samples are taken as they are."
    if corrected is False:
        why = f"they are too far apart for its constant of {constant:g} s" if constant else "no constant is given"
        message = f"The samples are not corrected for dispersion, and {why}; they are taken as they are."
    findings.append(DISPERSED.found(message, where=where))
    return recording


def _dispersion_constant(fields: Mapping[str, Any], where: str) -> float | None:
    value = read_number(fields, "DispersionConstant", where)
    if value is None:
        return None
    unit = read_text(fields, "DispersionConstantUnits", where) or "s"
    seconds = value * factor(unit, "time", where=f"{where}, field DispersionConstantUnits")
    if not 0 <= seconds <= _LONGEST_DISPERSION:
        raise InputError(
            f"DispersionConstant is {seconds:g} s; 0 to {_LONGEST_DISPERSION:g} s is possible.",
            where=f"{where}, field DispersionConstant",
            hint="Give it in seconds.",
        )
    return seconds


def facts_of(columns: UnitColumns, findings: list[Finding]) -> dict[str, float]:
    """Haematocrit and free fraction in plasma, as fractions; they are recorded and enter no curve."""
    facts = {}
    for name in ("Haematocrit", "PlasmaFreeFraction"):
        try:
            value = read_number(columns.sidecar, name, columns.place)
        except InputError as fault:
            findings.append(BLOOD_FIELDS.found(fault.message, where=fault.where, remedy=fault.hint))
            continue
        if value is not None:  # PET-BIDS gives the free fraction in percent
            facts[name] = value / 100 if name == "PlasmaFreeFraction" or value > 1 else value
    return facts


def check_metabolites(columns: UnitColumns, findings: list[Finding]) -> None:
    """Tell what the file says of metabolites and dlif does not heed.

    Raises
    ------
    BloodError
        If plasma is said to be corrected for metabolites, and there is a parent fraction that would correct it again.
    """
    parent = columns.find("metabolite_parent_fraction")
    if parent and _flag(columns, "MetaboliteCorrectionApplied", findings):
        raise BloodError(
            "MetaboliteCorrectionApplied is true, and there is a parent fraction, which would be applied again.",
            where=columns.place,
            hint="Give total plasma and set it to false, or leave out the parent fraction.",
        )
    recovered = _flag(columns, "MetaboliteRecoveryCorrectionApplied", findings)
    if recovered is False and columns.find("hplc_recovery_fractions"):
        message = "Parent fractions are not corrected for recovery, as the file says, and are taken as they are."
        findings.append(BLOOD_FIELDS.found(message, where=columns.place))
    alike = [label for label in columns.labels if _may_be_parent_fraction(columns.name(label))]
    if alike and not parent:
        message = f"There is no column metabolite_parent_fraction; {', '.join(map(shortened, alike))} is not read."
        findings.append(BLOOD_FIELDS.found(message, where=columns.table.where))


def _may_be_parent_fraction(name: str) -> bool:
    return bool(_LIKE_FRACTION.search(spelling(name))) and not _UNUSED.fullmatch(spelling(name))


def missing_columns(recordings: Iterable[BloodRecording], files: Iterable[UnitColumns]) -> Iterator[Finding]:
    """Findings of what the sidecars say was measured and no recording holds."""
    held = [recording for recording in recordings if not recording.refused]
    for flag, column, name in _MEASURED:
        said = [file for file in files if _flag(file, flag, [])]
        measured = (getattr(recording, column) for recording in held)
        if said and held and not any(values is not None and np.isfinite(values).any() for values in measured):
            message = f"{flag} is true, but no table has values in a column {name}."
            yield BLOOD_FIELDS.found(message, where=said[0].place)


def _flag(columns: UnitColumns, name: str, findings: list[Finding]) -> bool | None:
    """A field that decides no number; one that can't be read is told, and counts as absent."""
    try:
        return read_flag(columns.sidecar, name, columns.place)
    except InputError as fault:
        findings.append(BLOOD_FIELDS.found(fault.message, where=fault.where, remedy=fault.hint))
        return None
