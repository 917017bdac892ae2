"""A cluster on this machine: worker processes of this program, for this run alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dlif_core.compute.interrupts import shielded
from dlif_core.compute.kind import ALLOWED_DEATHS, Bytes, Count, Demand, Profile, Started
from dlif_core.compute.pool import WORKER_ENVIRONMENT
from dlif_core.errors import ClusterError

if TYPE_CHECKING:
    import distributed

#: How often the workers are started if that fails.
_TRIES = 3


class LocalProfile(Profile):
    """Settings of a cluster on this machine.

    Attributes
    ----------
    workers
        Worker processes, one thread each; by default one for each core that this program may use.
    memory
        Memory of a worker, ``8 GB``; by default an equal part of the machine's.
    """

    workers: Count | None = None
    memory: Bytes | None = None

    def count(self) -> int:
        """Number of workers."""
        from dask.system import CPU_COUNT

        return self.workers or CPU_COUNT

    def worker_memory(self) -> int:
        """Memory of a worker [bytes]."""
        from distributed.system import MEMORY_LIMIT

        return int(self.memory or MEMORY_LIMIT // self.count())


class LocalKind:
    """Workers of this machine; Dask starts a worker anew that dies."""

    name = "local"
    title = "this machine"
    options = LocalProfile

    @contextmanager
    def open(self, profile: LocalProfile) -> Iterator[Started]:
        """Start the workers; only who holds the keys of this run, which are never written, reaches them."""
        import dask

        settings = {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in WORKER_ENVIRONMENT.items()}
        settings["distributed.scheduler.allowed-failures"] = ALLOWED_DEATHS
        with dask.config.set(settings):
            with shielded():
                cluster = _started(profile)

            def keep(_demand: Demand) -> str:
                cluster.scale(profile.count())
                return "the workers of this machine end again and again"

            with cluster:
                yield Started(cluster, offers=frozenset(), keep=keep)


def _started(profile: LocalProfile) -> distributed.LocalCluster:
    """A cluster of Dask; it is started again if a worker is killed meanwhile, which Dask takes for the end."""
    import distributed

    fault: RuntimeError | None = None
    for _ in range(_TRIES):
        try:
            return distributed.LocalCluster(
                n_workers=profile.count(),
                threads_per_worker=1,
                memory_limit=profile.worker_memory(),
                protocol="tls://",
                security=distributed.Security.temporary(),
                dashboard_address="127.0.0.1:0",
                # A step that fails is recorded with its reason and has its traceback in the Prefect UI.
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as error:
            fault = error
    raise ClusterError(
        f"its workers do not start: {fault}",
        where="local cluster",
        hint="Look at the memory of this machine, or ask for fewer workers.",
    ) from fault


LOCAL = LocalKind()
