"""A cluster of Slurm jobs; its scheduler runs in this program."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from dlif_core.compute.kind import GPU, Bytes, Profile, Seconds, Started
from dlif_core.compute.pool import WORKER_ENVIRONMENT
from dlif_core.validation import Section

if TYPE_CHECKING:
    from distributed.security import Security

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
        As for ``sbatch``; those of the Slurm cluster if left out.
    scratch
        Folder on the node for temporary files, ``/scratch/$USER``; the node's shell reads it.
    directives
        Further options of ``sbatch``, such as ``--constraint=avx2``.
    before
        Lines of shell that run in the job before its workers, such as ``module load python``.
    """

    cores: Annotated[int, Field(ge=1)]
    memory: Bytes
    walltime: Seconds
    jobs: Annotated[int, Field(ge=1)]
    fewest: Annotated[int, Field(ge=0)] = 0
    partition: str | None = None
    account: str | None = None
    scratch: str | None = None
    directives: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

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

    request: str = "--gres=gpu:1"

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
    interface: str | None = None

    def shapes(self) -> dict[str, CpuJobs]:
        """Shapes of jobs by name."""
        return {"cpu": self.cpu} | ({"gpu": self.gpu} if self.gpu else {})

    def worker_memory(self) -> int:
        """Memory of the smallest worker [bytes]."""
        return min(int(shape.memory) // shape.workers for shape in self.shapes().values())


class SlurmKind:
    """Jobs come and go with the work; one that is lost is replaced."""

    name = "slurm"
    title = "jobs of a Slurm cluster"
    options = SlurmProfile

    @contextmanager
    def open(self, profile: SlurmProfile) -> Iterator[Started]:
        """Start the scheduler and have Slurm check the jobs; they are submitted when there is work."""
        from distributed.security import Security

        from dlif_core.compute.slurm_jobs import JobCluster

        shared = profile.shared.expanduser()
        shared.mkdir(mode=0o700, parents=True, exist_ok=True)
        security = Security.temporary()
        with TemporaryDirectory(prefix="keys-", dir=shared) as folder:
            worker_security = _in_files(security, Path(folder))
            jobs = {name: _options(profile, name, worker_security) for name in profile.shapes()}
            with JobCluster(profile, jobs, security) as cluster:
                cluster.require_accepted()
                yield Started(cluster, offers=_offers(profile), keep=cluster.keep)


SLURM = SlurmKind()


def _offers(profile: SlurmProfile) -> frozenset[str]:
    return frozenset(name for shape in profile.shapes().values() for name in shape.offered)


def _in_files(security: Security, folder: Path) -> Security:
    """The keys of a worker in files that nobody else may read: jobs on other nodes find them by path."""
    from distributed.security import Security

    paths = {}
    for name, content in security.get_tls_config_for_role("worker").items():
        if content and name in ("ca_file", "cert", "key"):
            path = folder / f"{name}.pem"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(content)
            paths["tls_ca_file" if name == "ca_file" else f"tls_worker_{name}"] = str(path)
    return Security(require_encryption=True, **paths)


def _options(profile: SlurmProfile, name: str, security: Security) -> dict[str, Any]:
    """Arguments of dask-jobqueue for a job of one shape."""
    shape = profile.shapes()[name]
    environment = [f"export {variable}={value}" for variable, value in WORKER_ENVIRONMENT.items()]
    return {
        "job_name": f"dlif-{name}",
        "cores": shape.workers,
        "processes": shape.workers,
        "job_cpu": shape.cores,
        "memory": str(int(shape.memory)),
        "walltime": f"{math.ceil(shape.walltime / 60)}",
        "queue": shape.partition,
        "account": shape.account,
        "local_directory": shape.scratch,
        "job_extra_directives": list(shape.asked),
        "job_script_prologue": [*environment, *shape.before],
        "worker_extra_args": shape.worker_arguments(),
        "log_directory": str(profile.shared.expanduser() / "logs"),
        "interface": profile.interface,
        "protocol": "tls://",
        "security": security,
        "death_timeout": 60,
    }
