"""Which faults pass by themselves: connections and storage come back, faulty data and code don't."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from dlif_core.errors import DlifError, StorageSilentError

#: Names of faults of libraries that may not be installed: botocore, aiohttp, urllib3.
_PASSING = frozenset(
    {
        "ClientConnectionError",
        "ClientPayloadError",
        "ConnectionClosedError",
        "ConnectionError",
        "EndpointConnectionError",
        "FSTimeoutError",
        "HTTPClientError",
        "IncompleteRead",
        "ResponseParserError",
    }
)

#: Codes of S3 and of HTTP with which a server says that it can't answer just now.
PASSING_CODES = frozenset(
    {
        "429",
        "ConditionalRequestConflict",
        "500",
        "502",
        "503",
        "504",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)

#: Faults of a disk or a network that another try may not meet.
_PASSING_NUMBERS = frozenset(
    {
        None,
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EIO,
        errno.ENOSPC,
        errno.ESTALE,
        getattr(errno, "EREMOTEIO", errno.EIO),  # as s3fs calls a fault of the server; not on every system
    }
)


def is_transient(fault: BaseException | None) -> bool:
    """Whether another try may help; the fault may also be the cause of another one."""
    if isinstance(fault, StorageSilentError):  # it was waited for
        return False
    return any(_passes(one) for one in _causes(fault))


def _passes(fault: BaseException) -> bool:
    if isinstance(fault, (ConnectionError, TimeoutError)):
        return True
    if isinstance(fault, DlifError):
        return False
    if any(kind.__name__ in _PASSING for kind in type(fault).__mro__):
        return True
    response = getattr(fault, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code")) in PASSING_CODES
    return type(fault) is OSError and fault.errno in _PASSING_NUMBERS


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    """The fault and what led to it, as far as dlif or a library only passed it on."""
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        yield fault
        fault = fault.__cause__
