"""Text of a file as columns of numbers with the units that it states."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import InputError, MissingInputError
from dlif_core.input_function.from_file.files import read_bytes, sidecar_of
from dlif_core.shown import shortened, shown
from dlif_core.units import is_unit

Array = NDArray[np.float64]

_HEADER = re.compile(r"^(?P<name>.*?)\s*(?:\[(?P<square>[^\[\]]*)\]|\((?P<round>[^()]*)\))$")
_NO_VALUE = frozenset({"", "n/a", "na", "nan", "none", "null"})
_SEPARATORS = ("\t", ";", ",")
_COMMENTS = ("#", "//")
_WORKBOOK = b"PK\x03\x04"


@dataclass(frozen=True, eq=False)
class CurveTable:
    """A file of curves.

    Attributes
    ----------
    cells
        Cells of each column as text, top to bottom, by the column's name without its unit.
    units
        Units that the header states, by the column's name.
    sidecar
        Fields of the JSON file beside it; empty without one.
    where
        The file.
    """

    cells: Mapping[str, Sequence[str]]
    units: dict[str, str]
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""

    def numbers(self, column: str) -> Array:
        """A column as numbers, shape (rows,); a cell without value is NaN.

        Raises
        ------
        InputError
            If a cell is no number.
        """
        cells = enumerate(self.cells[column], start=2)
        return np.array([_number(cell, column, line, self.where) for line, cell in cells])

    def stated_units(self, column: str) -> tuple[str, ...]:
        """Units of a column as its header and the sidecar say, those that are there."""
        described = self.sidecar.get(column)
        in_sidecar = described.get("Units") if isinstance(described, Mapping) else None
        return tuple(str(unit) for unit in (self.units.get(column), in_sidecar) if unit)


def read_curve_table(uri: str) -> CurveTable:
    """Read a table of curves: a header line with names and units, then a row for each time.

    Cells are split by tabs, semicolons, commas or blanks, whichever the header line has.

    Raises
    ------
    MissingInputError
        If the file is not there.
    InputError
        If it is no such table; rows are counted from the header, which is line 1.
    """
    rows = _rows(uri)
    header = [split_header(label) for label in rows[0]]
    columns: dict[str, list[str]] = {}
    for position, (name, _) in enumerate(header):
        cells = [row[position] for row in rows[1:]]
        if not name and not any(cells):
            continue
        if not name or name in columns:
            first = next(place for place, (earlier, _) in enumerate(header, start=1) if earlier == name)
            same = f"column {position + 1} is a duplicate of column {first}"
            fault = same if name else f"column {position + 1} has no name"
            raise InputError(f"{fault}.", where=uri, hint="Give each column a name of its own.")
        columns[name] = cells
    return CurveTable(columns, {name: unit for name, unit in header if name and unit}, _sidecar(uri), uri)


def split_header(label: str) -> tuple[str, str]:
    """Name and unit of a column: ``whole-blood[kBq/cc]``; round brackets hold a unit only if it is a known one."""
    found = _HEADER.match(label.strip())
    if found is None or not (found["square"] is not None or is_unit(found["round"])):
        return label.strip(), ""
    return found["name"], (found["square"] or found["round"] or "").strip()


def _rows(uri: str) -> list[list[str]]:
    """Cells of every line, as many as the header has."""
    lines = [line for line in _text(uri).splitlines() if line.strip() and not line.lstrip().startswith(_COMMENTS)]
    if len(lines) < 2:
        raise InputError("the file holds no rows.", where=uri, hint="Write a header line and a row for each time.")
    separator = next((mark for mark in _SEPARATORS if mark in lines[0]), None)
    rows = [[cell.strip().strip('"') for cell in line.split(separator)] for line in lines]
    width = len(rows[0])
    for line, row in enumerate(rows, start=1):
        if len(row) < width or any(row[width:]):
            raise InputError(
                f"line {line} has {len(row)} cells, the header {width}.",
                where=uri,
                hint="Split all cells by tabs, and write n/a where there is no value.",
            )
    return rows


def _text(uri: str) -> str:
    content = read_bytes(uri)
    if content.startswith(_WORKBOOK):
        raise InputError(
            "it is a spreadsheet, whatever its name says.", where=uri, hint="Save the sheet as text split by tabs."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputError("this is not UTF-8 text.", where=uri, hint="Save it as UTF-8.") from fault


def _number(cell: str, column: str, line: int, uri: str) -> float:
    if cell.lower() in _NO_VALUE:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise InputError(
            f"{shown(cell)} in column {shortened(column)}, line {line}, is not a number.",
            where=uri,
            hint="Write numbers with a decimal point, and n/a where there is no value.",
        ) from None


def _sidecar(uri: str) -> Mapping[str, Any]:
    beside = sidecar_of(uri)
    try:
        found = json.loads(read_bytes(beside))
    except MissingInputError:
        return {}
    except (ValueError, RecursionError) as fault:
        if isinstance(fault, InputError):
            raise
        raise InputError("this is not valid JSON.", where=beside, hint="Correct the file.") from fault
    if not isinstance(found, dict):
        raise InputError("this JSON holds no object.", where=beside, hint="Write { … } with the names of columns.")
    return found
