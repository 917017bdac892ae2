"""Files of web servers: a server that does not answer, or refuses, is told as such.

fsspec takes any of that for a file that is not there.
"""

from __future__ import annotations

from typing import Any

import aiohttp
from fsspec.implementations.http import HTTPFileSystem

from dlif_core.errors import StorageError
from dlif_core.storage.transient import PASSING_CODES

_HINT = "Check the address and the connection, or ask who keeps the server."


class AnsweringHTTP(HTTPFileSystem):  # type: ignore[misc]
    """HTTPFileSystem whose requests raise StorageError if no server answers, and PermissionError if it refuses."""

    def __init__(self, **options: Any) -> None:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_exception.append(_tell_silence)
        tracing.on_request_end.append(_tell_refusal)
        settings = dict(options.pop("client_kwargs", None) or {})
        settings["trace_configs"] = [*settings.get("trace_configs", ()), tracing]
        super().__init__(client_kwargs=settings, **options)

    async def _info(self, url: str, **options: Any) -> Any:
        """Facts of a file; FileNotFoundError only if the server says so."""
        try:
            return await super()._info(url, **options)
        except FileNotFoundError as fault:
            if isinstance(fault.__cause__, (StorageError, PermissionError)):
                raise fault.__cause__ from fault.__cause__.__cause__
            raise


async def _tell_silence(_session: object, _context: object, request: Any) -> None:
    fault = request.exception
    if isinstance(fault, (aiohttp.ClientConnectionError, TimeoutError)):
        reason = str(fault) or type(fault).__name__
        raise StorageError(f"the server can't be reached: {reason}.", where=request.url, hint=_HINT) from fault


async def _tell_refusal(_session: object, _context: object, request: Any) -> None:
    status, reason = request.response.status, request.response.reason
    if status in (401, 403):
        request.response.close()
        raise PermissionError(status, f"the server answers {status} {reason}", str(request.url))
    if str(status) in PASSING_CODES:
        request.response.close()
        told = f"the server answers {status} {reason}"
        raise StorageError(f"{told}.", where=request.url, hint=_HINT) from ConnectionError(told)
