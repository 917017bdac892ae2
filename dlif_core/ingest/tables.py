"""JSON objects and TSV tables over any fsspec URL, with faults in words."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import InputError
from dlif_core.ingest.uris import read_text

Array = NDArray[np.float64]

#: Spellings of "no value"; BIDS asks for ``n/a``.
_NO_VALUE = frozenset({"", "n/a", "na", "nan", "none", "null"})


def read_json(uri: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises
    ------
    MissingInputError
        If the file is not there.
    InputError
        If it is not JSON, or holds no object at its top level.
    """
    try:
        content = json.loads(read_text(uri))
    except json.JSONDecodeError as error:
        raise InputError(
            f"this is not valid JSON (line {error.lineno}: {error.msg}).", where=uri, hint="Correct the file."
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            "this JSON holds no object at its top level.", where=uri, hint="Write { … } with named fields."
        )
    return content


def is_given(value: object) -> bool:
    """Tell whether a metadata field holds a value; ``n/a`` and null count as absent."""
    return value is not None and not (isinstance(value, str) and value.strip().lower() in _NO_VALUE)


def number(value: object) -> float | None:
    """Return a metadata field as a finite number, or None if it is anything else."""
    if not isinstance(value, int | float | str) or isinstance(value, bool) or not is_given(value):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if np.isfinite(found) else None


@dataclass(frozen=True)
class TextTable:
    """A TSV file as columns of text.

    Attributes
    ----------
    columns
        Cells of each column, top to bottom, by the column's name in the header line.
    where
        The file, for error messages.
    """

    columns: dict[str, list[str]]
    where: str

    def numbers(self, column: str) -> Array:
        """Return a column as numbers, shape (rows,); cells without value (``n/a``) are NaN."""
        return np.array([self._number(cell, column, row) for row, cell in enumerate(self.columns[column])], dtype=float)

    def _number(self, cell: str, column: str, row: int) -> float:
        if not is_given(cell):
            return float("nan")
        try:
            return float(cell)
        except ValueError:
            raise InputError(
                f"{cell!r} in column {column!r}, data row {row + 1}, is not a number.",
                where=self.where,
                hint="Write a number with a decimal point, or n/a.",
            ) from None


def read_table(uri: str, required: Sequence[str] = ()) -> TextTable:
    """Read a TSV file with a header line.

    Parameters
    ----------
    uri
        Any fsspec URL.
    required
        Columns that must be there.

    Raises
    ------
    InputError
        If the file is empty, a row has too many or too few cells, a column name is a duplicate, or a
        required column is missing.
    """
    rows = [row for row in csv.reader(read_text(uri).splitlines(), delimiter="\t") if any(cell.strip() for cell in row)]
    header = [name.strip() for name in rows[0]] if rows else []
    _require_sound_header(header, required, uri)
    for line, row in enumerate(rows[1:], start=1):
        if len(row) != len(header):
            raise InputError(
                f"data row {line} has {len(row)} cells, the header {len(header)}.",
                where=uri,
                hint="Separate the cells by single tabs; write n/a where there is no value.",
            )
    return TextTable({name: [row[i].strip() for row in rows[1:]] for i, name in enumerate(header)}, uri)


def _require_sound_header(header: Sequence[str], required: Sequence[str], uri: str) -> None:
    if not header:
        raise InputError("the file is empty.", where=uri, hint="Write a header line and one row for each entry.")
    double = sorted({name for name in header if header.count(name) > 1})
    if double:
        raise InputError(f"column {double[0]!r} is a duplicate.", where=uri, hint="Rename or drop one of them.")
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError(
            f"column {' and '.join(map(repr, missing))} is missing; the file has {', '.join(map(repr, header[:8]))}"
            + (" …" if len(header) > 8 else ""),
            where=uri,
            hint="Add or rename the columns.",
        )
