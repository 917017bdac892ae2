"""Rows of text in spreadsheets: Excel workbooks and files of values with commas or semicolons between them."""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from dlif_core.errors import InputError
from dlif_core.foreign_faults import without_quotations
from dlif_core.shown import columns_in_words

#: First bytes of a workbook, which is a ZIP archive.
WORKBOOK = b"PK\x03\x04"

#: Largest content of a workbook, uncompressed [bytes], and numbers of rows and columns of a table.
_LARGEST, _MOST_ROWS, _MOST_COLUMNS = 256 * 10**6, 10**6, 16384
_POINT = re.compile(r"[+-]?[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?")

#: A formula in the file of a sheet, and merged cells by column and row of the first and last.
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s>/]")
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s+ref=[\"']([A-Z]+)([0-9]+):([A-Z]+)([0-9]+)")

Rows = list[list[str]]


def separator_of(header: str) -> str:
    """Mark between the cells of a header line: a tab, else a semicolon, else a comma."""
    return next((mark for mark in ("\t", ";") if mark in header), ",")


def rows_of_text(text: str, uri: str) -> Rows:
    """Rows of a file with tabs, semicolons or commas between its cells; quotation marks may enclose a cell.

    Between semicolons, numbers may have a decimal comma, unless there are numbers with a decimal point as well: then
    commas may stand between thousands, and are left as they are.

    Raises
    ------
    InputError
        If a quotation mark is not closed.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    mark = separator_of(lines[0]) if lines else ","
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark, strict=True)]
    except csv.Error as fault:
        raise InputError(
            f"the cells can't be told apart ({without_quotations(str(fault))}).",
            where=uri,
            hint="Close quotation marks, or save the table with tabs between the cells.",
        ) from fault
    return _with_points(rows) if mark != "," else rows


def _with_points(rows: Rows) -> Rows:
    cells = [cell for row in rows[1:] for cell in row]
    if any(map(_POINT.fullmatch, cells)):
        return rows
    return [[cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell for cell in row] for row in rows]


def rows_of_workbook(content: bytes, uri: str, sheet: str = "") -> Rows:
    """Rows of a sheet of an Excel workbook: values, never formulas.

    Parameters
    ----------
    content
        The file.
    uri
        Where it lies, for messages.
    sheet
        Name of the sheet; the first if it is "".

    Raises
    ------
    InputError
        If it is damaged, has no such sheet, holds more than any table, formulas without values, or cells that are
        merged over several rows.
    """
    _require_small(content, uri)
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        names = book.sheetnames
        if not names or (sheet and sheet not in names):
            raise InputError(
                f"there is no such sheet; the workbook has {columns_in_words(names, [sheet])}.",
                where=uri,
                hint="Name one of its sheets.",
            )
        chosen = book[sheet or names[0]]
        _require_no_merged_rows(chosen, uri)
        _require_values(chosen, content, uri)
        return list(_rows(chosen, uri))
    except InputError:
        raise
    except Exception as fault:  # openpyxl raises whatever its parsers of XML do
        raise _damaged(fault, uri) from fault


def _require_no_merged_rows(sheet: Any, uri: str) -> None:
    """Refuse cells merged over several rows: only the first of these rows holds the value."""
    for merged in _MERGED.finditer(_xml_of(sheet)):
        if merged[2] != merged[4]:
            first, last = (f"{merged[k].decode()}{merged[k + 1].decode()}" for k in (1, 3))
            raise InputError(
                f"the cells {first} to {last} are merged, so that only the first of their rows holds a value.",
                where=uri,
                hint="Unmerge them, and write the value into every row.",
            )


def _require_values(sheet: Any, content: bytes, uri: str) -> None:
    """Refuse formulas whose value the file doesn't hold: a program wrote it that doesn't calculate."""
    import openpyxl

    if not _FORMULA.search(_xml_of(sheet)):
        return
    with_formulas = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False)[sheet.title]
    read = [with_formulas.iter_rows(max_col=_MOST_COLUMNS), sheet.iter_rows(values_only=True, max_col=_MOST_COLUMNS)]
    for formulas, values in zip(*read, strict=False):
        for cell, value in zip(formulas, values, strict=False):
            if value is None and cell.data_type == "f":
                raise InputError(
                    f"the cell {cell.coordinate} holds a formula without its value.",
                    where=uri,
                    hint="Open the workbook in a spreadsheet program and save it, or write the values.",
                )


def _xml_of(sheet: Any) -> bytes:
    """The file of a sheet in its workbook."""
    with sheet._get_source() as source:
        return bytes(source.read())


def _require_small(content: bytes, uri: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as fault:
        raise _damaged(fault, uri) from fault
    if size > _LARGEST:
        raise InputError(
            f"the workbook holds {size / 1e6:.0f} MB, which no table needs.",
            where=uri,
            hint="Save the sheet as a table of its own.",
        )


def _damaged(fault: Exception, uri: str) -> InputError:
    return InputError(
        f"this is no Excel workbook, or damaged ({without_quotations(str(fault))}).",
        where=uri,
        hint="Save it again as .xlsx, or as text with tabs between the cells.",
    )


def _rows(sheet: Any, uri: str) -> Iterator[list[str]]:
    """Rows that hold anything, as wide as the first of them at least."""
    sheet.reset_dimensions()  # the file may state others than it has
    width = 0
    for number, values in enumerate(sheet.iter_rows(values_only=True, max_col=_MOST_COLUMNS), start=1):
        if number > _MOST_ROWS:
            raise InputError(f"the sheet has more than {_MOST_ROWS} rows.", where=uri, hint="Save the table alone.")
        row = _without_end([_text(value) for value in values])
        if row:
            width = width or len(row)
            yield row + [""] * (width - len(row))


def _without_end(row: Sequence[str]) -> list[str]:
    length = max((place for place, cell in enumerate(row, start=1) if cell), default=0)
    return list(row[:length])


def _text(value: object) -> str:
    """A value as text: numbers in full; times of day and durations as hh:mm:ss, which is no number of any unit."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(value.total_seconds(), 60)
        return f"{int(minutes // 60):02d}:{int(minutes % 60):02d}:{seconds:09.6f}".removesuffix(".000000")
    if isinstance(value, datetime.datetime | datetime.time):
        return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
    return str(value).strip()
