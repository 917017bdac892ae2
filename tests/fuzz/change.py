"""A change of a file, and what may be expected of software that reads it.

A change of which nothing in the data can tell, such as a dose that is a tenth higher, says so in `unseen`. Every other
one must leave the results right, or be told.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A number changed by less than this factor is one that could have been measured.
WITHIN = 100.0
#: Clock and injection times may be off by less than this [s] without a trace in frames of some ten seconds.
SHIFT = 120.0

_TIME_LISTS = ("FrameTimesStart", "FrameDuration")
#: Fields of text that are a name of their own, whatever stands there.
_FREE_TEXT = ("TracerName", "TimeZero", "Name", "species", "ModeOfAdministration")


@dataclass(frozen=True)
class Change:
    """One change of a data set.

    Attributes
    ----------
    kind
        Name of the mutation.
    file
        The file, from the folder of the study.
    detail
        What was done.
    unseen
        Why nothing in the data can tell; "" if it must be told where it changes a result.
    """

    kind: str
    file: str
    detail: str
    unseen: str = ""

    def __str__(self) -> str:
        return f"{self.kind} [{self.file}] {self.detail}" + (f" (unseen: {self.unseen})" if self.unseen else "")


class NotPossibleError(Exception):
    """A mutation can't be made of this file."""


#: What a mutation says of what it did: detail, and why nothing can tell.
Done = tuple[str, str]
Mutate = Callable[[random.Random, Path], Done]


@dataclass(frozen=True)
class Mutation:
    """A way to change a file: its name, the files it is for, and the change."""

    kind: str
    pattern: str
    mutate: Mutate


def choices(text: str) -> tuple[str, ...]:
    """The parts of a text between its bars."""
    return tuple(text.split("|"))


def numbers_unseen(old: float, new: float) -> str:
    """Why nobody can tell a number from the one that stood there; "" if one can."""
    if new != new or new in (float("inf"), float("-inf")):
        return ""
    if old == 0:
        return "a time shifted by less than two minutes" if abs(new) < SHIFT else ""
    return "a number of the same size" if 1 / WITHIN < new / old < WITHIN else ""


def json_unseen(old: bytes, new: bytes) -> str:
    """Why nothing can tell two JSON files apart by what they mean; "" if something can."""
    try:
        before, after = (dict(_leaves(json.loads(text.decode("utf-8-sig")))) for text in (old, new))
    except (ValueError, RecursionError):
        return ""
    reasons = {_leaf_unseen(key, before.get(key), after.get(key)) for key in {**before, **after}}
    return max(reasons, default="")


def _leaf_unseen(key: str, old: Any, new: Any) -> str:
    if old == new and type(old) is type(new):
        return ""
    if key.split("/")[0] in _FREE_TEXT and isinstance(new, str):
        return "free text"
    if isinstance(old, bool) or not isinstance(old, int | float) or not isinstance(new, int | float):
        return ""
    return numbers_unseen(old, new)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if value in ({}, []):
        yield path, repr(value)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _leaves(entry, f"{path}/{key}" if path else key)
    elif isinstance(value, list):
        yield f"{path}#", f"{len(value)} entries"
        for position, entry in enumerate(value):
            yield from _leaves(entry, f"{path}/{position}")
    else:
        yield path, value


def table_unseen(old: bytes, new: bytes) -> str:
    """Why nothing can tell two tables apart by what they mean; "" if something can."""
    try:
        before, after = (_cells(text.decode("utf-8-sig")) for text in (old, new))
    except ValueError:
        return ""
    if not before or not after or before[0] != after[0] or sorted(before) == sorted(after):
        return ""
    if len(after) < len(before) and set(map(tuple, after)) <= set(map(tuple, before)):
        return "samples that were not taken"
    if old.startswith(new) and len(after[-1]) == len(after[0]):
        return "a table that ends within a cell"
    if [len(row) for row in before] != [len(row) for row in after]:
        return ""
    pairs = zip(before, after, strict=True)
    apart = [(a, b, name) for x, y in pairs for a, b, name in zip(x, y, before[0], strict=True) if a != b]
    return max((_cell_unseen(*pair) for pair in apart), default="")


def _cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("\t")] for line in re.split(r"\r\n|\n|\r", text) if line.strip()]


def _cell_unseen(old: str, new: str, column: str) -> str:
    if column in ("name", "species"):
        return "free text"
    if new.lower() in ("", "n/a", "nan"):
        return "a sample that was lost"
    try:
        return numbers_unseen(float(old), float(new))
    except ValueError:
        return ""


def text_unseen(path: Path, old: bytes, new: bytes) -> str:
    """Why nothing can tell two versions of a text file apart by what they mean; "" if something can."""
    if path.suffix == ".json":
        return json_unseen(old, new)
    if path.suffix == ".tsv":
        return table_unseen(old, new)
    return settings_unseen(old, new)


def settings_unseen(old: bytes, new: bytes) -> str:
    """Study files say what is wanted: another valid value is another wish."""
    import yaml

    try:
        before, after = (dict(_leaves(yaml.safe_load(text.decode()))) for text in (old, new))
    except Exception:  # any way in which a spoilt file fails to be YAML
        return ""
    return "another wish" if before != after else ""
