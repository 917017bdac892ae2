"""Files of a store that only remember what can be read again: any of them may be lost, or be deleted, at any time."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from dlif_core.errors import StorageError, StorageSilentError
from dlif_core.finite import to_json
from dlif_core.store.folder import Folder

_LOG = logging.getLogger(__name__)

Entry = TypeVar("Entry")


def recall(folder: Folder, key: str, read: Callable[[Any], Entry]) -> dict[str, Entry]:
    """What a cache file remembers, by name; nothing if it is not there or can't be read, which is told.

    Parameters
    ----------
    folder, key
        Where the file is.
    read
        Makes an entry of plain values; raises TypeError if they are none.
    """
    try:
        return {name: read(entry) for name, entry in json.loads(folder.read(key)).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as fault:
        _tell(folder.uri(key), type(fault).__name__)
        return {}


def remember(folder: Folder, key: str, content: Mapping[str, Any]) -> None:
    """Write a cache file at once, if that is allowed and possible.

    Of two processes that write, the last wins, and what is lost is read again.
    """
    data = to_json(content, where=key, separators=(",", ":")).encode()
    try:
        folder.write(key, data)
    except StorageSilentError:
        raise
    except (OSError, StorageError) as fault:
        _LOG.debug("%s can't be written: %s", folder.uri(key), fault)


@functools.lru_cache
def _tell(place: str, reason: str) -> None:
    """Say once in a process that a cache is of no use."""
    _LOG.warning("%s can't be read (%s). It only saves time: nothing is lost, and it can be deleted.", place, reason)
