"""A Prefect server that can't be reached, told in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dlif_core.errors import ConfigurationError
from dlif_core.masking import masked


@contextmanager
def server_is_needed() -> Iterator[None]:
    """Do what asks a Prefect server in this block.

    Raises
    ------
    ConfigurationError
        If no server answers, or one that refuses.
    """
    import httpx

    try:
        yield
    except httpx.HTTPStatusError as fault:
        raise _refused(fault.response.status_code) from fault
    except (httpx.TransportError, RuntimeError) as fault:
        if isinstance(fault, RuntimeError) and "Failed to reach API" not in str(fault):
            raise
        raise ConfigurationError(
            f"no Prefect server answers at {_address()}.",
            where="PREFECT_API_URL",
            hint="Start it, or correct the address; `dlif run` without the variable needs no server of yours.",
        ) from fault


def _refused(status: int) -> ConfigurationError:
    """What an answer of a server means that is none of a Prefect server, or to somebody whom it doesn't know."""
    if status in (401, 403):
        told = "the Prefect server does not take this login."
        hint = "Set PREFECT_API_AUTH_STRING to its user:password."
        return ConfigurationError(told, where="PREFECT_API_AUTH_STRING", hint=hint)
    told = f"what answers at {_address()} is no Prefect server"
    hint = "Correct the address; it ends with /api."
    return ConfigurationError(f"{told} (HTTP {status}).", where="PREFECT_API_URL", hint=hint)


def _address() -> str:
    return masked(os.environ.get("PREFECT_API_URL", "the address of its profile"))
