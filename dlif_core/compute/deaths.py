"""Why a worker died of a piece of work, as far as Dask knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlif_core.errors import WorkerDiedError
from dlif_core.shown import counted

if TYPE_CHECKING:
    import distributed

#: Under this name a nanny tells the scheduler that it ended its worker for its memory.
_FOR_MEMORY = "worker-restart-memory"


def explained(client: distributed.Client, fault: distributed.KilledWorker, times: int) -> WorkerDiedError:
    """The error for people: the memory that was wanted and there, if that was the cause.

    Parameters
    ----------
    client
        Client of the cluster.
    fault
        What Dask says.
    times
        How many workers died.
    """
    worker = fault.last_worker
    wanted = _memory_at_the_end(client, worker.address)
    if wanted is None:
        return WorkerDiedError(
            f"the worker died {counted(times, 'time')} on this step.",
            hint="Its log says more: that of the job, or of the machine (`dmesg` where the system ended it for its "
            "memory).",
        )
    return WorkerDiedError(
        f"this scan needs more memory than a worker has: {wanted / 1e9:.1f} GB and rising when it was ended, against "
        f"{worker.memory_limit / 1e9:.1f} GB.",
        hint="Use fewer or larger workers.",
    )


def _memory_at_the_end(client: distributed.Client, address: str) -> int | None:
    """Memory of a worker when its nanny ended it for that [bytes]; None if it died of something else."""
    events: tuple[tuple[float, Any], ...] = client.get_events(_FOR_MEMORY)
    return next((int(event["rss"]) for _, event in reversed(events) if event["worker"] == address), None)
