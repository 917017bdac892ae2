"""A scheduler that is running already: of a gateway, in Kubernetes, under MPI, or started by hand."""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from dlif_core.compute.kind import Profile, Started
from dlif_core.errors import ConfigurationError

if TYPE_CHECKING:
    from distributed.security import Security

SCHEMES = ("tls", "tcp")
#: How long a scheduler may take to listen [s].
_PATIENCE_S = 5.0
_LOG = logging.getLogger(__name__)


class AddressProfile(Profile):
    """Settings for a scheduler that is running already.

    Attributes
    ----------
    address
        ``tls://host:port``, or ``tcp://host:port`` for one without encryption.
    ca_file, certificate, key
        Files with the credentials of ``tls://``; left out, those of Dask's own settings
        (``DASK_DISTRIBUTED__COMM__TLS__CA_FILE`` and the like).
    """

    address: str
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        parts = urlsplit(address)
        try:
            port = parts.port
        except ValueError as fault:
            raise ValueError(f"the port of {address} is no number between 1 and 65535") from fault
        if parts.scheme not in SCHEMES or not parts.hostname or not port:
            raise ValueError("an address is tls://host:port or tcp://host:port")
        return address

    @model_validator(mode="after")
    def _all_files_or_none(self) -> AddressProfile:
        files = (self.ca_file, self.certificate, self.key)
        if any(files) and not all(files):
            raise ValueError("`ca_file`, `certificate` and `key` belong together")
        return self

    @property
    def encrypted(self) -> bool:
        """Whether the scheduler knows its clients."""
        return self.address.startswith("tls://")

    def require_there(self) -> None:
        """Refuse a scheduler without the credentials for it, or at whose address nobody listens."""
        security = _security(self) if self.encrypted else None
        if security is None:
            _require_guarded(self.address)
        with _connected(self.address) as listener:
            _require_scheduler(self.address, listener, security)


class AddressKind:
    """A scheduler whose workers somebody else looks after."""

    name = "address"
    title = "a scheduler that is running already"
    options = AddressProfile

    @contextmanager
    def open(self, profile: AddressProfile) -> Iterator[Started]:
        """Check the credentials; the client connects."""
        security = _security(profile) if profile.encrypted else None
        if security is None:
            _require_guarded(profile.address)
            _LOG.warning(
                "%s asks for no credentials; who reaches it can run code as the owner of its workers. Use tls:// "
                "unless the network is yours alone.",
                profile.address,
            )
        yield Started(profile.address, security)


ADDRESS = AddressKind()


def _security(profile: AddressProfile) -> Security:
    """The credentials of the profile, or those of Dask's settings."""
    from distributed.security import Security

    if profile.ca_file and profile.certificate and profile.key:
        for path in (profile.ca_file, profile.certificate, profile.key):
            if not path.is_file():
                raise ConfigurationError(
                    "this file with credentials is not there.", where=path, hint="Correct the profile of the cluster."
                )
        certificate, key = str(profile.certificate), str(profile.key)
        return Security(
            tls_ca_file=str(profile.ca_file), tls_client_cert=certificate, tls_client_key=key, require_encryption=True
        )
    security = Security(require_encryption=True)
    if all(security.get_tls_config_for_role("client").get(part) for part in ("ca_file", "cert")):
        return security
    raise ConfigurationError(
        "there are no credentials for this scheduler.",
        where=profile.address,
        hint="Give ca_file, certificate and key in a profile, or set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
        "…__TLS__CLIENT__CERT and …__TLS__CLIENT__KEY.",
    )


def _require_guarded(address: str) -> None:
    """Refuse a scheduler in the open internet that asks for no credentials.

    Who reaches such a scheduler runs code as the owner of its workers. Whether a firewall, a namespace or a network of
    the nodes alone keeps others away can't be seen from here, so it is for the one who gives the address to know.
    """
    host = urlsplit(address).hostname or ""
    try:
        found = {ipaddress.ip_address(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        found = set()  # the connection will tell
    if any(each.is_global for each in found):
        raise ConfigurationError(
            "this scheduler is in the open internet without credentials, so anyone can run code on its workers.",
            where=address,
            hint="Start it with TLS and use tls://, or reach it through a tunnel.",
        )


def _require_scheduler(address: str, listener: socket.socket, security: Security | None) -> None:
    """Refuse an address at which something listens that is no Dask scheduler, or does not know these credentials.

    A scheduler says at once who it is; Dask's own client would wait for that without end.
    """
    context = security.get_connection_args("client").get("ssl_context") if security else None
    listener.settimeout(_PATIENCE_S)
    try:
        with context.wrap_socket(listener) if context else listener as talk:
            if not talk.recv(1):
                raise ConnectionResetError("it ends the connection")
    except OSError as fault:
        raise ConfigurationError(
            f"what listens there is no Dask scheduler that takes these credentials: {fault}.",
            where=address,
            hint="Correct the address, or the credentials in the profile.",
        ) from fault


def _connected(address: str) -> socket.socket:
    """A connection to an address; one whose scheduler is just being started is waited for a moment.

    Raises
    ------
    ConfigurationError
        If nobody listens there.
    """
    parts = urlsplit(address)
    last = time.monotonic() + _PATIENCE_S
    while True:
        left = last - time.monotonic()
        try:
            return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=max(left, 0.1))
        except OSError as fault:
            if left > 0 and isinstance(fault, ConnectionRefusedError):
                time.sleep(0.2)
                continue
            raise ConfigurationError(
                f"no Dask scheduler answers there: {fault.strerror or fault}.",
                where=address,
                hint="Start it, or correct the address.",
            ) from fault
