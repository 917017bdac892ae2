"""JSON objects and tables over any fsspec URL, with faults in words."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import InputError
from dlif_core.ingest.spreadsheets import rows_of_text, rows_of_workbook
from dlif_core.ingest.uris import fit_text, read_bytes, read_text
from dlif_core.shown import columns_in_words, shortened, shown

Array = NDArray[np.float64]

#: Largest files that are read [bytes], and the longest cell, which is that of spreadsheet programs.
_JSON_BYTES, TABLE_BYTES, _LONGEST_CELL = 16 * 10**6, 32 * 10**6, 32767

#: Lines of a table, far more than samples of blood or frames.
_MOST_LINES = 10**6

#: Levels of nesting in a JSON file, and digits of a whole number that float64 can hold.
_LEVELS, _LONGEST_WHOLE = 100, 309

_SPREADSHEETS = (".csv", ".xlsx", ".xlsm")
_TAB = "\t"
_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE_MARKS = re.compile(r"[\t\n\r]")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')

#: Spellings of "no value"; BIDS asks for ``n/a``.
_NO_VALUE = frozenset({"", "n/a", "na", "nan", "none", "null"})

#: A number as people write it; Python's own reading also takes ``1_000``, ``inf`` and digits of other scripts.
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_json(uri: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    A field may stand twice if both say the same. Text is cleaned of what UTF-8 or a table can't hold; ``Infinity`` and
    numbers beyond the range of float64 are infinite, so that no field is read as a number that it doesn't hold.

    Raises
    ------
    MissingInputError
        If the file is not there.
    InputError
        If it is not JSON, holds no object at its top level, is larger than 16 MB or nested deeper than 100 levels, or
        a field stands twice with different values.
    """
    text = read_text(uri, _JSON_BYTES)
    if not text.strip():
        raise InputError("this is not valid JSON: the file is empty.", where=uri, hint="Fill or remove it.")
    try:
        content = _cleaned(json.loads(text, parse_int=_whole, object_pairs_hook=_Pairs))
    except json.JSONDecodeError as error:
        raise InputError(
            f"this is not valid JSON (line {error.lineno}: {error.msg}).", where=uri, hint="Correct the file."
        ) from error
    except RecursionError as error:
        raise InputError("this JSON is nested too deeply.", where=uri, hint="Write it flatter.") from error
    except _TwiceError as error:
        raise InputError(
            f"a field stands twice, with different values{_lines_with(str(error), text)}.",
            where=uri,
            hint="Keep one of them.",
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            "this JSON holds no object at its top level.", where=uri, hint="Write { … } with named fields."
        )
    return content


class _TwiceError(ValueError):
    """A field of a JSON object stands twice."""


class _Pairs(list[tuple[str, Any]]):
    """Fields of a JSON object in the order of the file."""

    __slots__ = ()


def _lines_with(name: str, text: str) -> str:
    """The lines of a file in which a field is named, in words; nothing where it is written in another way."""
    lines = [str(number) for number, line in enumerate(text.splitlines(), start=1) if f'"{name}"' in line]
    return f" (line {' and '.join(lines[:8])})" if lines else ""


def _whole(digits: str) -> int | float:
    """Return a whole number; one beyond the range of float64 is infinite, whatever its number of digits."""
    return int(digits) if len(digits) < _LONGEST_WHOLE else float(digits)


def _cleaned(value: Any, levels: int = _LEVELS) -> Any:
    """Return JSON content as dictionaries and lists with text that any file can hold."""
    if isinstance(value, str):
        return fit_text(_LINE_MARKS.sub(" ", value))
    if not isinstance(value, list):
        return value
    if not levels:
        raise RecursionError
    if not isinstance(value, _Pairs):
        return [_cleaned(entry, levels - 1) for entry in value]
    fields: dict[str, Any] = {}
    for key, entry in value:
        name, found = _cleaned(key), _cleaned(entry, levels - 1)
        if name in fields and fields[name] != found:
            raise _TwiceError(name)
        fields[name] = found
    return fields


def is_given(value: object) -> bool:
    """Tell whether a metadata field holds a value; null, NaN, ``n/a`` and blank text count as absent."""
    if isinstance(value, str):
        return value.strip().lower() not in _NO_VALUE
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def number(value: object) -> float | None:
    """Return a value as a finite number, or None if it is anything else.

    Text is a number if it is written with ASCII digits and a decimal point; ``1_000``, ``0x10`` and ``70,5`` are not.
    """
    if isinstance(value, str):
        value = float(value) if _DECIMAL.fullmatch(value.strip()) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def read_number(fields: Mapping[str, object], name: str, where: str) -> float | None:
    """Read a field that holds one number.

    Parameters
    ----------
    fields
        Fields of a sidecar, or cells of one row of a table.
    name
        Name of the field.
    where
        The file, for the message.

    Returns
    -------
    A finite number, or None if the field is absent or says so (null, ``n/a``).

    Raises
    ------
    InputError
        If the field is there but can't be read as a number.
    """
    value = fields.get(name)
    if not is_given(value):
        return None
    found = number(value)
    if found is None:
        raise InputError(
            f"{shown(value)} is not a number.",
            where=f"{where}, field {name}",
            hint=_remedy(value),
        )
    return found


def _remedy(value: object) -> str:
    if isinstance(value, str) and "," in value:
        return "Write a decimal point, not a comma, and nothing between thousands."
    return "Write a number with a decimal point, without unit, or n/a if it is unknown."


@dataclass(frozen=True)
class TextTable:
    """A table as columns of text.

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
        found = number(cell)
        if found is None:
            raise InputError(
                f"{shown(cell)} in column {shortened(column)}, data row {row + 1}, is not a number.",
                where=self.where,
                hint=_remedy(cell),
            )
        return found


def read_table(uri: str, required: Sequence[str] = (), sheet: str = "") -> TextTable:
    """Read a table with a header line: TSV, or a spreadsheet in a file ``.csv``, ``.xlsx`` or ``.xlsm``.

    In TSV, a row ends where its line ends: quotation marks are no special characters, but those around a whole cell are
    taken off. Empty lines and columns without a name are left out. Of spreadsheets see
    `dlif_core.ingest.spreadsheets`.

    Parameters
    ----------
    uri
        Any fsspec URL.
    required
        Columns that must be there.
    sheet
        Name of the sheet of a workbook; the first if it is "".

    Raises
    ------
    InputError
        If the file is empty, larger than 32 MB or a million lines, or no text, a row has too many or too few cells, a
        cell is longer than 32767 characters, a column name is a duplicate, or a required column is missing.
    """
    rows = _spreadsheet(uri, sheet) if uri.lower().endswith(_SPREADSHEETS) else None
    return _tab_separated(uri, required) if rows is None else table_of(rows, uri, required)


def _spreadsheet(uri: str, sheet: str) -> list[list[str]]:
    if not uri.lower().endswith(".csv"):
        return rows_of_workbook(read_bytes(uri, TABLE_BYTES), uri, sheet)
    return rows_of_text(read_text(uri, TABLE_BYTES), uri)


def table_of(rows: Sequence[Sequence[str]], uri: str, required: Sequence[str] = ()) -> TextTable:
    """The table of rows of cells, of which the first is the header; cells may be missing at the end of a row.

    Raises
    ------
    InputError
        If there are no rows, a row has too many cells, or a column name is a duplicate or missing.
    """
    header = list(rows[0]) if rows else []
    _require_sound_header(header, required, uri)
    width = len(header)
    for position, row in enumerate(rows[1:], start=1):
        rest = "".join(f"{cell}{_TAB}" for cell in row[width:])
        _require_sound_row([*row[:width], *[""] * (width - len(row))], rest, width, position, uri)
    columns = {name: [row[place] if place < len(row) else "" for row in rows[1:]] for place, name in enumerate(header)}
    return TextTable({name: cells for name, cells in columns.items() if name}, uri)


def _tab_separated(uri: str, required: Sequence[str]) -> TextTable:
    lines = [line for line in _LINE_END.split(read_text(uri, TABLE_BYTES)) if line.strip()]
    if len(lines) > _MOST_LINES:
        raise InputError(f"the table has {len(lines)} lines.", where=uri, hint=f"{_MOST_LINES} at most are read.")
    header = [_cell(text) for text in lines[0].rstrip().split(_TAB)] if lines else []
    _require_sound_header(header, required, uri)
    columns: list[list[str]] = [[] for _ in header]
    for position, line in enumerate(lines[1:], start=1):
        *row, rest = f"{line}{_TAB}".split(_TAB, len(header))
        _require_sound_row(row, rest, len(header), position, uri)
        for column, cell in zip(columns, row, strict=True):
            column.append(_cell(cell))
    return TextTable({name: cells for name, cells in zip(header, columns, strict=True) if name}, uri)


def _cell(text: str) -> str:
    cell = text.strip()
    quoted = _QUOTED.fullmatch(cell)
    return quoted[1].replace('""', '"').strip() if quoted else cell


def _require_sound_row(row: Sequence[str], rest: str, width: int, position: int, uri: str) -> None:
    """Refuse a row that is not as wide as the header, empty cells at its end aside, and cells beyond any use."""
    place = f"data row {position}"
    if len(row) < width or rest.strip():
        raise InputError(
            f"{place} has {len(row) + rest.count(_TAB)} cells, the header {width}.",
            where=uri,
            hint="Separate the cells by single tabs, or as in the header; write n/a where there is no value.",
        )
    longest = max(map(len, row))
    if longest > _LONGEST_CELL:
        raise InputError(
            f"{place} holds a cell of {longest} characters.",
            where=uri,
            hint=f"No cell may be longer than {_LONGEST_CELL} characters; check what the file is.",
        )


def _require_sound_header(header: Sequence[str], required: Sequence[str], uri: str) -> None:
    if not header:
        raise InputError("the file is empty.", where=uri, hint="Write a header line and one row for each entry.")
    double = [name for name, times in Counter(filter(None, header)).items() if times > 1]
    if double:
        first, second = [place for place, name in enumerate(header, start=1) if name == double[0]][:2]
        raise InputError(f"column {second} is a duplicate of column {first}.", where=uri, hint="Rename or drop one.")
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError(
            f"column {' and '.join(map(repr, missing))} is missing; the file has {columns_in_words(header, missing)}.",
            where=uri,
            hint=_mend_columns(header),
        )


def _mend_columns(header: Sequence[str]) -> str:
    """What to do about columns that are missing: a header of one cell that holds commas or semicolons has no tabs."""
    split = next((name for mark, name in ((";", "semicolons"), (",", "commas")) if mark in header[0]), "")
    if len(header) == 1 and split:
        return f"Separate the cells by tabs, not by {split}; then rename the columns where needed."
    return "Add or rename the columns."
