"""Blood recordings of PET-BIDS, in canonical units and otherwise as recorded.

A fault in one recording costs the blood, nothing else of the scan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks import Finding
from dlif_core.checks.metadata import BLOOD_FILE, FILES_LEFT_OUT, UNIT_NOT_GIVEN
from dlif_core.errors import BloodError, DlifError, MissingInputError
from dlif_core.ingest.bids.blood_clock import injection_in_blood
from dlif_core.ingest.bids.blood_fields import (
    BLOOD_FIELD_NAMES,
    check_metabolites,
    dispersion_of,
    facts_of,
    missing_columns,
)
from dlif_core.ingest.bids.metadata import Metadata
from dlif_core.ingest.bids.sidecar import read_sidecar
from dlif_core.ingest.columns import UnitColumns
from dlif_core.ingest.reader import ScanFiles
from dlif_core.ingest.tables import read_table
from dlif_core.shown import columns_in_words
from dlif_core.units import Dimension

Array = NDArray[np.float64]

#: Field of BloodRecording, PET-BIDS column, dimension.
_COLUMNS: tuple[tuple[str, str, Dimension], ...] = (
    ("whole_blood", "whole_blood_radioactivity", "concentration"),
    ("plasma", "plasma_radioactivity", "concentration"),
    ("parent_fraction", "metabolite_parent_fraction", "fraction"),
)

_VENOUS = "venous"


@dataclass
class Blood:
    """What the blood files of a scan hold.

    Attributes
    ----------
    recordings
        Recordings in the order of the files; one that can't be read is there without samples, with the reason.
    findings
        What was refused or assumed.
    provenance
        What is recorded of each file, by the name of its recording; plain values.
    """

    recordings: list[BloodRecording] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    """One table of blood with its sidecar, and the time of injection on its axis [s]."""

    name: str
    uri: str
    columns: UnitColumns
    injection: float
    decay: float


def read_blood(files: ScanFiles, metadata: Metadata) -> Blood:
    """Read all blood recordings of a scan.

    Samples keep the order of the file; a cell without value is NaN. Times are in seconds from injection.
    Activities are taken as decay-corrected to TimeZero, as PET-BIDS requires, and brought to injection.
    A recording with ``venous`` in its name or its columns' descriptions, and columns that begin with ``venous_``, give
    recordings that are not arterial. A venous recording that can't be read is left out.
    """
    blood = Blood()
    read: list[UnitColumns] = []
    for role, (uri, *jsons) in files.files.items():
        kind, _, name = role.partition("/")
        if kind != "blood":
            continue
        try:
            file = _read_file(name, uri, jsons, files, metadata, blood)
            blood.recordings.extend(_recordings(file, blood))
            read.append(file.columns)
        except DlifError as fault:
            _refuse(name, uri, fault, blood)
    blood.findings += missing_columns(blood.recordings, read)
    return blood


def _refuse(name: str, uri: str, fault: DlifError, blood: Blood) -> None:
    where = fault.where or uri
    if _VENOUS in name.lower():
        message = f"The venous recording is left out: {fault.message}"
        blood.findings.append(FILES_LEFT_OUT.found(message, where=where, remedy=fault.hint))
        return
    finding = BLOOD_FILE.found(fault.message, where=where, remedy=fault.hint)
    blood.findings.append(finding)
    blood.recordings.append(BloodRecording(name, True, np.empty(0), source=uri, refused=str(finding)))


def _read_file(
    name: str, uri: str, sidecars: Sequence[str], files: ScanFiles, metadata: Metadata, blood: Blood
) -> _File:
    if not sidecars:
        raise MissingInputError(
            "the blood recording has no JSON sidecar, so its units are unknown.",
            where=uri,
            hint=f"Add {uri.removesuffix('.tsv')}.json with the Units of every column.",
        )
    columns = UnitColumns(read_table(uri), read_sidecar(sidecars, BLOOD_FIELD_NAMES), sidecars[-1])
    injection, assumed = injection_in_blood(files, metadata, uri, columns.sidecar)
    blood.findings += assumed
    decay = metadata.decay_to_injection(-injection)
    check_metabolites(columns, blood.findings)
    facts = facts_of(columns, blood.findings)
    blood.provenance[name] = {"injection": injection, "decay_factor": decay, **facts}
    return _File(name, uri, columns, injection, decay)


def _recordings(file: _File, blood: Blood) -> Iterator[BloodRecording]:
    (label,) = file.columns.require("time")
    time = _values(file, label, "time", "s", blood) - file.injection
    _require_times(time, file.uri)
    arterial = _VENOUS not in file.name.lower() and not _is_described_as_venous(file.columns)
    for prefix, from_artery in (("", arterial), (f"{_VENOUS}_", False)):
        curves = _curves(file, prefix, blood)
        if curves:
            name = file.name + (f"-{_VENOUS}" if prefix else "")
            recording = BloodRecording(name, from_artery, time, source=file.uri, **curves)
            yield dispersion_of(recording, file.columns, blood.findings)
        elif not prefix:
            _require_venous_columns(file)


def _curves(file: _File, prefix: str, blood: Blood) -> dict[str, Any]:
    found = {}
    for name, column, dimension in _COLUMNS:
        label = file.columns.find(prefix + column)
        if label is not None:
            values = _values(file, label, dimension, "1" if dimension == "fraction" else None, blood)
            found[name] = values * (file.decay if dimension == "concentration" else 1.0)
    return found


def _values(file: _File, label: str, dimension: Dimension, otherwise: str | None, blood: Blood) -> Array:
    """A column in canonical units; where PET-BIDS fixes the unit, that is taken if none is stated, with a finding."""
    if otherwise is not None and file.columns.unit(label, dimension) is None:
        message = f"No unit of column {label!r} is stated; {otherwise} is assumed, as PET-BIDS has it."
        blood.findings.append(UNIT_NOT_GIVEN.found(message, where=file.uri))
    return file.columns.values(label, dimension, otherwise)


def _is_described_as_venous(columns: UnitColumns) -> bool:
    """Tell whether a column's description says venous; "arterialised venous" blood counts as arterial."""
    described = " ".join(str(columns.sidecar.get(column)) for _, column, _ in _COLUMNS).lower()
    return _VENOUS in described and "arterial" not in described


def _require_times(time: Array, uri: str) -> None:
    if len(time) == 0:
        raise BloodError("the recording has no samples.", where=uri, hint="Fill it or remove it from the dataset.")
    if not np.isfinite(time).all():
        row = int(np.argmax(~np.isfinite(time))) + 1
        raise BloodError(f"data row {row} has no time.", where=uri, hint="Give every sample a time or drop it.")


def _require_venous_columns(file: _File) -> None:
    names = [column for _, column, _ in _COLUMNS]
    if not any(file.columns.find(f"{_VENOUS}_{name}") for name in names):
        listed = columns_in_words(file.columns.labels, names)
        raise BloodError(
            f"no column holds activity or parent fraction; the file has {listed}.",
            where=file.uri,
            hint=f"Name the columns as PET-BIDS does: {', '.join(names)}.",
        )
