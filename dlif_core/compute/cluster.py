"""Opening a cluster: its scheduler, its workers, and a client that keeps an eye on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from typing import Any, Protocol

import distributed

from dlif_core.compute.kind import Started
from dlif_core.compute.profiles import Chosen, chosen_cluster
from dlif_core.compute.watch import Watch
from dlif_core.compute.work import ClusterExecutor, Work
from dlif_core.errors import ConfigurationError


class Need(Protocol):
    """What one worker needs for a step."""

    @property
    def title(self) -> str:
        """Name of the step."""

    @property
    def bytes(self) -> int:
        """Projected peak of a worker, all included."""


class StudyClient(distributed.Client):
    """A client of Dask whose work ends, with a result or an error that a person understands.

    Parameters
    ----------
    started
        The cluster.
    options
        Further options of `distributed.Client`.
    """

    def __init__(self, started: Started, **options: Any) -> None:
        super().__init__(started.scheduler, **options)
        self.started = started
        self.work = Work(self)

    def executor(self, resources: Mapping[str, float] | None = None) -> Executor:
        """An executor of `concurrent.futures`.

        Parameters
        ----------
        resources
            What the work asks of a worker.
        """
        return ClusterExecutor(self.work, resources or {})

    def offers(self) -> frozenset[str]:
        """Resources that workers have, or will have once they come."""
        if self.started.offers is not None:
            return self.started.offers
        workers = self.scheduler_info(n_workers=-1)["workers"].values()
        return frozenset(name for worker in workers for name, amount in worker["resources"].items() if amount)


def require_cluster(cluster: str, workers: int | None = None, need: Need | None = None) -> Chosen:
    """The cluster that a run is to have, as far as a quick look tells that it can be had; nothing is started.

    Parameters
    ----------
    cluster, workers, need
        See `open_client`.

    Raises
    ------
    ConfigurationError
        If there is no such cluster, nobody listens at its address, or its workers are too small.
    """
    chosen = chosen_cluster(cluster).with_workers(workers)
    _require_room(need, chosen.profile.worker_memory(), chosen.where)
    chosen.profile.require_there()
    return chosen


@contextmanager
def open_client(cluster: str = "local", workers: int | None = None, need: Need | None = None) -> Iterator[StudyClient]:
    """Open a client; a cluster of this run's own is started for it and stopped after it.

    Parameters
    ----------
    cluster
        Name or file of a profile, or address of a scheduler, see `chosen_cluster`.
    workers
        Worker processes of a cluster on this machine, one thread each; otherwise as the profile says.
    need
        The step that needs most memory.

    Raises
    ------
    ConfigurationError
        If there is no such cluster, no scheduler answers, or no worker has as much memory as a step needs.
    ClusterError
        At the end of the block, if the cluster was lost within it.
    """
    chosen = require_cluster(cluster, workers, need)
    with chosen.kind.open(chosen.profile) as started, _client(chosen, started) as client:
        if chosen.profile.worker_memory() is None:
            _require_room(need, _smallest_memory(client), chosen.where)
        with closing(client.work), Watch(client, started, client.work, chosen.profile.give_up_after):
            yield client
            client.work.require_cluster()


def _client(chosen: Chosen, started: Started) -> StudyClient:
    security = {} if started.security is None else {"security": started.security}
    try:
        return StudyClient(started, timeout="15s", **security)
    except (OSError, TimeoutError) as fault:
        raise ConfigurationError(
            f"no Dask scheduler answers at {started.scheduler}: {fault}.",
            where=chosen.where,
            hint="Start it, or correct the address.",
        ) from fault


def _smallest_memory(client: distributed.Client) -> int | None:
    """Memory of the smallest worker that is there [bytes]; None if there is none, or none has a limit."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return min((worker["memory_limit"] for worker in workers if worker["memory_limit"]), default=None)


def _require_room(need: Need | None, memory: int | None, where: str) -> None:
    """Refuse a run of which a step can't fit a worker, before anything is done."""
    if need is None or memory is None or need.bytes <= memory:
        return
    raise ConfigurationError(
        f"{need.title} needs {need.bytes / 1e9:.1f} GB on a worker, which has {memory / 1e9:.1f} GB.",
        where=where,
        hint="Use fewer or larger workers (`--workers`, or `memory` in the profile).",
    )
