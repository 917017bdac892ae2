"""Digests of input files, remembered in the store so that gigabytes are read once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import fsspec

from dlif_core.errors import MissingInputError
from dlif_core.finite import to_json
from dlif_core.store.folder import FSSPEC_OPTIONS, file_digest
from dlif_core.store.layout import DIGEST_CACHE
from dlif_core.store.store import Store

_THREADS = 8

# What filesystems call the time or the tag that changes with a file's content.
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True)
class _Entry:
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
        try:
            found = json.loads(self._folder.read(DIGEST_CACHE))
            return {uri: _Entry(**entry) for uri, entry in found.items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return {}  # only a cache: what can't be read is computed again

    def of(self, uris: Iterable[str]) -> dict[str, str]:
        """Digest of each file.

        Parameters
        ----------
        uris
            Local paths or fsspec URLs.

        Returns
        -------
        URI to hexadecimal sha256, in the given order.

        Raises
        ------
        MissingInputError
            If a file isn't there.
        """
        names = list(uris)
        with ThreadPoolExecutor(_THREADS) as pool:
            entries = dict(zip(names, pool.map(self._entry, names), strict=True))
        if any(self._known.get(uri) != entry for uri, entry in entries.items()):
            self._remember(entries)
        return {uri: entry.sha256 for uri, entry in entries.items()}

    def _entry(self, uri: str) -> _Entry:
        fs, path = fsspec.url_to_fs(uri, **FSSPEC_OPTIONS)
        try:
            info = fs.info(path)
            size, stamp = int(info["size"]), _stamp(info)
            known = self._known.get(uri)
            if known and stamp and (known.size, known.stamp) == (size, stamp):
                return known
            return _Entry(size, stamp, file_digest(fs, path))
        except FileNotFoundError as error:
            raise MissingInputError(
                "the file is not there.", where=uri, hint="Restore it, or drop the scan."
            ) from error

    def _remember(self, entries: dict[str, _Entry]) -> None:
        # others write here too; what they know is taken along, and what is lost in a race is only read again
        self._known = self._load() | self._known | entries
        cache = {uri: asdict(entry) for uri, entry in sorted(self._known.items())}
        self._folder.write(DIGEST_CACHE, to_json(cache, where=DIGEST_CACHE, indent=1).encode())


def _stamp(info: dict[str, Any]) -> str:
    return next((str(info[key]) for key in _STAMPS if info.get(key)), "")
