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
from dlif_core.errors import ConfigurationError

_S3 = ("s3", "s3a")
_WEB = ("http", "https")

#: Other processes write to the same places, so nothing may remember a listing.
OPTIONS = {"use_listings_cache": False}

#: A file is read by one request: with more at once, s3fs first asks for its size.
_S3_OPTIONS = {**OPTIONS, "max_concurrency": 1, "skip_instance_cache": True}

#: Environment variables that decide to whom S3 speaks, and as whom.
_S3_SETTINGS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)


def is_url(uri: str) -> bool:
    """Whether a text is a URL; anything without ``://`` is a local path, whatever it holds."""
    return "://" in uri


def joined(folder: str, path: str) -> str:
    """A path below a folder given by path or URL; an absolute path or a URL is taken as it is."""
    if is_url(path) or (is_url(folder) and os.path.isabs(path)):
        return path
    if is_url(folder):
        scheme, _, place = folder.partition("://")
        return f"{scheme}://{posixpath.normpath(posixpath.join(place, path))}"
    return os.path.realpath(os.path.join(folder, path))


def is_file(uri: str | os.PathLike[str]) -> bool:
    """Whether a file is there."""
    fs, path = file_system(os.fspath(uri))
    return bool(fs.isfile(path))


def unreachable(uri: object, setting: str, fault: Exception) -> ConfigurationError:
    """The error of a place that can't be opened, and the setting that names it."""
    return ConfigurationError(
        f"it can't be opened: {fault or type(fault).__name__}.",
        where=uri,
        hint=f"Correct {setting}, or install and set up what gives access to it.",
    )


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
    if is_s3(uri):
        fs = _s3(*_here())
        return fs, str(fs._strip_protocol(uri))
    if uri.partition("://")[0] in _WEB:
        return _http(os.getpid()), uri
    fs, path = fsspec.url_to_fs(uri, **OPTIONS)
    return fs, str(path)


def is_s3(uri: str) -> bool:
    """Whether a URL is one of S3."""
    return uri.partition("://")[0] in _S3


def async_s3(uri: str) -> tuple[Any, str] | None:
    """S3 as another event loop than fsspec's uses it, and the path of a URL there; None for any other URL."""
    return (_async_s3(*_here()), file_system(uri)[1]) if is_s3(uri) else None


def _here() -> tuple[int, tuple[str | None, ...]]:
    """What a connection to S3 belongs to: a process, and what its environment says, which a notebook may change."""
    return os.getpid(), tuple(map(os.environ.get, _S3_SETTINGS))


@functools.cache
def _http(_process: int) -> Any:
    from dlif_core.storage.http import AnsweringHTTP

    return AnsweringHTTP(skip_instance_cache=True, **OPTIONS)


@functools.cache
def _s3(_process: int, _settings: tuple[str | None, ...]) -> Any:
    from dlif_core.storage.s3 import WaitingS3

    return WaitingS3(**_S3_OPTIONS)


@functools.cache
def _async_s3(process: int, settings: tuple[str | None, ...]) -> Any:
    from dlif_core.storage.s3 import WaitingS3

    fs = _s3(process, settings)
    fs.connect()
    # What a session has read of its library's files need not be read again.
    return WaitingS3(asynchronous=True, session=fs.session, **_S3_OPTIONS)
