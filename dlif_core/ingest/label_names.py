"""Names of labels from the tables that programs of segmentation write, recognised by what stands in them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from dlif_core.errors import InputError
from dlif_core.ingest.tables import TABLE_BYTES, is_given, read_table
from dlif_core.ingest.uris import read_text
from dlif_core.shown import LONGEST_NAME

#: Number, red, green, blue, opacity, visible, shown as a mesh, name.
_ITK_SNAP = re.compile(r'\s*(\d+)\s+\d+\s+\d+\s+\d+\s+[\d.]+\s+[01]\s+[01]\s+"(.*)"\s*')
#: Number, name, red, green, blue, transparency.
_FREESURFER = re.compile(r"\s*(\d+)\s+(\S+)\s+\d+\s+\d+\s+\d+\s+\d+\s*")
_LAYOUTS = {"an ITK-SNAP label file": _ITK_SNAP, "a colour table of FreeSurfer": _FREESURFER}
#: Columns of a structure table that may hold the name, best first.
_NAME_COLUMNS = ("name", "safe_name", "acronym")

_HINT = (
    "Give a table with the columns index and name (*_dseg.tsv), a label file of ITK-SNAP, a colour table in the layout "
    "of FreeSurferColorLUT.txt, or a CSV table with the columns id and name or acronym."
)


def label_names(uris: Sequence[str]) -> dict[int, str]:
    """Read the region name of each label that has one; return nothing without a file.

    The file is a ``*_dseg.tsv``, a label description file of ITK-SNAP, a colour table of FreeSurfer, or a structure
    table of the Allen atlases (CSV with the columns ``id`` and ``name`` or ``acronym``).

    Raises
    ------
    InputError
        If the file is none of these, a line is not like the others, or a label has two names.
    """
    if not uris:
        return {}
    names: dict[int, str] = {}
    for label, text in _listed(uris[0]):
        name = text.strip()[:LONGEST_NAME]
        if is_given(name) and names.setdefault(label, name) != name:
            raise InputError(
                f"label {label} has two names, {names[label]!r} and {name!r}.", where=uris[0], hint="Keep one of them."
            )
    return names


def _listed(uri: str) -> Iterable[tuple[int, str]]:
    lines = list(enumerate(read_text(uri, TABLE_BYTES).splitlines(), start=1))
    content = [(number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]
    first = content[0][1] if content else ""
    for layout, pattern in _LAYOUTS.items():
        if pattern.fullmatch(first):
            return _of_lines(content, layout, pattern, uri)
    if "\t" not in first and "," in first:
        return _of_csv([line for _, line in content], uri)
    if content and "\t" not in first and not uri.endswith(".tsv"):
        raise InputError("this is no table of names of labels.", where=uri, hint=_HINT)
    return _of_tsv(uri)


def _of_lines(
    lines: Iterable[tuple[int, str]], layout: str, pattern: re.Pattern[str], uri: str
) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        found = pattern.fullmatch(line)
        if found is None:
            raise InputError(
                f"line {number} is not like the others; it was read as {layout}.", where=uri, hint="Correct the line."
            )
        yield int(found[1]), found[2]


def _of_tsv(uri: str) -> Iterator[tuple[int, str]]:
    table = read_table(uri, required=("index", "name"))
    indices = table.numbers("index")
    if not (np.isfinite(indices) & (indices == np.round(indices))).all():
        raise InputError("an index is not a whole number.", where=uri, hint="Number the labels as in the image.")
    return zip((int(index) for index in indices), table.columns["name"], strict=True)


def _of_csv(lines: Sequence[str], uri: str) -> Iterator[tuple[int, str]]:
    try:
        header, *rows = csv.reader(lines, strict=True)
    except csv.Error as fault:
        raise InputError(f"this is no CSV table: {fault}.", where=uri, hint=_HINT) from fault
    columns = [cell.strip().lower() for cell in header]
    name = next((column for column in _NAME_COLUMNS if column in columns), "")
    if "id" not in columns or not name:
        raise InputError("the table has no column `id` with `name` or `acronym` beside it.", where=uri, hint=_HINT)
    at, of = columns.index("id"), columns.index(name)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns) or not row[at].strip().isdecimal():
            raise InputError(
                f"data row {number} has no whole number as id, or not {len(columns)} cells as the header.",
                where=uri,
                hint="Write cells that hold commas in quotation marks.",
            )
        yield int(row[at]), row[of]
