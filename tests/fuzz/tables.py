"""Mutations of TSV tables by their structure: rows, columns, numbers as people write them, units."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.change import Done, Mutation, NotPossibleError, choices, table_unseen

Rows = list[list[str]]

_ODD = (*choices("n/a||-1|0|nan|inf|1e400|1,5|1.234,5|1_000|<0.5|0,9|--|12:30|#N/A"), "x" * 40_000)
_HEADERS = choices("time|Time|t|time [min]|time (s)|plasma|whole_blood_radioactivity [kBq/mL]||Unnamed: 0|ü")
_FEW = 3


def row_dropped(rng: random.Random, rows: Rows) -> str:
    _require(rows, 2)
    for _ in range(rng.choice((1, 1, 2, len(rows)))):
        if len(rows) > 1:
            rows.pop(rng.randrange(1, len(rows)))
    return f"{len(rows) - 1} left"


def row_doubled(rng: random.Random, rows: Rows) -> str:
    _require(rows, 2)
    rows.insert(rng.randrange(1, len(rows) + 1), list(rng.choice(rows[1:])))
    return ""


def header_repeated(rng: random.Random, rows: Rows) -> str:
    rows.insert(rng.randrange(1, len(rows) + 1), list(rows[0]))
    return ""


def reordered(rng: random.Random, rows: Rows) -> str:
    body = rows[1:]
    rng.shuffle(body)
    rows[1:] = body
    return ""


def column_dropped(rng: random.Random, rows: Rows) -> str:
    at = rng.randrange(len(rows[0]))
    name = rows[0][at]
    for row in rows:
        del row[at : at + 1]
    return name


def column_doubled(rng: random.Random, rows: Rows) -> str:
    at, name = rng.randrange(len(rows[0])), rng.choice((None, "extra", "notes", "plasma_radioactivity"))
    for row in rows:
        row.append(row[at])
    rows[0][-1] = name or rows[0][-1]
    return f"{rows[0][at]} as {rows[0][-1]}"


def columns_reordered(rng: random.Random, rows: Rows) -> str:
    order = rng.sample(range(len(rows[0])), len(rows[0]))
    rows[:] = [[row[at] for at in order] for row in rows if len(row) == len(order)]
    return str(order)


def cell(rng: random.Random, rows: Rows) -> str:
    row = rng.choice(rows)
    at = rng.randrange(len(row))
    old, row[at] = row[at], rng.choice(_ODD)
    return f"{old:.20} → {row[at]:.20}"


def cell_scaled(rng: random.Random, rows: Rows) -> str:
    _require(rows, 2)
    row = rng.choice(rows[1:])
    at, by = rng.randrange(len(row)), rng.choice((1000.0, 1e-3, 1e6, -1.0))
    old, row[at] = row[at], _times(row[at], by)
    return f"{old} → {row[at]} in {rows[0][at]}"


def column_scaled(rng: random.Random, rows: Rows) -> str:
    at, by = rng.randrange(len(rows[0])), rng.choice((1000.0, 1e-3, 60.0, 1 / 60, 1e6, 100.0, -1.0))
    for row in rows[1:]:
        row[at] = _times(row[at], by)
    return f"{rows[0][at]} × {by:.3g}"


def shifted(rng: random.Random, rows: Rows) -> str:
    """A clock that counts from another time."""
    names = [at for at, name in enumerate(rows[0]) if name in ("time", "frame_start", "frame_end")]
    if not names:
        raise NotPossibleError
    by = rng.choice((3600.0, 34200.0, -600.0, 1e6))
    for row in rows[1:]:
        for at in names:
            row[at] = f"{_number(row[at]) + by:.9g}"
    return f"by {by:g} s"


def header(rng: random.Random, rows: Rows) -> str:
    at = rng.randrange(len(rows[0]))
    old, rows[0][at] = rows[0][at], rng.choice((*_HEADERS, rows[0][at].upper(), rows[0][at][:-1], f'"{rows[0][at]}"'))
    return f"{old} → {rows[0][at]!r}"


def ragged(rng: random.Random, rows: Rows) -> str:
    row = rng.choice(rows)
    if rng.random() < 0.5:
        row.append(rng.choice(_ODD))
    else:
        row.pop()
    return ""


#: How a whole table is written: name of the spelling → text from rows.
_SPELLINGS: dict[str, Callable[[Rows], str]] = {
    "commas": lambda rows: _joined(rows, ","),
    "semicolons": lambda rows: _joined(rows, ";"),
    "blanks": lambda rows: _joined(rows, "   "),
    "decimal commas": lambda rows: _joined(
        [rows[0], *([cell.replace(".", ",") for cell in row] for row in rows[1:])], "\t"
    ),
    "quotes": lambda rows: _joined([[f'"{cell}"' for cell in row] for row in rows], "\t"),
    "an open quote": lambda rows: _joined(
        [rows[0], *(['"' + row[0], *row[1:]] for row in rows[1:_FEW]), *rows[_FEW:]], "\t"
    ),
    "no header": lambda rows: _joined(rows[1:], "\t"),
    "blank lines": lambda rows: _joined(rows, "\t").replace("\n", "\n\n"),
    "comments": lambda rows: "# made by a program\n" + _joined(rows, "\t"),
    "trailing tabs": lambda rows: _joined(rows, "\t").replace("\n", "\t\n"),
    "blanks around": lambda rows: _joined([[f" {cell} " for cell in row] for row in rows], "\t"),
    "transposed": lambda rows: _joined([list(row) for row in zip(*rows, strict=False)], "\t"),
    "long": lambda rows: _joined(rows, "\t") + _joined(rows[1:], "\t") * 2000,
}


def _joined(rows: Rows, separator: str) -> str:
    return "\n".join(separator.join(row) for row in rows) + "\n"


def _times(text: str, by: float) -> str:
    try:
        return f"{float(text) * by:.9g}"
    except ValueError:
        return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as fault:
        raise NotPossibleError from fault


def _require(rows: Rows, fewest: int) -> None:
    if len(rows) < fewest:
        raise NotPossibleError


def _rows(path: Path) -> tuple[bytes, Rows]:
    old = path.read_bytes()
    try:
        rows = [line.split("\t") for line in old.decode("utf-8").splitlines()]
    except UnicodeDecodeError as fault:
        raise NotPossibleError from fault
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        raise NotPossibleError
    return old, rows


#: Columns of times: a factor of 60 is that of minutes, and no length that a scan can have.
_TIMES = ("time", "frame_start", "frame_end")


def _of_table(change: Callable[[random.Random, Rows], str]) -> Mutation:
    def mutate(rng: random.Random, path: Path) -> Done:
        old, rows = _rows(path)
        detail = change(rng, rows)
        path.write_text(_joined(rows, "\t"), encoding="utf-8")
        of_times = change in (column_scaled, shifted) and (change is shifted or detail.split()[0] in _TIMES)
        return detail, "" if of_times else table_unseen(old, path.read_bytes())

    return Mutation(f"table: {change.__name__}", "*.tsv", mutate)


def _spelled(rng: random.Random, path: Path) -> Done:
    """The same numbers written in another way."""
    old, rows = _rows(path)
    way = rng.choice(list(_SPELLINGS))
    path.write_text(_SPELLINGS[way](rows), encoding="utf-8")
    return way, table_unseen(old, path.read_bytes())


_CHANGES = (
    *(
        row_dropped,
        row_doubled,
        header_repeated,
        reordered,
        column_dropped,
        column_doubled,
        columns_reordered,
        cell,
        cell,
    ),
    *(cell_scaled, column_scaled, column_scaled, shifted, header, header, ragged),
)
MUTATIONS = (*map(_of_table, _CHANGES), *3 * (Mutation("table: spelled", "*.tsv", _spelled),))
