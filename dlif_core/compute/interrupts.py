"""Interrupts from the keyboard (Ctrl-C), which a terminal sends to a program and to all processes that it started."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def shielded() -> Iterator[None]:
    """Processes and threads that are started in this block receive no interrupts from the keyboard.

    The program alone is interrupted, and ends them in order. An interrupt within the block is delivered at its end.
    """
    if sys.platform == "win32":
        yield
        return
    # It unblocks the signal in the thread that starts it, and would be started by the first process.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
