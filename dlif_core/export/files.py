"""Files of an export: none is written twice, numbers keep all their digits, missing ones are ``n/a``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.finite import nulled, to_json

if TYPE_CHECKING:
    import pandas as pd


def new_file(path: Path) -> Path:
    """Return a path that no file has yet, in a folder that there is.

    Raises
    ------
    ConfigurationError
        If there is a file: two results have one name in the format.
    """
    if path.exists():
        raise ConfigurationError(
            "two results would have this name, because the format allows letters and digits only.",
            where=path.name,
            hint="Give one of the scans or analyses (`name` of an entry of `kinetics`) a name that differs in these.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def unlike_names(names: Sequence[str], others: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of regions as a format has them, which differ from each other and from its own columns.

    Raises
    ------
    InputError
        If two don't differ: one of them would take the place of the other.
    """
    double = [name for name, times in Counter([*others, *names]).items() if times > 1]
    if double:
        raise InputError(
            f"two columns would be called {double[0][:80]!r}, because the format has no more of the names of regions.",
            where="the regions of a scan",
            hint="Give the regions names that differ, and that are no names of columns of the format.",
        )
    return tuple(names)


def write_record(path: Path, content: Any) -> None:
    """Write plain values as JSON; a number that is missing as null."""
    text = to_json(nulled(content), where=path.name, indent=2, ensure_ascii=False)
    new_file(path).write_text(f"{text}\n", encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table with tabs between its columns; a missing value as ``n/a``."""
    table.to_csv(new_file(path), sep="\t", index=False, na_rep="n/a", encoding="utf-8")
