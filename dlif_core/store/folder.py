"""A folder on any filesystem, with the few operations that the commit protocol needs.

`Folder` works over everything that fsspec reaches; `LocalFolder` does the same with the atomic rename and the fsync
that a local filesystem has. Credentials and endpoints come from the environment (``AWS_ENDPOINT_URL`` …), so that a URI
is all that a worker needs.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dlif_core.errors import StorageError
from dlif_core.storage import AnswerLostError
from dlif_core.store.layout import MARKER_FILE

#: Age from which a file's times tell it from any later one, whatever their resolution [ns].
_SETTLED_NS = 3_000_000_000

#: Files that are read or made durable at once.
_THREADS = 4

#: What reading a file says that isn't there.
_NOT_THERE = (FileNotFoundError, NotADirectoryError)

#: What a filesystem without hard links says.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)

#: What a filesystem says where nothing may be written.
_NO_WRITING = (errno.EROFS, errno.EACCES, errno.EPERM)

#: Name of a file that is being written and gets its own name when it is complete.
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}(\.partial)?$")


class Folder:
    """A folder that fsspec reaches. Keys are paths below it, joined by ``/``.

    Parameters
    ----------
    fs
        The filesystem.
    path
        The folder, as the filesystem names it.
    """

    def __init__(self, fs: Any, path: str) -> None:
        self.fs = fs
        self.path = path.rstrip("/")

    def uri(self, key: str = "") -> str:
        """URI of a key, or of the folder itself."""
        return str(self.fs.unstrip_protocol(self._at(key)))

    def _at(self, key: str) -> str:
        return f"{self.path}/{key}" if key else self.path

    def exists(self, key: str) -> bool:
        """Whether a file of that name is there."""
        return bool(self.fs.exists(self._at(key)))

    def read(self, key: str) -> bytes:
        """Bytes of a file; FileNotFoundError if it isn't there."""
        return bytes(self.fs.cat_file(self._at(key)))

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Bytes of many files at once; those that vanish meanwhile are left out."""
        names = list(keys)
        found = self.fs.cat_ranges([self._at(key) for key in names], None, None, on_error="return") if names else []
        return {key: bytes(data) for key, data in zip(names, found, strict=True) if not isinstance(data, Exception)}

    def stamps(self, keys: Iterable[str]) -> dict[str, str]:
        """What tells each of some files from any later one of its name; files that aren't there are left out.

        Returns
        -------
        Key to text: equal only for the same bytes. Empty where nothing tells them apart for sure, as on object stores
        without ETags, or for a file that changed just now, in the resolution of its times.
        """
        start = len(self.path) + 1
        listed = self.fs.find(self.path, detail=True)
        tags = {path[start:]: str(info.get("ETag") or info.get("etag") or "") for path, info in listed.items()}
        return {key: tags[key] for key in keys if key in tags}

    def write(self, key: str, data: bytes) -> None:
        """Write a file at once: a reader sees the old bytes or the new, never a part."""
        self._make_parent(key)
        self.fs.pipe_file(self._at(key), data)

    def _make_parent(self, key: str) -> None:
        self.fs.makedirs(self.fs._parent(self._at(key)), exist_ok=True)

    def create(self, key: str, data: bytes) -> bool:
        """Write a file that isn't there yet; of several that try at once, one does.

        Parameters
        ----------
        key
            Name of the file.
        data
            Bytes that tell this writer from all others, since it looks for them where an answer of the storage was
            lost.

        Returns
        -------
        Whether the file is this writer's.
        """
        self._make_parent(key)
        try:
            self.fs.pipe_file(self._at(key), data, mode="create")
        except AnswerLostError:
            return self.read_all([key]).get(key) == data
        except FileExistsError:
            return False
        return True

    def move(self, source: str, target: str) -> None:
        """Move a file to a place that is free, or over another file."""
        self.fs.makedirs(self.fs._parent(self._at(target)), exist_ok=True)
        self.fs.mv(self._at(source), self._at(target))

    def remove(self, key: str, first: str = "") -> None:
        """Remove a file or a whole tree, one file of it before all others; nothing happens if it isn't there."""
        if first:
            self.remove(first)
        if self.fs.exists(self._at(key)):
            self.fs.rm(self._at(key), recursive=True)

    def files(self, key: str) -> list[str]:
        """Names of all files below a key, relative to it, sorted."""
        start = len(self._at(key)) + 1
        names = (path[start:] for path in self.fs.find(self._at(key)))
        return sorted(name for name in names if name and not name.endswith("/"))  # some stores keep emptied folders

    def folders(self, key: str) -> list[str]:
        """Names of the folders directly in a key, sorted."""
        if not self.fs.exists(self._at(key)):
            return []
        entries = self.fs.ls(self._at(key), detail=True)
        return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "directory")

    def products(self, prefix: str) -> list[str]:
        """Names of the committed products at or below a prefix, sorted."""
        keys = [f"{prefix}/{name}".lstrip("/") for name in self.files(prefix)]
        products = (key.removesuffix(MARKER_FILE).rstrip("/") for key in keys if key.endswith(f"/{MARKER_FILE}"))
        return sorted(name for name in products if not name.startswith("."))

    def digest(self, key: str) -> str:
        """sha256 over the files below a key, the marker left out: over the list that ``sha256sum`` prints of them."""
        names = [name for name in self.files(key) if name != MARKER_FILE]
        with ThreadPoolExecutor(_THREADS) as pool:
            digests = pool.map(lambda name: file_digest(self.fs, self._at(f"{key}/{name}")), names)
        listing = "".join(f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))
        return hashlib.sha256(listing.encode()).hexdigest()

    def flush(self, key: str) -> None:
        """Make sure that all files below a key survive a power failure; an object store does so by itself."""

    def clear_partial(self, key: str) -> None:
        """Remove what writers below a key left that were killed; an object store has whole files only."""

    def withdraw(self, key: str, aside: str) -> None:
        """Make a product invisible, marker first."""
        self.remove(key, first=f"{key}/{MARKER_FILE}")

    def draft(self) -> Folder:
        """Folder for what one process writes until it is complete."""
        return self

    def receive(self, draft: Folder, source: str, key: str) -> None:
        """Put a complete product from another folder in a free place."""
        raise NotImplementedError("only object stores have drafts elsewhere")

    def place(self, staged: str, key: str) -> None:
        """Put a complete product in a free place, marker last. It may be repeated after a failure."""
        names = [name for name in self.files(staged) if name != MARKER_FILE]
        self.fs.makedirs(self._at(key), exist_ok=True)
        for batch in (names, [MARKER_FILE]):
            source, target = ([self._at(f"{folder}/{name}") for name in batch] for folder in (staged, key))
            self.fs.copy(source, target)


class LocalFolder(Folder):
    """A folder on a local filesystem, where a rename is atomic."""

    def uri(self, key: str = "") -> str:
        """Path of a key, or of the folder itself."""
        return self._at(key)

    def stamps(self, keys: Iterable[str]) -> dict[str, str]:
        """Inode, size and times of each file that is there; empty for one that changed just now."""
        settled = time.time_ns() - _SETTLED_NS
        found: dict[str, str] = {}
        for key in keys:
            try:
                info = os.stat(f"{self.path}/{key}")
            except OSError:  # as for `exists`, what can't be reached isn't there
                continue
            times = info.st_mtime_ns, info.st_ctime_ns
            found[key] = f"{info.st_ino} {info.st_size} {times[0]} {times[1]}" if max(times) < settled else ""
        return found

    def read_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Bytes of many files; those that vanish meanwhile are left out."""
        found: dict[str, bytes] = {}
        for key in keys:
            with contextlib.suppress(*_NOT_THERE), open(f"{self.path}/{key}", "rb", buffering=0) as file:
                found[key] = file.read()
        return found

    def write(self, key: str, data: bytes) -> None:
        """Write and fsync a temporary file in the same folder, then rename it to its name."""
        target = Path(self._at(key))
        with _writing(target):
            partial = _partial(target, data)
            try:
                partial.replace(target)
            except OSError:
                partial.unlink(missing_ok=True)
                raise
            _fsync(target.parent)

    def create(self, key: str, data: bytes) -> bool:
        """Write a temporary file in the same folder, and link it to its name, which fails if the name is taken."""
        target = Path(self._at(key))
        with _writing(target):
            partial = _partial(target, data)
            try:
                created = _link(partial, target)
            finally:
                partial.unlink(missing_ok=True)
            if created:
                _fsync(target.parent)
        return created

    def move(self, source: str, target: str) -> None:
        """Rename a file or a folder to a place that is free, or a file over another."""
        place = Path(self._at(target))
        with _writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            Path(self._at(source)).replace(place)

    def remove(self, key: str, first: str = "") -> None:
        """Remove a file or a whole tree, one file of it before all others; nothing happens if it isn't there."""
        if first:
            self.remove(first)
        path = Path(self._at(key))
        with _writing(path):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def products(self, prefix: str) -> list[str]:
        """Names of the committed products at or below a prefix; their own folders aren't searched."""
        found = []
        for folder, folders, files in os.walk(self._at(prefix)):
            if MARKER_FILE in files:
                found.append(folder[len(self.path) + 1 :])
                folders.clear()
            folders[:] = [name for name in folders if not name.startswith(".")]
        return sorted(found)

    def flush(self, key: str) -> None:
        """Fsync every file and folder below a key, several at once since each waits for the disk."""
        found = [(Path(folder), files) for folder, _, files in os.walk(self._at(key))]
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(_fsync, [folder / name for folder, files in found for name in files]))
            list(pool.map(_fsync, [folder for folder, _ in found]))

    def clear_partial(self, key: str) -> None:
        """Remove temporary files that writers below a key left that were killed: this class's, and those of Zarr."""
        for folder, _, files in os.walk(self._at(key)):
            for name in files:
                if _TEMPORARY.search(name):
                    Path(folder, name).unlink(missing_ok=True)

    def withdraw(self, key: str, aside: str) -> None:
        """Rename a product away; it is gone at once."""
        if Path(self._at(key)).exists():
            self.remove(aside)
            self.move(key, aside)

    def place(self, staged: str, key: str) -> None:
        """Rename a complete product into place; it is there at once."""
        self.move(staged, key)
        _fsync(Path(self._at(key)).parent)


def file_digest(fs: Any, path: str) -> str:
    """sha256 of one file's bytes."""
    with fs.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Write in a block; where that is not allowed no product is at fault, but the storage.

    Raises
    ------
    StorageError
        If it is not allowed.
    """
    try:
        yield
    except OSError as fault:
        if fault.errno not in _NO_WRITING:
            raise
        raise StorageError(
            f"it can't be written: {fault.strerror}.",
            where=path,
            hint="Get the permission to write there, or choose another folder.",
        ) from fault


def _link(source: Path, target: Path) -> bool:
    """Give a file a second name unless that is taken; whether it has it.

    The number of its names tells: over a network the answer to a request may be lost, and the next one refused.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return source.stat().st_nlink > 1
    except OSError as fault:
        if fault.errno not in _NO_LINKS:
            raise
        return _create_in_place(source, target)
    return True


def _create_in_place(source: Path, target: Path) -> bool:
    """Do the same on a filesystem without links; for a moment a reader sees an empty file."""
    try:
        with open(target, "xb") as file:
            file.write(source.read_bytes())
    except FileExistsError:
        return False
    return True


def _partial(target: Path, data: bytes) -> Path:
    """A temporary file beside the target, which survives a power failure."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        partial.write_bytes(data)
        _fsync(partial)
    except OSError:  # a full disk gets back what it has taken
        partial.unlink(missing_ok=True)
        raise
    return partial


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
