"""Digests of input files, remembered in the store so that gigabytes are read once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from fsspec.implementations.local import LocalFileSystem

from dlif_core.errors import InputError, MissingInputError, StorageError
from dlif_core.storage import file_system
from dlif_core.store.cache import recall, remember
from dlif_core.store.folder import file_digest
from dlif_core.store.layout import DIGEST_CACHE
from dlif_core.store.store import Store

_THREADS = 8

# What filesystems call the time or the tag that changes with a file's content.
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")


class _Entry(NamedTuple):
    size: int
    stamp: str
    sha256: str


class InputDigests:
    """sha256 of input files; a file is read again only when its size or its time (or ETag) changed.

    Parameters
    ----------
    store
        Where the digests are remembered.
    """

    def __init__(self, store: Store) -> None:
        self._folder = store.folder
        self._known = self._load()

    def _load(self) -> dict[str, _Entry]:
        return recall(self._folder, DIGEST_CACHE, _recalled)

    def of(self, uris: Iterable[str]) -> dict[str, str | InputError]:
        """Digest of each file, or why there is none: a file that can't be read hides no other.

        Parameters
        ----------
        uris
            Local paths or fsspec URLs.

        Returns
        -------
        URI to hexadecimal sha256, or to the fault of a file that can't be read, in the given order. The message of a
        fault is the same until something changes.

        Raises
        ------
        StorageError
            If the storage doesn't answer or refuses all: that is no fault of a file.
        """
        names = list(uris)
        found: dict[str, _Entry | InputError] = {uri: entry for uri in names if (entry := self._remembered(uri))}
        unread = [uri for uri in names if uri not in found]
        with ThreadPoolExecutor(_THREADS) as pool:
            found |= zip(unread, pool.map(self._entry, unread), strict=True)
        entries = {uri: entry for uri, entry in found.items() if isinstance(entry, _Entry)}
        if any(self._known.get(uri) != entry for uri, entry in entries.items()):
            self._remember(entries)
        return {uri: _told(found[uri]) for uri in names}

    def _remembered(self, uri: str) -> _Entry | None:
        """What is known of a local file, at the cost of looking whether it is still the same and can be read."""
        known = self._known.get(uri)
        if known is None or "://" in uri:
            return None
        try:
            info = os.stat(uri)
            if not stat.S_ISREG(info.st_mode) or (known.size, known.stamp) != (info.st_size, str(info.st_mtime)):
                return None
            os.close(os.open(uri, os.O_RDONLY))  # a change of permissions leaves size and time as they were
        except OSError:
            return None  # `_entry` tells it
        return known

    def _entry(self, uri: str) -> _Entry | InputError:
        try:
            fs, path = file_system(uri)
            info = fs.info(path)
            if info["type"] in ("directory", "other"):
                return InputError("it is no file with content.", where=uri, hint="Put the file itself in its place.")
            size, stamp = int(info["size"] or 0), _stamp(fs, path, info)
            known = self._known.get(uri)
            if known and stamp and (known.size, known.stamp) == (size, stamp):
                _require_readable(fs, path)
                return known
            return _Entry(size, stamp, file_digest(fs, path))
        except StorageError:
            raise
        except Exception as error:  # each kind of filesystem has errors of its own
            return _fault(error, uri)

    def _remember(self, entries: dict[str, _Entry]) -> None:
        # others write here too; what they know is taken along, and what is lost in a race is only read again
        self._known = self._load() | self._known | entries
        remember(self._folder, DIGEST_CACHE, {uri: entry._asdict() for uri, entry in self._known.items()})


def _recalled(values: Any) -> _Entry:
    entry = _Entry(**values)
    if not all(isinstance(value, kind) for value, kind in zip(entry, (int, str, str), strict=True)):
        raise TypeError("no entry")
    return entry


def _told(entry: _Entry | InputError) -> str | InputError:
    return entry.sha256 if isinstance(entry, _Entry) else entry


def _stamp(fs: Any, path: str, info: dict[str, Any]) -> str:
    """Time of a local file, that of the file itself where a link leads to it; time or tag of any other."""
    if _is_local(fs):
        return str(os.stat(path).st_mtime)
    return next((str(info[key]) for key in _STAMPS if info.get(key)), "")


def _require_readable(fs: Any, path: str) -> None:
    """A change of permissions leaves size and time as they were."""
    if _is_local(fs):
        os.close(os.open(path, os.O_RDONLY))


def _is_local(fs: Any) -> bool:
    return isinstance(fs, LocalFileSystem)


def _fault(error: Exception, uri: str) -> InputError:
    """What is wrong, in words that hold no number of a request or time: it decides whether the scan is read again."""
    if isinstance(error, FileNotFoundError):
        return _missing(uri)
    if isinstance(error, PermissionError):
        return InputError("the file may not be read.", where=uri, hint="Get the permission to read it (`chmod u+r`).")
    reason = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
    return InputError(f"the file can't be read: {reason}.", where=uri, hint="Check the disk or the connection.")


def _missing(uri: str) -> MissingInputError:
    if os.path.islink(uri):
        return MissingInputError(
            "the file is not there: it is a link that leads nowhere.",
            where=uri,
            hint="Fetch it, with `git annex get` for instance, or drop the scan.",
        )
    return MissingInputError("the file is not there.", where=uri, hint="Restore it, or drop the scan.")
