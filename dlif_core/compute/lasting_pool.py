"""Worker processes of this program that are replaced when they are killed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import active_children
from typing import Any, Self, TypeVar

from dlif_core.compute.pool import open_pool

Result = TypeVar("Result")


class LastingPool(Executor):
    """Worker processes as `open_pool` starts them; after one was killed, all of them are started anew.

    What they had in work then fails with `BrokenProcessPool` and may be given again.

    Parameters
    ----------
    workers
        Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Give work to a process that is free."""
        if self._pool is None:
            self._pool = self._stack.enter_context(open_pool(self._workers))
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool:
            self._stack.close()
            self._pool = None
            return self.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when their work is done."""
        if self._pool is not None:
            self._pool.shutdown(wait, cancel_futures=cancel_futures)
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):  # an interrupt doesn't wait for what is in work
            for process in active_children():
                process.terminate()
        self.shutdown(cancel_futures=kind is not None)
