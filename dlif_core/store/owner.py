"""The process that works on a part of a store, and whether it is still alive."""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from dlif_core.finite import to_json

# Whether a process on another machine is alive is not known; no product takes longer than this.
_PATIENCE_S = 24 * 3600.0

# Two processes with one pid started at least so far apart; clocks may differ by less.
_SAME_S = 1.0


@dataclass(frozen=True)
class Owner:
    """The process that began a staging area, or that claims a part of a study.

    Attributes
    ----------
    host, pid
        Machine and process.
    started
        When the process started [s]; tells it from a later one with the same pid. It counts from the start of the
        machine where `boot` is known, because clocks are set; else since the epoch.
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
    boot
        Start of the machine, a number that no other start and no other machine has; "" where the system gives none.
    """

    host: str
    pid: int
    started: float
    since: float
    user: str = ""
    namespace: str = ""
    job: str = ""
    restarts: int = 0
    boot: str = ""

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
            started=_started(pid, _boot()),
            since=time.time(),
            user=_user(),
            namespace=_namespace(),
            job=_slurm_job(),
            restarts=_slurm_restarts(),
            boot=_boot(),
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Owner:
        """The owner of a record; what another version of dlif has written beside is left out.

        Raises
        ------
        TypeError, ValueError
            If the record is none.
        """
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in dict(record).items() if name in known})

    def to_json(self) -> bytes:
        """The owner as stored."""
        return to_json(asdict(self), where="owner").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Owner | None:
        """Read an owner; None if the file is incomplete, which happens only if its process was killed."""
        try:
            return cls.from_record(json.loads(data))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        job = f", Slurm job {self.job}" if self.job else ""
        since = datetime.fromtimestamp(self.since).isoformat(" ", timespec="seconds")
        return f"{self.user or 'somebody'} on {self.host} (process {self.pid}{job}, since {since})"

    @property
    def is_here(self) -> bool:
        """Whether the owner is, or was, a process of this machine (and container) since it was started."""
        is_named = self.host == socket.gethostname() and self.namespace in ("", _namespace())
        return is_named and self.boot in ("", _boot())

    @property
    def is_this_process(self) -> bool:
        """Whether the owner is this very process."""
        return self.pid == os.getpid() and self.is_known_alive

    @property
    def is_known_dead(self) -> bool:
        """Whether it is certain that the process is gone.

        That is known of this machine's processes, and of the Slurm job that this process belongs to: Slurm starts a
        job again only when its former processes are gone.
        """
        if self.job and self.job == _slurm_job() and self.restarts < _slurm_restarts():
            return True
        return self._runs is False

    @property
    def is_known_alive(self) -> bool:
        """Whether it is certain that the process runs: it does on this machine, and may be looked at."""
        return self._runs is True

    @property
    def may_be_alive(self) -> bool:
        """Whether the process is alive; where that can't be seen, whether it could be."""
        runs = self._runs
        return time.time() - self.since < _PATIENCE_S if runs is None else runs

    @property
    def _runs(self) -> bool | None:
        """Whether the process runs; None if it is on another machine, or hidden from this user."""
        return _is_running(self.pid, self.started, self.boot) if self.is_here else None


def _is_running(pid: int, started: float, boot: str) -> bool | None:
    """Whether a process of this machine runs; one that has ended and waits for its parent does not. None: unknown."""
    is_mine = True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        is_mine = False
    try:
        return abs(_started(pid, boot) - started) < _SAME_S and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):  # it has just ended; or systems with many users hide those of others
        return False if is_mine else None


def _started(pid: int, boot: str) -> float:
    """When a process started [s], from the start of the machine if that has a number, else since the epoch."""
    if not boot:
        return psutil.Process(pid).create_time()
    after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return int(after_name[19]) / os.sysconf("SC_CLK_TCK")


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _slurm_restarts() -> int:
    text = os.environ.get("SLURM_RESTART_COUNT", "")
    return int(text) if text.isdecimal() else 0


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
