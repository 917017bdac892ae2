"""Worker processes of this program, without Dask."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process

from dask.system import CPU_COUNT

from dlif_core.networks.training.scan_work import Mapper, Result, in_turn

#: Environment of workers, for the C library's memory. Dask has workers give freed memory back to the system at once;
#: fits allocate and free arrays of some MB so often that they would spend much of their time on it. With these numbers
#: [bytes] freed arrays stay with the worker, never more than it once had in use, and its threads, of which only one
#: computes, share one pool.
WORKER_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": 1 << 25,
    "MALLOC_TRIM_THRESHOLD_": 1 << 28,
    "MALLOC_ARENA_MAX": 1,
}


@contextmanager
def open_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Start worker processes of this program, without a Dask cluster, in `WORKER_ENVIRONMENT`.

    Parameters
    ----------
    workers
        Number of processes; each begins when it first has work.
    """
    before = dict(os.environ)
    os.environ |= {name: str(value) for name, value in WORKER_ENVIRONMENT.items()}
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin) as executor:
            yield executor
    finally:
        for name in WORKER_ENVIRONMENT:
            os.environ.pop(name)
        os.environ |= {name: before[name] for name in WORKER_ENVIRONMENT if name in before}


def _begin() -> None:
    """Prepare a worker to end: at an interrupt, without a traceback of each; and with the program, if that is killed.

    Workers of a killed program would wait for work for ever, with its output and its memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interrupt from the keyboard reaches the workers too
    threading.Thread(target=_end_with_the_program, daemon=True).start()


def _end_with_the_program() -> None:
    if program := parent_process():
        program.join()
        os._exit(1)


@contextmanager
def open_mapper(workers: int | None = None) -> Iterator[Mapper]:
    """Start worker processes that do the same work for many numbers; one worker is this process itself.

    Parameters
    ----------
    workers
        Number of processes, one thread each; by default one for each core that this program may use.
    """
    workers = workers or CPU_COUNT
    if workers == 1:
        yield in_turn
        return
    with open_pool(workers) as executor:

        def mapped(work: Callable[[int], Result], count: int) -> Iterator[Result]:
            for packed in executor.map(partial(_packed, work), range(count)):
                yield pickle.loads(packed)  # pickled by our own process

        yield mapped


def _packed(work: Callable[[int], object], number: int) -> bytes:
    """The result in bytes: tensors handed over as they are would each keep a file open."""
    import torch

    torch.set_num_threads(1)
    return pickle.dumps(work(number))
