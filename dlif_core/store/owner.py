"""The process that writes in a staging area, and whether it is still alive."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass

import psutil

from dlif_core.finite import to_json

# Whether a process on another machine is alive is not known; no product takes longer than this.
_PATIENCE_S = 24 * 3600.0


@dataclass(frozen=True)
class Owner:
    """The process that began a staging area.

    Attributes
    ----------
    host, pid
        Machine and process.
    started
        When the process started [s since the epoch]; tells it from a later one with the same pid.
    since
        When it began the staging area [s since the epoch].
    """

    host: str
    pid: int
    started: float
    since: float

    @classmethod
    def current(cls) -> Owner:
        """The present process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, psutil.Process(pid).create_time(), time.time())

    def to_json(self) -> bytes:
        """The owner as stored in the staging area."""
        return to_json(asdict(self), where="owner").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Owner | None:
        """Read an owner; None if the file is incomplete, which happens only if its process was killed."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError):
            return None

    @property
    def is_here(self) -> bool:
        """Whether the owner is, or was, a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def is_this_process(self) -> bool:
        """Whether the owner is this very process."""
        return self.is_here and self.pid == os.getpid() and self.may_be_alive

    @property
    def may_be_alive(self) -> bool:
        """Whether the process is alive; for one on another machine, whether it could be."""
        if not self.is_here:
            return time.time() - self.since < _PATIENCE_S
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < 1.0
        except psutil.NoSuchProcess:
            return False
