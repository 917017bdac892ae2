"""Credentials in settings: they belong into the environment or into files of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dlif_core.errors import ConfigurationError
from dlif_core.masking import has_odd_port, holds_credentials

_KEEP_APART = (
    "Take them out of it, and give them in the environment (for s3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
    "FSSPEC_S3_KEY and FSSPEC_S3_SECRET) or in a file of credentials (~/.aws/credentials, ~/.netrc)."
)


def require_no_credentials(content: Any, where: object = "") -> None:
    """Refuse an address that names a password, key or token: settings are kept in results and shown to many.

    An address whose port is no number is refused as well, since a password may stand in its place.

    Parameters
    ----------
    content
        An address, or settings of which any text may be one.
    where
        File or setting that holds them, for the message; left out, the address without its credentials.

    Raises
    ------
    ConfigurationError
        If there is such an address.
    """
    for place, text in _texts(content):
        if holds_credentials(text):
            raise ConfigurationError(
                f"{place}: the address holds credentials.".removeprefix(": "), where=where or text, hint=_KEEP_APART
            )
        if has_odd_port(text):
            raise ConfigurationError(
                f"{place}: the port of the address is no number.".removeprefix(": "),
                where=where or text,
                hint="Write it as host:8786, for instance.",
            )


def _texts(content: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text in plain values with its place."""
    if isinstance(content, str):
        yield place, content
    elif isinstance(content, Mapping | list | tuple):
        inner = content.items() if isinstance(content, Mapping) else enumerate(content)
        for key, value in inner:
            yield from _texts(value, f"{place}.{key}".lstrip("."))
