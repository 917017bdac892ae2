"""Files at any URL as local, uncompressed files, and their first bytes."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlif_core.errors import ConfigurationError, DlifError, ImageError
from dlif_core.foreign_faults import without_quotations
from dlif_core.ingest.uris import FETCH_AGAIN, local_path, opened, require_fetched

_GZIP_MAGIC = b"\x1f\x8b"
_COPY_BYTES = 1 << 20
_FAULTS_OF_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


def first_bytes(uri: str, length: int) -> bytes:
    """Read the first bytes of a file, uncompressed; fewer if it is shorter.

    Raises
    ------
    MissingInputError
        If the file is not there, or stands for content that was not fetched.
    ImageError
        If it is compressed and damaged.
    """
    try:
        with opened(uri) as file:
            start = bytes(file.read(64))
            require_fetched(start, uri)
            file.seek(0)
            return _read_whole(gzip.GzipFile(fileobj=file) if start.startswith(_GZIP_MAGIC) else file, length)
    except _FAULTS_OF_GZIP as fault:
        raise _damaged(fault, uri) from fault


def begins_with(uri: str, *starts: bytes) -> bool:
    """Whether a file begins with one of these bytes; False for a file that can't be read."""
    try:
        return first_bytes(uri, max(map(len, starts))).startswith(starts)
    except (DlifError, OSError):
        return False


@contextmanager
def local_file(uri: str) -> Iterator[Path]:
    """Give a local, uncompressed file with the content of a file at any URL.

    A local uncompressed file is given itself; any other is streamed into a temporary file (in the folder of TMPDIR).

    Raises
    ------
    MissingInputError
        If the file is not there, or stands for content that was not fetched.
    ImageError
        If it is compressed and damaged.
    ConfigurationError
        If the folder of TMPDIR has no room.
    """
    with opened(uri) as file:
        start = bytes(file.read(64))
    require_fetched(start, uri)
    path = local_path(uri)
    zipped = start.startswith(_GZIP_MAGIC)
    if path is not None and not zipped:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="dlif-") as folder:
        copy = Path(folder) / "image"
        _unpack(uri, copy, zipped)
        yield copy


def _unpack(uri: str, target: Path, zipped: bool) -> None:
    free = shutil.disk_usage(target.parent).free // 2
    try:
        with opened(uri) as packed, target.open("wb") as sink:
            stream = gzip.GzipFile(fileobj=packed) if zipped else packed
            while block := stream.read(_COPY_BYTES):
                free -= len(block)
                _require_room(free, uri, target.parent)
                sink.write(block)
    except _FAULTS_OF_GZIP as fault:
        raise _damaged(fault, uri) from fault


def _require_room(left: int, uri: str, folder: Path) -> None:
    if left < 0:
        raise ConfigurationError(
            f"{uri} would fill more than half of the space that is free when it is unpacked.",
            where=folder.parent,
            hint="Free some space, or set TMPDIR to a folder with more.",
        )


def _read_whole(stream: Any, length: int) -> bytes:
    """Read a number of bytes; a stream may give fewer at a time."""
    content = b""
    while len(content) < length and (more := stream.read(length - len(content))):
        content += more
    return content


def _damaged(fault: Exception, uri: str) -> ImageError:
    return ImageError(
        f"the compressed file is truncated or damaged ({without_quotations(str(fault))}).", where=uri, hint=FETCH_AGAIN
    )
