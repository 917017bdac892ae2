"""A folder in an object store, where every request costs about a millisecond and none is a rename.

What is looked for is read at once, a tree is found with one listing and removed with one request, and a product that
one process makes is written on its own disk and sent when it is complete.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from dlif_core.errors import StoreError
from dlif_core.store.folder import Folder, LocalFolder
from dlif_core.store.layout import MARKER_FILE


class ObjectFolder(Folder):
    """A folder in a bucket."""

    def exists(self, key: str) -> bool:
        """Whether a file of that name is there; for small files, which are read."""
        try:
            self.read(key)
        except FileNotFoundError:
            return False
        return True

    def _make_parent(self, key: str) -> None:
        """Nothing: there are no folders."""

    def remove(self, key: str, first: str = "") -> None:
        """Remove a file or a whole tree, one file of it before all others."""
        found = self._found(key)
        if self._at(first) in found and first:
            self.fs.rm_file(self._at(first))
        if found:
            self.fs.rm(found)

    def files(self, key: str) -> list[str]:
        """Names of all files below a key, relative to it, sorted."""
        start = len(self._at(key)) + 1
        return sorted(name[start:] for name in self._found(key) if len(name) >= start)

    def _found(self, key: str) -> list[str]:
        """The file of that name, and all below a folder of that name; markers of empty folders are left out."""
        place = self._at(key)
        parent, _, name = place.rpartition("/")
        found: Iterable[Any] = self.fs.find(parent, prefix=name)
        return [one for one in found if (one == place or one.startswith(f"{place}/")) and not one.endswith("/")]

    def withdraw(self, key: str, aside: str) -> None:
        """Make a product invisible, marker first."""
        self.remove(key, first=f"{key}/{MARKER_FILE}")

    def place(self, staged: str, key: str) -> None:
        """Put a complete product in a free place, marker last. It may be repeated after a failure."""
        names = [name for name in self.files(staged) if name != MARKER_FILE]
        self.fs.copy([self._at(f"{staged}/{name}") for name in names], [self._at(f"{key}/{name}") for name in names])
        self._commit(key, self.read(f"{staged}/{MARKER_FILE}"))

    def draft(self) -> LocalFolder:
        """A folder of this machine for what one process writes; it vanishes with the process."""
        return _Draft()

    def receive(self, draft: Folder, source: str, key: str) -> None:
        """Send a complete product from a draft to a free place, marker last."""
        names = [name for name in draft.files(source) if name != MARKER_FILE]
        self.fs.put([draft.uri(f"{source}/{name}") for name in names], [self._at(f"{key}/{name}") for name in names])
        self._commit(key, draft.read(f"{source}/{MARKER_FILE}"))

    def _commit(self, key: str, marker: bytes) -> None:
        """Write the marker of a product that has none.

        Raises
        ------
        StoreError
            If another process, on whatever machine, has published the product meanwhile.
        """
        if not self.create(f"{key}/{MARKER_FILE}", marker) and self.read(f"{key}/{MARKER_FILE}") != marker:
            raise StoreError(
                "another process has published this product.",
                where=self.uri(key),
                hint="Let one run at a time work on a study; run it again to see how it stands.",
            )


class _Draft(LocalFolder):
    def __init__(self) -> None:
        self._held = tempfile.TemporaryDirectory(prefix="dlif-", ignore_cleanup_errors=True)
        super().__init__(LocalFileSystem(), self._held.name)

    def flush(self, key: str) -> None:
        """Nothing: what a draft holds is lost with its process anyway."""
