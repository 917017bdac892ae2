"""Files at local paths and fsspec URLs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from dlif_core.errors import InputError, MissingInputError


def local_path(uri: str) -> Path | None:
    """Return the path of a local file, or None for a file on any other file system."""
    file_system, path = fsspec.url_to_fs(uri)
    return Path(path) if isinstance(file_system, LocalFileSystem) else None


def uri_of(file_system: Any, path: str) -> str:
    """Return the URI of a path on an fsspec file system; for a local file it is the path itself."""
    return path if isinstance(file_system, LocalFileSystem) else str(file_system.unstrip_protocol(path))


def exists(uri: str) -> bool:
    """Tell whether there is a file or a folder at a URI."""
    file_system, path = fsspec.url_to_fs(uri)
    return bool(file_system.exists(path))


def read_text(uri: str) -> str:
    """Read a text file.

    Raises
    ------
    MissingInputError
        If the file is not there.
    InputError
        If it is not UTF-8 text.
    """
    try:
        with fsspec.open(uri, "rb") as stream:
            return str(stream.read().decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise MissingInputError(
            "the file is not there.", where=uri, hint="Restore it or scan the dataset again."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError("this is not UTF-8 text.", where=uri, hint="Save it as UTF-8.") from error
