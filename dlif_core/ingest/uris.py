"""Files at local paths and fsspec URLs, opened and read within limits, with faults in words."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from dlif_core.errors import ConfigurationError, InputError, MissingInputError
from dlif_core.storage import file_system

#: What to do about a file that is not there, or that is only a pointer to its content.
FETCH_AGAIN = "Fetch it again; datasets cloned with git hold pointers until `git annex get` or `git lfs pull`."

#: Starts of files that stand for content which was not fetched.
_POINTERS = {
    "git-annex": re.compile(rb"^(\.{0,2}/)*(\.git/)?annex/objects/"),
    "git-lfs": re.compile(rb"^version https://git-lfs\.github\.com/"),
}
_FETCH = {"git-annex": "Fetch the content with `git annex get` or `datalad get`.", "git-lfs": "Run `git lfs pull`."}

#: Faults that another try won't change; any other, of a disk or a network, stays what it is.
_LASTING = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.EBADF})

_MEGABYTE = 10**6

#: Characters that no text needs: half characters, which UTF-8 can't hold, and control characters.
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def file_system_of(uri: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URI and the path on it; anything without ``://`` is a local path.

    Raises
    ------
    InputError
        If there is no such file system, or what it needs is not installed.
    """
    if "\0" in uri:
        raise InputError("an address can't hold the character NUL.", where=repr(uri)[:80], hint="Correct the address.")
    if "://" not in uri:
        return LocalFileSystem(), os.path.join(os.getcwd(), os.path.expanduser(uri))
    try:
        return file_system(uri)
    except ConfigurationError:
        raise
    except (ValueError, ImportError) as error:
        raise InputError(f"nothing opens such an address: {error}.", where=uri, hint="Correct the address.") from error


def local_path(uri: str) -> Path | None:
    """Return the path of a local file, or None for a file on any other file system."""
    fs, path = file_system_of(uri)
    return Path(path) if isinstance(fs, LocalFileSystem) else None


def uri_of(fs: Any, path: str) -> str:
    """Return the URI of a path on an fsspec file system; for a local file it is the path itself."""
    return path if isinstance(fs, LocalFileSystem) else str(fs.unstrip_protocol(path))


def exists(uri: str) -> bool:
    """Tell whether there is a file or a folder at a URI."""
    fs, path = file_system_of(uri)
    return bool(fs.exists(path))


@contextmanager
def opened(uri: str) -> Iterator[Any]:
    """Open a file for reading bytes.

    Yields
    ------
    The stream. Faults of the file system while it is read are told like those of opening it.

    Raises
    ------
    MissingInputError
        If the file is not there, or a link leads nowhere.
    InputError
        If it is a folder, a device or a pipe, or may not be read.
    OSError
        If the disk or the network failed: another try may help.
    """
    try:
        fs, path = file_system_of(uri)
        if isinstance(fs, LocalFileSystem):
            _require_regular(path, uri)
        with fs.open(path, "rb") as stream:
            yield stream
    except InputError:
        raise
    except OSError as error:
        told = _in_words(error, uri)
        if told is error:
            raise
        raise told from error


def read_bytes(uri: str, limit: int) -> bytes:
    """Read a file whole.

    Parameters
    ----------
    uri
        A local path or any fsspec URL.
    limit
        Largest size [bytes] that such a file can reasonably have.

    Raises
    ------
    MissingInputError
        If the file is not there.
    InputError
        If it is larger, can't be read, or stands for content that was not fetched.
    """
    with opened(uri) as stream:
        content = bytes(stream.read(limit + 1))
    if len(content) > limit:
        raise InputError(
            f"the file is larger than {limit / _MEGABYTE:g} MB, which no such file needs.",
            where=uri,
            hint="Check what the file is.",
        )
    require_fetched(content, uri)
    return content


def read_text(uri: str, limit: int) -> str:
    """Read a text file; characters that no text needs, such as control characters, become U+FFFD.

    Raises
    ------
    MissingInputError
        If the file is not there.
    InputError
        If it is not UTF-8 text, larger than `limit` [bytes], or can't be read.
    """
    content = read_bytes(uri, limit)
    other = _other_encoding(content)
    if not other:
        try:
            return fit_text(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            other = (
                f"this is not UTF-8 text (byte 0x{content[error.start]:02X} in line {line}), but probably Latin-1 or "
                "Windows-1252"
            )
    raise InputError(f"{other}.", where=uri, hint="Save it as UTF-8.")


def fit_text(text: str) -> str:
    """Return text that every file and database can hold: what no text needs becomes U+FFFD."""
    return _UNFIT.sub("\ufffd", text)


def require_fetched(start: bytes, uri: str) -> None:
    """Refuse a file that only stands for its content.

    Parameters
    ----------
    start
        First bytes of the file.
    uri
        The file, for the message.

    Raises
    ------
    MissingInputError
        If it is a pointer of git-annex or git-lfs.
    """
    for system, pattern in _POINTERS.items():
        if pattern.match(start):
            raise MissingInputError(
                f"this is a pointer of {system}; the content was not fetched.", where=uri, hint=_FETCH[system]
            )


def _require_regular(path: str, uri: str) -> None:
    kind = os.stat(path).st_mode
    if stat.S_ISDIR(kind):
        raise InputError("this is a folder, not a file.", where=uri, hint="Put the file in its place.")
    if not stat.S_ISREG(kind):
        raise InputError("this is a device or a pipe, not a file.", where=uri, hint="Put a regular file in its place.")


def _in_words(error: OSError, uri: str) -> OSError | InputError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _missing(uri)
    if isinstance(error, PermissionError):
        return InputError("the file may not be read.", where=uri, hint="Give yourself the permission to read it.")
    if isinstance(error, IsADirectoryError) or error.errno in _LASTING:
        return InputError(f"the file can't be read: {error.strerror}.", where=uri, hint="Check the path and its links.")
    nameless = error.errno not in (None, errno.ENOSPC) and error.filename is None
    return OSError(error.errno, error.strerror, uri) if nameless else error


def _missing(uri: str) -> MissingInputError:
    path = local_path(uri)
    if path is None or not path.is_symlink():
        return MissingInputError("the file is not there.", where=uri, hint="Correct the path, or restore the file.")
    target = os.readlink(path)
    hint = _FETCH["git-annex"] if "annex/objects/" in target else f"Restore what it points to. {FETCH_AGAIN}"
    return MissingInputError("the file is a link that leads nowhere.", where=uri, hint=hint)


def _other_encoding(content: bytes) -> str:
    """Say what a file is that is certainly not UTF-8 text; "" for any other."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "this is UTF-16 text"
    if content.startswith(b"\x1f\x8b"):
        return "this is a gzip file, not text"
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        return f"this is not UTF-8 text: there is a NUL byte in line {line}, as in UTF-16 or in damaged files"
    return ""
