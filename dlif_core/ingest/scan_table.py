"""A table of scans: names of subjects, and what the files of a format don't state, in the terms of PET-BIDS.

A TSV file or a spreadsheet with a row for each scan. Column ``source`` is the path of the scan (a file, or the folder
of a DICOM series) below the data, or a pattern with ``*`` for several. ``participant_id`` and ``session_id`` name the
scan; every other column is a field of a PET-BIDS sidecar, such as ``InjectedRadioactivity`` with
``InjectedRadioactivityUnits``, ``BodyWeight`` with ``BodyWeightUnits``, ``InjectionStart`` or ``TracerName``, or
``Species``. What the table states counts before what the files state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from dlif_core.errors import InputError, UnitError
from dlif_core.ingest.bids.sidecar import SIDECAR_FIELDS
from dlif_core.ingest.described import SeriesOptions
from dlif_core.ingest.reader import ScanSource
from dlif_core.ingest.tables import is_given, number, read_table
from dlif_core.registry import suggestion
from dlif_core.shown import columns_in_words

_SOURCE = "source"
_NAMES = (_SOURCE, "participant_id", "session_id")
#: Quantities that mean nothing without their unit, which is a field of its own.
_WITH_UNITS = ("InjectedRadioactivity", "InjectedMass", "SpecificRadioactivity", "BodyWeight")
#: Fields of PET-BIDS that are lists: their cells hold the numbers with blanks or commas between them.
_LISTS = ("FrameTimesStart", "FrameDuration", "DecayCorrectionFactor", "DecayFactor", "FrameReferenceTime")


@dataclass(frozen=True)
class ScanTable:
    """A table of scans.

    Attributes
    ----------
    uri
        The file; "" for an empty table.
    rows
        Cells that hold a value, by column, in the order of the file.
    """

    uri: str = ""
    rows: tuple[Mapping[str, str], ...] = ()

    def row(self, path: str) -> Mapping[str, str]:
        """The row of a scan by its path below the data; nothing if there is none.

        Raises
        ------
        InputError
            If several rows are of that scan.
        """
        found = [row for row in self.rows if _is_of(row[_SOURCE], path)]
        if len(found) > 1:
            raise InputError(
                f"{len(found)} rows are of the scan {path}.",
                where=self.uri,
                hint="Keep one row for each scan, or make the patterns in `source` narrower.",
            )
        return found[0] if found else {}

    def of_no_scan(self, paths: Collection[str]) -> list[int]:
        """Numbers, from 1, of the rows that are of none of the scans, by their paths below the data."""
        return [
            number
            for number, row in enumerate(self.rows, start=1)
            if not any(_is_of(row[_SOURCE], path) for path in paths)
        ]

    def fields(self, path: str) -> dict[str, Any]:
        """Fields of the sidecar of a scan that its row states.

        Raises
        ------
        UnitError
            If it states a dose or weight without its unit: that of the file needn't be meant.
        """
        row = self.row(path)
        for name in _WITH_UNITS:
            if name in row and f"{name}Units" not in row:
                raise UnitError(
                    f"the row of {path} states {name} without {name}Units.",
                    where=self.uri,
                    hint=f"Add the column {name}Units, and fill it in every row that has {name}.",
                )
        return {name: _value(name, cell) for name, cell in row.items() if name not in _NAMES}


def _is_of(pattern: str, path: str) -> bool:
    pattern = pattern.strip("/")
    return path == pattern or fnmatchcase(path, pattern)


def _value(name: str, cell: str) -> object:
    """A cell as JSON would hold it: a list of numbers, a number, true, false, or text."""
    if name in _LISTS:
        return [number(part) if number(part) is not None else part for part in cell.replace(",", " ").split()]
    if cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    found = number(cell)
    return cell if found is None else found


def read_scan_table(source: ScanSource) -> ScanTable:
    """Read the table that the options of a reader name; an empty one if they name none.

    Raises
    ------
    MissingInputError
        If it is not there.
    InputError
        If it can't be read, has no column ``source``, a row without one, or a column that is no field of PET-BIDS.
    """
    options = source.options
    uri = options.table if isinstance(options, SeriesOptions) else ""
    if not uri:
        return ScanTable()
    table = read_table(uri, required=(_SOURCE,))
    known = (*_NAMES, *SIDECAR_FIELDS)
    for name in table.columns:
        if name not in known:
            raise InputError(
                f"the column {name!r} is no field of PET-BIDS that dlif reads.{suggestion(name, known)}",
                where=uri,
                hint="Write it as PET-BIDS does; columns of your own belong in another table.",
            )
    rows = zip(*table.columns.values(), strict=True)
    cells = [{name: cell for name, cell in zip(table.columns, row, strict=True) if is_given(cell)} for row in rows]
    for position, row in enumerate(cells, start=1):
        if row and _SOURCE not in row:
            raise InputError(
                f"data row {position} states {columns_in_words(list(row), list(row))} and no source.",
                where=uri,
                hint="Write the path of its scan as `source`, or take the row out.",
            )
    return ScanTable(uri, tuple(row for row in cells if row))
