"""What becomes of files whose bytes were changed: a result, or a fault in words."""

from collections.abc import Callable
from typing import TypeVar

from dlif_core.errors import InputError

_Result = TypeVar("_Result")


def sound_or_told(read: Callable[[], _Result]) -> _Result | None:
    """Return what a call gives, or None if it refuses in words; any other exception is none of ours."""
    try:
        return read()
    except InputError as error:
        fault = error
    assert fault.where
    assert fault.message
    assert fault.hint
    return None
