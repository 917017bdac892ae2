"""Ports for services that tests start."""

import random
import socket
from contextlib import suppress

#: Below the ports that a system gives to whoever asks for any: one of those may be taken before the service starts.
_FIRST, _LAST = 12_000, 32_000


def free_ports(count: int) -> list[int]:
    """Numbers of ports of this machine on which nobody listens."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randint(_FIRST, _LAST)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found
