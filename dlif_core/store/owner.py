"""The process that works on a part of a store, and whether it is still alive."""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from datetime import datetime

import psutil

from dlif_core.finite import to_json

# Whether a process on another machine is alive is not known; no product takes longer than this.
_PATIENCE_S = 24 * 3600.0


@dataclass(frozen=True)
class Owner:
    """The process that began a staging area, or that claims a part of a study.

    Attributes
    ----------
    host, pid
        Machine and process.
    started
        When the process started [s since the epoch]; tells it from a later one with the same pid.
    since
        When it began its work [s since the epoch].
    user
        Name of the user.
    namespace
        Where the pid counts: a container may have the name of its host, and pids of its own.
    job
        Slurm job that the process belongs to, or "".
    restarts
        How often Slurm has started that job again.
    """

    host: str
    pid: int
    started: float
    since: float
    user: str = ""
    namespace: str = ""
    job: str = ""
    restarts: int = 0

    def __post_init__(self) -> None:
        times = [value for value in (self.started, self.since) if isinstance(value, (int, float)) and 0 <= value < 1e11]
        if not isinstance(self.pid, int) or self.pid <= 0 or len(times) != 2:
            raise ValueError("this is no process")

    @classmethod
    def current(cls) -> Owner:
        """The present process."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            pid=pid,
            started=psutil.Process(pid).create_time(),
            since=time.time(),
            user=_user(),
            namespace=_namespace(),
            job=_slurm_job(),
            restarts=int(os.environ.get("SLURM_RESTART_COUNT", "0")),
        )

    def to_json(self) -> bytes:
        """The owner as stored."""
        return to_json(asdict(self), where="owner").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Owner | None:
        """Read an owner; None if the file is incomplete, which happens only if its process was killed."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        job = f", Slurm job {self.job}" if self.job else ""
        since = datetime.fromtimestamp(self.since).isoformat(" ", timespec="seconds")
        return f"{self.user or 'somebody'} on {self.host} (process {self.pid}{job}, since {since})"

    @property
    def is_here(self) -> bool:
        """Whether the owner is, or was, a process of this machine (and container)."""
        return self.host == socket.gethostname() and self.namespace in ("", _namespace())

    @property
    def is_this_process(self) -> bool:
        """Whether the owner is this very process."""
        return self.is_here and self.pid == os.getpid() and self.may_be_alive

    @property
    def is_known_dead(self) -> bool:
        """Whether it is certain that the process is gone.

        That is known of this machine's processes, and of the Slurm job that this process belongs to: Slurm starts a
        job again only when its former processes are gone.
        """
        if self.job and self.job == _slurm_job() and self.restarts < int(os.environ.get("SLURM_RESTART_COUNT", "0")):
            return True
        return self.is_here and not _is_running(self.pid, self.started)

    @property
    def may_be_alive(self) -> bool:
        """Whether the process is alive; for one on another machine, whether it could be."""
        if not self.is_here:
            return time.time() - self.since < _PATIENCE_S
        return _is_running(self.pid, self.started)


def _is_running(pid: int, started: float) -> bool:
    """Whether a process of this machine runs; one that has ended and waits for its parent does not."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run with a number that has no name
        return f"user {os.getuid()}"


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _slurm_job() -> str:
    """Number of the Slurm job, or of the array and its task, with the cluster's name; "" outside Slurm."""
    names = ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")
    number = "_".join(os.environ[name] for name in names if name in os.environ) or os.environ.get("SLURM_JOB_ID", "")
    cluster = os.environ.get("SLURM_CLUSTER_NAME", "")
    return f"{number} of {cluster}" if number and cluster else number
