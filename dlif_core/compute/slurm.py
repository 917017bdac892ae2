"""A cluster of Slurm jobs; its scheduler runs in this program."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dlif_core.compute.kind import Started
from dlif_core.compute.pool import WORKER_ENVIRONMENT
from dlif_core.compute.slurm_profile import SlurmProfile

if TYPE_CHECKING:
    from distributed.security import Security


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
