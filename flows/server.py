"""A Prefect server that can't be reached, told in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dlif_core.errors import ConfigurationError


@contextmanager
def server_is_needed() -> Iterator[None]:
    """Do what asks a Prefect server in this block.

    Raises
    ------
    ConfigurationError
        If no server answers.
    """
    import httpx

    try:
        yield
    except (httpx.TransportError, RuntimeError) as fault:
        if isinstance(fault, RuntimeError) and "Failed to reach API" not in str(fault):
            raise
        raise ConfigurationError(
            f"no Prefect server answers at {os.environ.get('PREFECT_API_URL', 'the address of its profile')}.",
            where="PREFECT_API_URL",
            hint="Start it, or correct the address; `dlif run` without the variable needs no server of yours.",
        ) from fault
