"""The file system of a path or URL: one connection for each process, whichever thread asks.

fsspec keeps one for each thread, and each of them costs a tenth of a second before it sends its first request.
"""

from __future__ import annotations

import functools
import os
import posixpath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from dlif_core.credentials import require_no_credentials

_S3 = ("s3", "s3a")

#: Other processes write to the same places, so nothing may remember a listing.
OPTIONS = {"use_listings_cache": False}


def is_url(uri: str) -> bool:
    """Whether a text is a URL; anything without ``://`` is a local path, whatever it holds."""
    return "://" in uri


def joined(folder: str, path: str) -> str:
    """A path below a folder given by path or URL; an absolute path or a URL is taken as it is."""
    if is_url(path):
        return path
    if is_url(folder):
        scheme, _, place = folder.partition("://")
        return path if os.path.isabs(path) else f"{scheme}://{posixpath.normpath(posixpath.join(place, path))}"
    return os.path.realpath(os.path.join(folder, path))


def file_system(uri: str) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the path there.

    Raises
    ------
    ValueError, ImportError
        If there is no such file system, or what it needs is not installed.
    ConfigurationError
        If the URL holds credentials.
    """
    if not is_url(uri):
        return LocalFileSystem(), os.path.abspath(os.path.expanduser(uri))
    require_no_credentials(uri)
    if uri.startswith(tuple(f"{scheme}://" for scheme in _S3)):
        fs = _s3(os.getpid(), asynchronous=False)
        return fs, str(fs._strip_protocol(uri))
    fs, path = fsspec.url_to_fs(uri, **OPTIONS)
    return fs, str(path)


def async_file_system(uri: str) -> tuple[Any, str] | None:
    """The file system of a URL on S3 for coroutines of another event loop than fsspec's; None for any other."""
    if not uri.startswith(tuple(f"{scheme}://" for scheme in _S3)):
        return None
    fs = _s3(os.getpid(), asynchronous=True)
    return fs, str(fs._strip_protocol(uri))


@functools.cache
def _s3(_process: int, *, asynchronous: bool) -> Any:
    from dlif_core.storage.s3 import WaitingS3

    return WaitingS3(asynchronous=asynchronous, skip_instance_cache=True, **OPTIONS)
