"""S3 through s3fs: a server that doesn't answer is waited for, and what it refuses is an error of dlif.

Both hang on the hook that botocore has for retries, through which every answer passes: that of a listing, of an upload
and of a read inside Zarr alike.
"""

from __future__ import annotations

import errno
from typing import Any, NoReturn

import fsspec.asyn
import s3fs

from dlif_core.errors import StorageError, StorageSilentError
from dlif_core.storage.transient import PASSING_CODES, is_transient
from dlif_core.storage.waiting import WAIT, AnswerLostError, Silence, longest_wait

_REGISTERED = "dlif-waiting"

#: botocore's own handler of retries, by the name under which it registers.
_OWN_RETRIES = "retry-config-s3"

_CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for temporary ones)."

#: What a server says against a request that no other try and no other file will change.
_REFUSALS = {
    "InvalidAccessKeyId": ("the storage does not know the access key.", _CREDENTIALS),
    "SignatureDoesNotMatch": ("the secret key does not belong to the access key.", _CREDENTIALS),
    "ExpiredToken": ("the credentials have expired.", f"Get new ones. {_CREDENTIALS}"),
    "ExpiredTokenException": ("the credentials have expired.", f"Get new ones. {_CREDENTIALS}"),
    "InvalidToken": ("the session token is not valid.", f"Get new credentials. {_CREDENTIALS}"),
    "InvalidClientTokenId": ("the session token is not valid.", f"Get new credentials. {_CREDENTIALS}"),
    "RequestTimeTooSkewed": ("the clocks of this machine and of the storage differ.", "Set the clock."),
    "NoSuchBucket": ("there is no such bucket.", "Correct the name, or make the bucket first."),
    "QuotaExceeded": ("the bucket is full.", "Make room, or have its quota raised; then run again."),
    "XMinioStorageFull": ("the storage is full.", "Make room; then run again."),
    "507": ("the storage is full.", "Make room; then run again."),
}

#: Operations that write; that they are denied is no property of a scan.
_WRITING = ("Put", "Copy", "Create", "Upload", "Complete", "Delete")

_silence = Silence()


class WaitingS3(s3fs.S3FileSystem):  # type: ignore[misc]  # s3fs has no types
    """s3fs whose requests wait for a silent server, see `dlif_core.storage.waiting`."""

    #: A slow storage may take its time for an answer [s].
    read_timeout = 30

    _s3: Any

    async def _isfile(self, path: str) -> bool:
        """Whether a file is there; unlike with fsspec, a storage that can't be asked is a fault."""
        try:
            return bool((await self._info(path))["type"] == "file")
        except FileNotFoundError:
            return False

    def connect(self) -> None:
        """Open the connection, unless it is open."""
        fsspec.asyn.sync(self.loop, self.set_session)

    async def set_session(self, refresh: bool = False, kwargs: Any = None) -> Any:
        """The connection, with the hook.

        Raises
        ------
        StorageError
            If there are no credentials.
        """
        known = self._s3
        client = await super().set_session(refresh=refresh)
        if client is not known:
            if not self.anon and await self.session.get_credentials() is None:
                self._s3 = None
                raise StorageError(
                    "there are no credentials for S3.", where=client.meta.endpoint_url, hint=_CREDENTIALS
                )
            events = client.meta.events
            events.unregister("needs-retry.s3", unique_id=_OWN_RETRIES)
            events.register_first("needs-retry.s3", _next_try, unique_id=_REGISTERED)
        return client


def _next_try(
    response: tuple[Any, dict[str, Any]] | None,
    operation: Any,
    attempts: int,
    caught_exception: Exception | None,
    request_dict: dict[str, Any],
    **_: object,
) -> float | None:
    """Seconds until the next try of a request, or None where there is no need of one.

    Raises
    ------
    StorageError
        If the server refuses every such request, or has not answered for too long.
    FileExistsError
        If a file is there that should have been created.
    """
    status, code, message = _answer(response)
    place = _place(request_dict)
    if code in _REFUSALS or str(status) in _REFUSALS:
        told, hint = _REFUSALS.get(code) or _REFUSALS[str(status)]
        raise StorageError(told, where=place, hint=hint)
    if status == 412 and "If-None-Match" in request_dict["headers"]:
        kind = FileExistsError if attempts == 1 else AnswerLostError
        raise kind(errno.EEXIST, "the file is there already", place)
    _require_allowed(operation.name, status, code, place)
    passing = code in PASSING_CODES or str(status) in PASSING_CODES or is_transient(caught_exception)
    if not passing:
        if caught_exception is None:
            _silence.end(operation.name)
        return None
    wait = _silence.next_try(operation.name, place, attempts)
    if wait is None:
        _give_up(place, operation.name, caught_exception, f"{code or status} {message}".strip())
    return wait


def _require_allowed(operation: str, status: int, code: str, place: str) -> None:
    """A file that may not be read is the file's own matter (PermissionError), all else that is denied is not.

    The answer to a HEAD request has no text: where nothing was answered before, the credentials may be wrong.
    """
    if code == "AccessDenied" and operation.startswith(_WRITING):
        raise StorageError(
            "these credentials may not write there.", where=place, hint="Have it allowed, or use others."
        )
    if status == 403 and operation.startswith("Head") and not _silence.answered:
        raise StorageError("the storage refuses these credentials.", where=place, hint=_CREDENTIALS)


def _answer(response: tuple[Any, dict[str, Any]] | None) -> tuple[int, str, str]:
    """Status of HTTP, code and message of S3; nothing where there was no answer."""
    if response is None:
        return 0, "", ""
    http, parsed = response
    error = parsed.get("Error", {})
    return http.status_code, str(error.get("Code", "")), str(error.get("Message", ""))


def _place(request_dict: dict[str, Any]) -> str:
    """Server, bucket and key of a request; without its query, which may hold a signature."""
    return str(request_dict["url"]).partition("?")[0]


def _give_up(place: str, operation: str, fault: Exception | None, answer: str) -> NoReturn:
    seconds = f"{longest_wait():.0f} s" if _silence.answered else "the first tries"
    if fault is None:
        raise StorageSilentError(
            f"the storage still answers {operation} with {answer!r} after {seconds}.",
            where=place,
            hint="It may be full or overloaded; look into its log, then run again: finished steps are kept.",
        ) from fault
    raise StorageSilentError(
        f"no storage answers ({type(fault).__name__}) after {seconds}.",
        where=place,
        hint=f"Check the address (AWS_ENDPOINT_URL) and the server; {WAIT} sets how long it is waited for [s].",
    ) from fault
