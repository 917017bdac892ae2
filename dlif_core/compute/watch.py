"""Watches over the workers of a cluster while there is work: says when there are none, and when to give up."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from typing import TYPE_CHECKING

from dlif_core.compute.kind import Started
from dlif_core.compute.work import Work
from dlif_core.errors import ClusterError

if TYPE_CHECKING:
    import distributed

_LOG = logging.getLogger(__name__)

#: Time between two looks, and time without workers before that is said [s].
_INTERVAL, _SAID_AFTER = 3.0, 30.0


class Watch:
    """A thread that looks after the workers.

    Parameters
    ----------
    client
        Client of the cluster.
    started
        The cluster.
    work
        What is being done there.
    give_up_after
        Time without workers after which all work ends with an error [s].
    """

    def __init__(self, client: distributed.Client, started: Started, work: Work, give_up_after: float) -> None:
        self._client = client
        self._started = started
        self._work = work
        self._give_up_after = give_up_after
        self._since: float | None = None
        self._said = False
        self._ended = threading.Event()
        context = contextvars.copy_context()  # in which a log record finds its flow run
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="watch over workers", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(min(_INTERVAL, self._give_up_after / 4)):
            try:
                self._look()
            except Exception:
                _LOG.exception("the workers could not be looked after")

    def _look(self) -> None:
        demand = self._work.demand()
        reason = self._started.keep(demand)
        lacking = ", ".join(sorted(name or "worker" for name in set(demand) - self._there()))
        if lacking:
            self._without(lacking, reason)
        elif self._said:
            _LOG.warning("there are workers again.")
        if not lacking:
            self._since, self._said = None, False

    def _there(self) -> set[str]:
        """Resources that a worker has now; an empty name for a worker as such."""
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        except (OSError, TimeoutError, RuntimeError):
            return set()
        return {name for worker in workers for name in ("", *worker["resources"])}

    def _without(self, lacking: str, reason: str) -> None:
        now = time.monotonic()
        self._since = self._since or now
        seconds = now - self._since
        why = f": {reason}" if reason else ""
        if seconds >= self._give_up_after:
            self._work.end(_given_up(lacking, self._give_up_after, why))
        elif seconds >= _SAID_AFTER and not self._said:
            self._said = True
            left = self._give_up_after - seconds
            _LOG.warning("no %s for %.0f s%s. The run ends if none comes within %.0f s.", lacking, seconds, why, left)


def _given_up(lacking: str, seconds: float, why: str) -> ClusterError:
    return ClusterError(
        f"there was no {lacking} for {seconds:.0f} s{why}.",
        where="cluster",
        hint="Start workers, or correct the profile, whose `give_up_after` says how long to wait; finished steps are "
        "kept, and `dlif run` resumes.",
    )
