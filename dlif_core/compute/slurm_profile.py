"""Profiles of Slurm clusters: what a job asks for."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import model_validator

from dlif_core.compute.kind import GPU, Bytes, Count, Number, Profile, Seconds
from dlif_core.compute.sbatch import Directive, Name, NodeFolder
from dlif_core.errors import ConfigurationError
from dlif_core.validation import Section

#: Share of the walltime after which a worker takes no more work, and by how much that differs between workers, so that
#: they don't all end at once.
_LIFETIME, _STAGGER = 0.85, 0.05


class CpuJobs(Section):
    """Jobs for all work, and what each of them asks Slurm for.

    Attributes
    ----------
    cores
        Cores of a job; one worker process runs on each.
    memory
        Memory of a job, ``32 GB``; its workers share it.
    walltime
        Longest time that a job may run, ``4 h``. Its workers take no new work after 85 % of it; another job follows.
    jobs, fewest
        Most jobs at once, and how many stay when there is nothing to do. In between there are as many as there is work
        for.
    partition, account
        Partition and account of ``sbatch``; the defaults of the Slurm cluster if left out.
    scratch
        Folder on the node for temporary files, ``/scratch/$USER``; the node's shell reads it.
    directives
        Further options of ``sbatch``, such as ``--constraint=avx2``.
    before
        Lines of shell that run in the job before its workers, such as ``module load python``.
    """

    cores: Count
    memory: Bytes
    walltime: Seconds
    jobs: Count
    fewest: Number = 0
    partition: Name | None = None
    account: Name | None = None
    scratch: NodeFolder | None = None
    directives: tuple[Directive, ...] = ()
    before: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fewest_are_not_more(self) -> Self:
        if self.fewest > self.jobs:
            raise ValueError(f"`fewest` ({self.fewest}) is more than `jobs` ({self.jobs}): write at most as many")
        return self

    @property
    def workers(self) -> int:
        """Worker processes of a job."""
        return self.cores

    @property
    def asked(self) -> tuple[str, ...]:
        """Further options of ``sbatch``."""
        return self.directives

    @property
    def offered(self) -> Mapping[str, float]:
        """Resources of a worker."""
        return {}

    def wanted(self, work: int) -> int:
        """How many jobs to have for so many pieces of work."""
        return min(self.jobs, max(self.fewest, math.ceil(work / self.workers)))

    def worker_arguments(self) -> list[str]:
        """Arguments of ``dask worker``: when to end, and what it offers."""
        lifetime = ["--lifetime", f"{self.walltime * _LIFETIME:.0f}s", "--lifetime-stagger"]
        offered = [f"{name}={amount:g}" for name, amount in self.offered.items()]
        resources = ["--resources", f"'{' '.join(offered)}'"] if offered else []
        return [*lifetime, f"{self.walltime * _STAGGER:.0f}s", "--no-dashboard", *resources]


class GpuJobs(CpuJobs):
    """Jobs with one GPU and one worker each, for the steps that run networks; other work may go there, too.

    Attributes
    ----------
    request
        Option of ``sbatch`` that asks for one GPU.
    """

    request: Directive = "--gres=gpu:1"

    @property
    def workers(self) -> int:
        """One worker has the GPU."""
        return 1

    @property
    def asked(self) -> tuple[str, ...]:
        """The GPU, and further options."""
        return (self.request, *self.directives)

    @property
    def offered(self) -> Mapping[str, float]:
        """One GPU."""
        return {GPU: 1}


class SlurmProfile(Profile):
    """Settings of a cluster of Slurm jobs.

    Attributes
    ----------
    cpu, gpu
        The jobs, see `CpuJobs` and `GpuJobs`. Without `gpu`, networks run on the CPU.
    shared
        Folder that all nodes see: keys of the run, private and deleted at its end, and logs of the jobs.
    interface
        Network interface of this machine and the nodes, ``ib0``; left out, that of the machine's name.
    """

    cpu: CpuJobs
    gpu: GpuJobs | None = None
    shared: Path = Path("~/.dlif")
    interface: Name | None = None

    def shapes(self) -> dict[str, CpuJobs]:
        """Shapes of jobs by name."""
        return {"cpu": self.cpu} | ({"gpu": self.gpu} if self.gpu else {})

    def worker_memory(self) -> int:
        """Memory of the smallest worker [bytes]."""
        return min(int(shape.memory) // shape.workers for shape in self.shapes().values())

    def require_there(self) -> None:
        """Refuse a machine from which no job can be submitted."""
        if shutil.which("sbatch") is None:
            raise ConfigurationError(
                "there is no Slurm on this machine.",
                where="sbatch",
                hint="Run it where jobs are submitted, or load the module of Slurm.",
            )
