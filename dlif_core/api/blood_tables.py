"""The blood that a notebook gives along with a scan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

from dlif_core.api.tables import QuantityTable, read_quantities
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError
from dlif_core.ingest.columns import spelling
from dlif_core.units import Dimension

if TYPE_CHECKING:
    import pandas as pd

#: A table of blood samples: a file or a pandas table; or a recording.
BloodTable: TypeAlias = "str | PathLike[str] | pd.DataFrame | BloodRecording"
#: What a caller may give as the blood of a scan.
GivenBlood: TypeAlias = "BloodTable | Sequence[BloodTable] | InputFunction | None"

#: Field of BloodRecording, its dimension and the names that a column may have; those of PET-BIDS come first.
_COLUMNS: Mapping[str, tuple[Dimension, tuple[str, ...]]] = {
    "whole_blood": ("concentration", ("whole_blood_radioactivity", "whole_blood")),
    "plasma": ("concentration", ("plasma_radioactivity", "plasma")),
    "parent_fraction": ("fraction", ("metabolite_parent_fraction", "parent_fraction")),
}
_VENOUS = "venous"
#: Column of a curve that was computed, as bloodstream writes it.
_COMPUTED = "aif"
#: Name of a recording that is a pandas table.
_NO_FILE = "table"


def given_blood(
    blood: GivenBlood, units: str | None, time_unit: str | None
) -> tuple[tuple[BloodRecording, ...], InputFunction | None, tuple[str, ...]]:
    """Blood recordings, input function and warnings from what a caller gives as ``blood``.

    Parameters
    ----------
    blood
        An input function, a table (file or pandas), a recording, several of them, or None.
    units, time_unit
        Units of tables that don't state their own.

    Raises
    ------
    InputError
        If it is none of these, or a table can't be read.
    """
    if blood is None:
        return (), None, ()
    if isinstance(blood, InputFunction):
        return (), blood, ()
    several = blood if isinstance(blood, list | tuple) else (blood,)
    tables = [each if isinstance(each, BloodRecording) else read_quantities(each) for each in several]
    recordings = tuple(_recording(each, units, time_unit) for each in tables)
    _require_distinct_files(recordings)
    return recordings, None, tuple(warning for each in tables for warning in _unused_columns(each))


def _require_distinct_files(recordings: Sequence[BloodRecording]) -> None:
    """Refuse files of one name: they are of several scans, or the same one given twice."""
    for position, recording in enumerate(recordings):
        same = [other for other in recordings[:position] if other.name == recording.name != _NO_FILE]
        if same:
            raise BloodError(
                f"two recordings are called {recording.name!r}: {same[0].source} and {recording.source}.",
                where="blood",
                hint="Give the recordings of one scan, each once; rename files or join tables that belong together.",
            )


def _unused_columns(table: BloodRecording | QuantityTable) -> tuple[str, ...]:
    """Warning of columns whose name says nothing: one of them may be the plasma that is missed."""
    if isinstance(table, BloodRecording):
        return ()
    known = ("time", "", "index", *(name for _, names in _COLUMNS.values() for name in names))
    unused = [column for column in table.columns if spelling(column) not in known]
    return (f"{table.where}: columns of blood that are not used: {', '.join(unused)}.",) if unused else ()


def _recording(table: BloodRecording | QuantityTable, units: str | None, time_unit: str | None) -> BloodRecording:
    if isinstance(table, BloodRecording):
        return table
    _require_samples(table)
    of_time = table.one_of("time")
    if of_time is None:
        raise BloodError(
            f"there is no column 'time'; the table has {', '.join(map(repr, table.columns))}.",
            where=table.where,
            hint="Name the columns time, whole_blood, plasma and parent_fraction. A curve of another program is read "
            'by dlif.estimate_input_function(scan, "from-file", path=…).',
        )
    columns: dict[str, Any] = {
        name: table.values(column, dimension, _given_unit(table, column, dimension, units), "blood_units")
        for name, (dimension, names) in _COLUMNS.items()
        if (column := table.one_of(*names)) is not None
    }
    _require_columns(columns, table)
    given = time_unit or (None if table.stated_unit(of_time) else "s")
    time = table.values(of_time, "time", given, "blood_time_unit")
    return BloodRecording(_name(table), not _is_venous(table), time, source=table.where, **columns)


def _require_samples(table: QuantityTable) -> None:
    """Refuse a computed input function: its parent fraction and metabolite correction must not be modelled again."""
    if table.one_of(_COMPUTED) is not None:
        raise BloodError(
            "this table is an input function, not blood samples: it has a column AIF.",
            where=table.where,
            hint='Read it with dlif.estimate_input_function(scan, "from-file", path=…), and give the curve to the fit.',
        )


def _given_unit(table: QuantityTable, column: str, dimension: Dimension, units: str | None) -> str | None:
    """Unit of a column that the table does not state: a fraction is one, an activity has what the caller gives."""
    if dimension == "fraction":
        return None if table.stated_unit(column) else "1"
    return units


def _require_columns(columns: Mapping[str, Any], table: QuantityTable) -> None:
    if not {"whole_blood", "plasma"} & columns.keys():
        raise BloodError(
            f"no column holds blood activity; the table has {', '.join(map(repr, table.columns))}.",
            where=table.where,
            hint="Name the columns whole_blood and plasma, or as PET-BIDS does: whole_blood_radioactivity.",
        )


def _name(table: QuantityTable) -> str:
    """Name of the recording: ``manual`` of ``sub-01_recording-manual_blood.tsv``, else the name of the file."""
    named = re.search(r"recording-([^_/\\]+)_blood", table.where)
    return named[1] if named else re.split(r"[/\\]", table.where)[-1].rpartition(".")[0] or table.where


def _is_venous(table: QuantityTable) -> bool:
    """Whether file name or column descriptions say venous; "arterialised venous" blood stands in for arterial."""
    described = " ".join(str(table.sidecar.get(name)) for _, names in _COLUMNS.values() for name in names).lower()
    return _VENOUS in _name(table).lower() or (_VENOUS in described and "arterial" not in described)
