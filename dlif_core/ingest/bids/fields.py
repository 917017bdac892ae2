"""Values of JSON fields: what is absent is told from what can't be read, and names are matched in any case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dlif_core.errors import InputError
from dlif_core.ingest.tables import is_given
from dlif_core.shown import LONGEST_NAME, shown

_DAY = 86400.0
_CLOCK = re.compile(
    r"(?:\d{4}-\d\d-\d\d[T ])?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2}(?:\.\d*)?))?Z?"
)
#: A clock time without colons, as DICOM writes it; it is no number of seconds.
_DICOM_CLOCK = re.compile(r"0\d{3,5}(\.\d*)?|\d{6}\.\d+")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def canonical(fields: Mapping[str, Any], names: Iterable[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Give fields the names that are known, where they differ in case only.

    Parameters
    ----------
    fields
        Fields as a file spells them.
    names
        Names that are known.

    Returns
    -------
    The fields, and the known name of each that was spelled in another way. A field that stands there under its own name
    too, or in several other spellings, keeps its spelling.
    """
    spelled: dict[str, list[str]] = {}
    for key in fields:
        spelled.setdefault(key.casefold(), []).append(key)
    renamed = {
        found[0]: name
        for name in names
        if len(found := [key for key in spelled.get(name.casefold(), ()) if is_given(fields[key])]) == 1
        and found[0] != name
    }
    kept = {key: value for key, value in fields.items() if key not in renamed and key not in renamed.values()}
    return kept | {name: fields[key] for key, name in renamed.items()}, renamed


def read_flag(fields: Mapping[str, Any], name: str, where: str) -> bool | None:
    """A field as true or false, also spelled as 1 or 0, yes or no; None if it is absent or n/a.

    Raises
    ------
    InputError
        If it holds anything else.
    """
    value = fields.get(name)
    if not is_given(value):
        return None
    plain = int(value) if isinstance(value, float) and value.is_integer() else value
    found = _TRUTH.get(str(plain).strip().lower()) if isinstance(plain, bool | int | str) else None
    if found is None:
        raise unreadable(name, value, "true or false", where)
    return found


def read_text(fields: Mapping[str, Any], name: str, where: str) -> str:
    """A field of text, cut to the length of a name; "" if it is absent or n/a.

    Raises
    ------
    InputError
        If it holds anything else.
    """
    value = fields.get(name)
    if not is_given(value):
        return ""
    if not isinstance(value, str):
        raise unreadable(name, value, "text", where)
    return value.strip()[:LONGEST_NAME]


def clock(value: object) -> float | None:
    """Seconds since midnight of a clock time ``hh:mm:ss``, with or without a date; None if the value is none.

    Examples
    --------
    >>> clock("10:00:05"), clock("9:30"), clock("14:00:8.5"), clock("25:00:00"), clock(10)
    (36005.0, 34200.0, 50408.5, None, None)
    """
    parts = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if parts is None:
        return None
    hours, minutes, seconds = int(parts["hours"]), int(parts["minutes"]), float(parts["seconds"] or 0)
    return 3600.0 * hours + 60.0 * minutes + seconds if hours < 24 and minutes < 60 and seconds < 60 else None


def time_of_day(value: object) -> str:
    """A clock time as it is written, without the date.

    Examples
    --------
    >>> time_of_day("2024-05-06T10:00:05"), time_of_day("9:30")
    ('10:00:05', '9:30')
    """
    return re.sub(r"^.*[T ]", "", str(value).strip())


def between(earlier: float, later: float) -> float:
    """Seconds from one clock time to another, less than half a day apart: across midnight if that is nearer.

    Examples
    --------
    >>> between(36000.0, 35880.0), between(86340.0, 60.0)
    (-120.0, 120.0)
    """
    return (later - earlier + _DAY / 2) % _DAY - _DAY / 2


def is_dicom_clock(value: object) -> bool:
    """Whether a value is a clock time as DICOM writes it, without colons, which is no number of seconds."""
    return isinstance(value, str) and _DICOM_CLOCK.fullmatch(value.strip()) is not None


def unreadable(name: str, value: object, kind: str, where: str) -> InputError:
    """The fault of a field that holds something else than `kind`."""
    hint = f"Write {kind}, or n/a if it is unknown."
    return InputError(f"{name} is {shown(value)}, not {kind}.", where=f"{where}, field {name}", hint=hint)
