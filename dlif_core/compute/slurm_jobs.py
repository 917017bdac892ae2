"""The jobs of a cluster: submitted as there is work, replaced when they are lost."""

from __future__ import annotations

import getpass
import logging
import time
from collections.abc import Mapping
from typing import Any

from dask_jobqueue.slurm import SLURMJob
from distributed import SpecCluster
from distributed.core import Status
from distributed.scheduler import Scheduler
from distributed.security import Security

from dlif_core.compute.kind import ALLOWED_DEATHS, GPU, Demand
from dlif_core.compute.slurm_profile import SlurmProfile
from dlif_core.errors import ConfigurationError

_LOG = logging.getLogger(__name__)

#: A job that has nothing to do is given back after so many seconds.
_IDLE = 60.0

#: Slurm's answer where no node fits, be it that none is large enough or that those are down or drained just now.
_NO_NODE = "Requested node configuration is not available"


class _Job(SLURMJob):
    """A job of Slurm with its workers."""

    async def check(self) -> None:
        """Have Slurm look at the job without submitting it; raises RuntimeError with its answer if it refuses."""
        with self.job_file() as script:
            await self._call([self.submit_command, "--test-only", script])

    async def close(self) -> None:
        """Cancel the job."""
        await super().close()
        self.status = Status.closed


class JobCluster(SpecCluster):
    """One scheduler and jobs of several shapes.

    Dask's own ways to scale know one shape of jobs, and replace no job that Slurm cancelled or that never came up. Here
    the queue of Slurm says which jobs there are.

    Parameters
    ----------
    profile
        The cluster.
    jobs
        Arguments of the jobs by name of their shape.
    security
        Keys of the run.
    """

    def __init__(self, profile: SlurmProfile, jobs: Mapping[str, Mapping[str, Any]], security: Security) -> None:
        self._shapes = profile.shapes()
        self._jobs = jobs
        self._count = 0
        self._idle_since: dict[str, float] = {}
        self._trouble = ""
        options = {
            "protocol": "tls://",
            "security": security,
            "interface": profile.interface,
            "dashboard_address": "127.0.0.1:0",
            "port": 0,
            "allowed_failures": ALLOWED_DEATHS,
        }
        super().__init__(
            scheduler={"cls": Scheduler, "options": options}, security=security, silence_logs=logging.CRITICAL
        )

    def require_accepted(self) -> None:
        """Have Slurm check a job of each shape; that there is no node for one just now is only said.

        Raises
        ------
        ConfigurationError
            If it would refuse one.
        """
        for shape, options in self._jobs.items():
            try:
                self.sync(_Job(self.scheduler_address, name=shape, **options).check)
            except (RuntimeError, OSError) as fault:
                if _NO_NODE in str(fault):
                    _LOG.warning("Slurm has no node now for the jobs %s of the profile; they wait.", shape)
                    continue
                raise ConfigurationError(
                    f"Slurm refuses the jobs: {_last_line(fault)}.",
                    where=f"cluster, {shape}",
                    hint="Correct partition, account, memory, walltime or directives in the profile.",
                ) from fault

    def keep(self, demand: Demand) -> str:
        """Replace lost jobs, and have as many as there is work for; returns how they stand."""
        return str(self.sync(self._keep, demand))

    async def _keep(self, demand: Demand) -> str:
        try:
            queue = await self._queue()
        except (RuntimeError, OSError) as fault:
            return f"Slurm does not answer: {_last_line(fault)}"
        self._forget_lost(queue)
        for shape in self._shapes:
            self._want(shape, self._shapes[shape].wanted(demand[GPU if shape == "gpu" else ""]))
        try:
            await self._correct_state()
        except (RuntimeError, OSError) as fault:
            self._trouble = f"Slurm refuses a job: {_last_line(fault)}"
            self._forget_refused()
        return "; ".join(filter(None, (self._trouble, _in_words(queue)))) or "jobs were submitted just now"

    async def _queue(self) -> dict[str, tuple[str, str]]:
        """State and reason of the jobs of this cluster that wait or run, by number."""
        command = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%A|%T|%r"]
        lines = (await _Job._call(command)).splitlines()
        mine = {job.job_id for job in self.workers.values()}
        listed = (line.split("|", 2) for line in lines)
        return {number: (state, reason) for number, state, reason in listed if number in mine}

    def _forget_lost(self, queue: Mapping[str, object]) -> None:
        for name, job in list(self.workers.items()):
            if job.job_id not in queue:
                self._trouble = "" if self._workers_of(name) else f"job {job.job_id} ended, see {job.log_directory}"
                _LOG.info("job %s of Slurm ended", job.job_id)
                self._forget(name)

    def _forget_refused(self) -> None:
        for name, job in list(self.workers.items()):
            if job.job_id is None:
                self._forget(name)

    def _forget(self, name: str) -> None:
        job = self.workers.pop(name)
        job.status = Status.closed
        self.worker_spec.pop(name, None)
        self._idle_since.pop(name, None)

    def _want(self, shape: str, wanted: int) -> None:
        """Set how many jobs of a shape there should be; the next `_correct_state` submits and cancels."""
        there = [name for name in self.worker_spec if name.startswith(f"{shape}-")]
        for _ in range(wanted - len(there)):
            self.worker_spec[f"{shape}-{self._count}"] = {"cls": _Job, "options": self._jobs[shape]}
            self._count += 1
        surplus = [name for name in there if self._is_idle(name)][: max(0, len(there) - wanted)]
        for name in surplus:
            del self.worker_spec[name]

    def _is_idle(self, name: str) -> bool:
        """Whether a job has had nothing to do for a while, or has not begun."""
        now = time.monotonic()
        if any(worker.processing for worker in self._workers_of(name)):
            self._idle_since.pop(name, None)
            return False
        return now - self._idle_since.setdefault(name, now) > _IDLE

    def _scheduler(self) -> Scheduler:
        """The scheduler, in this process."""
        assert isinstance(self.scheduler, Scheduler)
        return self.scheduler

    def _workers_of(self, name: str) -> list[Any]:
        """Workers of a job that the scheduler knows: of one they have its name, of several it begins theirs."""
        known = self._scheduler().workers.values()
        return [worker for worker in known if str(worker.name) == name or str(worker.name).startswith(f"{name}-")]


def _in_words(queue: Mapping[str, tuple[str, str]]) -> str:
    return ", ".join(f"job {number} is {state} ({reason})" for number, (state, reason) in queue.items())


def _last_line(fault: Exception) -> str:
    """What a program of Slurm said; dask-jobqueue quotes the command and all that it printed."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(fault).__name__
