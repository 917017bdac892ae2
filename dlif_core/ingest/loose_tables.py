"""Tables of other programs as columns: text with tabs, blanks or commas between cells, or a workbook under any name."""

from __future__ import annotations

import re

from dlif_core.ingest.columns import UnitColumns
from dlif_core.ingest.spreadsheets import WORKBOOK, rows_of_workbook
from dlif_core.ingest.tables import TABLE_BYTES, table_of
from dlif_core.ingest.uris import fit_text, read_bytes

_BLANKS = re.compile(r"\s+(?![^\[]*\])")
_TWO_BLANKS = re.compile(r"\s{2,}")


def read_columns(uri: str) -> UnitColumns:
    """Read a table; lines that begin with ``#`` are remarks, ``//`` may stand before the header.

    Raises
    ------
    MissingInputError
        If it is not there.
    InputError
        If it can't be read.
    """
    content = read_bytes(uri, TABLE_BYTES)
    if content.startswith(WORKBOOK):
        return UnitColumns(table_of(rows_of_workbook(content, uri), uri))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # of names of regions; numbers and units are plain
    lines = [line for line in fit_text(text).splitlines() if line.strip() and not line.startswith("#")]
    rows = [_cells(line, lines[0]) for line in lines]
    if rows:
        rows[0][0] = rows[0][0].lstrip("/ ")
    return UnitColumns(table_of(rows, uri))


def _cells(line: str, header: str) -> list[str]:
    """Cells of a line, told apart as in the header; those without a name at its end are left out where empty."""
    mark = next((mark for mark in ("\t", ";", ",") if mark in header), "")
    if mark:
        cells = line.split(mark)
    elif _TWO_BLANKS.search(header.strip()):
        cells = _TWO_BLANKS.split(line.strip())
    else:
        cells = _BLANKS.split(line.strip())
    cells = [cell.strip() for cell in cells]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


def bracket(columns: UnitColumns, label: str) -> str:
    """What stands in the bracket at the name of a column, ``kBq/cc`` of ``end[kBq/cc]``; "" without one."""
    rest = label.strip().removeprefix(columns.name(label)).strip()
    return rest[1:-1].strip() if rest else ""
