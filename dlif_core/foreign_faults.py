"""Errors of Python and of other libraries, without the cells of files and the secrets that they quote.

Whatever ends a step is kept in the store, logged, and shown by Prefect. dlif's own errors quote nothing of that kind;
``float("Jane Doe")`` does, and a client of a server may quote the address with its password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dlif_core.errors import DlifError
from dlif_core.masking import masked
from dlif_core.shown import shown

#: Errors that quote the value at which they arose.
_QUOTING = (ValueError, LookupError)

_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_LONGEST = 500


@contextmanager
def without_contents() -> Iterator[None]:
    """Clean every error that leaves the block."""
    try:
        yield
    except Exception as fault:
        clean(fault)
        raise


def clean(fault: BaseException) -> None:
    """Take what files hold, and secrets, out of the texts of an error and of those that led to it.

    Its kind and its traceback stay. Of an error that quotes a value, what is no number or technical word is replaced by
    its length.
    """
    seen: set[int] = set()
    one: BaseException | None = fault
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        if not isinstance(one, DlifError):
            _clean(one)
        one = one.__cause__ or one.__context__


def _clean(fault: BaseException) -> None:
    quotes = isinstance(fault, _QUOTING)
    fault.args = tuple(_told(value, quotes, place) for place, value in enumerate(fault.args))
    for name in ("strerror", "filename", "filename2"):
        value = getattr(fault, name, None)
        if isinstance(fault, OSError) and isinstance(value, str):
            setattr(fault, name, masked(value))
    if isinstance(fault, UnicodeError) and hasattr(fault, "object"):
        fault.object = type(fault.object)()


def _told(value: object, quotes: bool, place: int) -> object:
    """An argument of an error as it may be shown: the first is a message or a value, others are values."""
    if isinstance(value, bytes | bytearray):
        return b""
    if not isinstance(value, str):
        return value
    text = masked(value)
    if not quotes:
        return text
    if place or not re.search(r"\s", text.strip()) or len(text) > _LONGEST:
        return _as_shown(text)
    return without_quotations(text)


def without_quotations(text: str) -> str:
    """A message in which what is quoted is replaced by its length, numbers and technical words aside.

    Examples
    --------
    >>> without_quotations("could not convert string to float: 'Jane Doe'")
    'could not convert string to float: text of 8 characters'
    """
    return _QUOTED.sub(lambda found: _as_shown(found[1] or found[2] or "", f"{found[0][0]}"), text)


def _as_shown(text: str, mark: str = "") -> str:
    told = shown(text)
    return f"{mark}{text}{mark}" if told == repr(text) else told
