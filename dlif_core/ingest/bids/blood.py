"""Blood recordings of PET-BIDS, in canonical units and otherwise as recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.errors import BloodError, MissingInputError, UnitError
from dlif_core.ingest.bids.metadata import Metadata
from dlif_core.ingest.bids.sidecar import read_sidecar
from dlif_core.ingest.reader import ScanFiles
from dlif_core.ingest.tables import TextTable, is_given, read_table
from dlif_core.units import Dimension, factor

Array = NDArray[np.float64]

#: Field of BloodRecording, PET-BIDS column, dimension.
_COLUMNS: tuple[tuple[str, str, Dimension], ...] = (
    ("whole_blood", "whole_blood_radioactivity", "concentration"),
    ("plasma", "plasma_radioactivity", "concentration"),
    ("parent_fraction", "metabolite_parent_fraction", "fraction"),
)

_VENOUS = "venous"


def read_blood(files: ScanFiles, metadata: Metadata) -> tuple[BloodRecording, ...]:
    """Read all blood recordings of a scan.

    Samples keep the order of the file; a cell without value is NaN. Times are in seconds from injection.
    Activities are taken as decay-corrected to TimeZero, as PET-BIDS requires, and brought to injection.
    A recording with ``venous`` in its name or its columns' descriptions, and columns that begin with ``venous_``, give
    recordings that are not arterial.

    Raises
    ------
    MissingInputError
        If a recording has no sidecar.
    UnitError
        If a column's unit is missing or unknown.
    BloodError
        If a recording has no samples, no column that dlif knows, or a time that is not a number.
    """
    recordings: list[BloodRecording] = []
    for role, (uri, *sidecars) in files.files.items():
        kind, _, name = role.partition("/")
        if kind == "blood":
            recordings.extend(_read_recording(name, uri, sidecars, metadata))
    return tuple(recordings)


def _read_recording(name: str, uri: str, sidecars: Sequence[str], metadata: Metadata) -> Iterator[BloodRecording]:
    if not sidecars:
        raise MissingInputError(
            "the blood recording has no JSON sidecar, so its units are unknown.",
            where=uri,
            hint=f"Add {uri.removesuffix('.tsv')}.json with the Units of every column.",
        )
    table, fields = read_table(uri, required=("time",)), read_sidecar(sidecars)
    time = table.numbers("time") * _factor(fields, "time", "time", sidecars[-1]) - metadata.injection_start
    _require_times(time, uri)
    arterial = _VENOUS not in name.lower() and not _is_described_as_venous(fields)
    for prefix, from_artery in (("", arterial), (f"{_VENOUS}_", False)):
        curves = _curves(table, fields, prefix, sidecars[-1], metadata.blood_decay)
        if curves:
            suffix = f"-{_VENOUS}" if prefix else ""
            yield BloodRecording(name + suffix, from_artery, time, source=uri, **curves)
        elif not prefix:
            _require_venous_columns(table, uri)


def _curves(table: TextTable, fields: Mapping[str, Any], prefix: str, sidecar: str, decay: float) -> dict[str, Any]:
    found = {}
    for field, column, dimension in _COLUMNS:
        name = prefix + column
        if name in table.columns:
            scale = _factor(fields, name, dimension, sidecar) * (decay if dimension == "concentration" else 1.0)
            found[field] = table.numbers(name) * scale
    return found


def _factor(fields: Mapping[str, Any], column: str, dimension: Dimension, sidecar: str) -> float:
    described = fields.get(column)
    unit = described.get("Units") if isinstance(described, dict) else None
    if not is_given(unit):
        raise UnitError(
            f"the sidecar states no unit for column {column!r}.",
            where=sidecar,
            hint=f'Add "{column}": {{"Units": …}}, in the unit that the table is written in.',
        )
    return factor(str(unit), dimension, where=f"{sidecar}, column {column}")


def _is_described_as_venous(fields: Mapping[str, Any]) -> bool:
    """Tell whether a column's description says venous; "arterialised venous" blood counts as arterial."""
    described = " ".join(str(fields.get(column)) for _, column, _ in _COLUMNS).lower()
    return _VENOUS in described and "arterial" not in described


def _require_times(time: Array, uri: str) -> None:
    if len(time) == 0:
        raise BloodError("the recording has no samples.", where=uri, hint="Fill it or remove it from the dataset.")
    if not np.isfinite(time).all():
        row = int(np.argmax(~np.isfinite(time))) + 1
        raise BloodError(f"data row {row} has no time.", where=uri, hint="Give every sample a time or drop it.")


def _require_venous_columns(table: TextTable, uri: str) -> None:
    if not any(f"{_VENOUS}_{column}" in table.columns for _, column, _ in _COLUMNS):
        raise BloodError(
            f"no column holds activity or parent fraction; the file has {', '.join(map(repr, table.columns))}.",
            where=uri,
            hint=f"Name the columns as PET-BIDS does: {', '.join(column for _, column, _ in _COLUMNS)}.",
        )
