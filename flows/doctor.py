"""Prefect's server: whether it is reached, of the same version, protected, and on which database."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx

from dlif_core.doctor.probe import Diagnosis, Probe, Surroundings, doubtful, faulty, sound
from dlif_core.masking import holds_credentials, masked

_ANSWER = 10.0


def look_at_server(_: Surroundings) -> Iterator[Diagnosis]:
    """The server of the present settings; without one, each run starts its own."""
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    url = settings.api.url
    if not url:
        connection = settings.server.database.connection_url
        database = masked(connection.get_secret_value()).partition("@")[2] if connection else ""
        yield sound("prefect", f"each run starts a server of its own; database {database or 'SQLite'}")
        return
    if holds_credentials(url):
        yield doubtful("prefect", "PREFECT_API_URL holds credentials", "Move them to PREFECT_API_AUTH_STRING.")
    secret = settings.api.auth_string.get_secret_value() if settings.api.auth_string else ""
    with httpx.Client(base_url=url, timeout=_ANSWER) as client:
        yield from _answers(client, tuple(secret.split(":", 1)) if ":" in secret else None)


def _answers(client: httpx.Client, login: tuple[str, ...] | None) -> Iterator[Diagnosis]:
    where = masked(str(client.base_url))
    try:
        client.get("/health").raise_for_status()
        bare = client.post("/flows/count", json={})
        found = client.get("/admin/version", auth=(login[0], login[1]) if login else None)
    except httpx.HTTPError as fault:
        remedy = "Start it (`prefect server start`), correct PREFECT_API_URL, or unset it."
        yield faulty("prefect", f"no server answers at {where}: {masked(str(fault)) or type(fault).__name__}", remedy)
        return
    if found.status_code == httpx.codes.UNAUTHORIZED:
        yield faulty("prefect", f"{where} refuses this user", "Set PREFECT_API_AUTH_STRING as the server has it.")
        return
    if found.is_error:
        yield faulty("prefect", f"{where} answers {found.status_code}", "Look into the log of the server.")
        return
    theirs, ours = str(found.json()), version("prefect")
    if theirs != ours:
        yield doubtful("prefect", f"{where} is {theirs}, this is {ours}", "Install the same version on both sides.")
    if bare.is_success and not _is_local(where):
        yield doubtful(
            "prefect",
            f"{where} lets anybody in who reaches it",
            "Set PREFECT_SERVER_API_AUTH_STRING on the server and PREFECT_API_AUTH_STRING here.",
        )
    yield sound("prefect", f"{where} answers, version {theirs}, {'for anybody' if bare.is_success else 'with a login'}")


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


PROBES = (Probe("prefect", look_at_server),)
