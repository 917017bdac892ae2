"""Worker processes without a cluster."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from dlif_core.compute.pool import WORKER_ENVIRONMENT, open_mapper, open_pool
from dlif_core.errors import ConfigurationError
from dlif_core.networks.release.runs import reported
from dlif_core.networks.training.scan_work import Mapper, in_turn


def test_workers_begin_with_the_memory_settings_and_leave_none_behind(monkeypatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "3")
    before = dict(os.environ)
    with open_pool(1) as executor:
        found = {name: executor.submit(os.getenv, name).result() for name in WORKER_ENVIRONMENT}
    assert found == {name: str(value) for name, value in WORKER_ENVIRONMENT.items()}
    assert dict(os.environ) == before


def work(base: torch.Tensor, number: int) -> tuple[int, int, torch.Tensor]:
    return os.getpid(), torch.get_num_threads(), base * number


def refused(number: int) -> None:
    raise ConfigurationError(f"scan {number} has no blood.", where="scan", hint="Give some.")


@pytest.fixture(scope="module")
def mapper() -> Iterator[Mapper]:
    with open_mapper(2) as mapper:
        yield mapper


class TestMapper:
    def test_results_come_in_order_from_other_processes_of_one_thread(self, mapper):
        base = torch.arange(3.0)
        here, there = (list(one(partial(work, base), 7)) for one in (in_turn, mapper))
        for (_, _, expected), (process, threads, found) in zip(here, there, strict=True):
            assert torch.equal(found, expected)
            assert process != os.getpid()
            assert threads == 1

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no list of open files")
    def test_tensors_keep_no_file_open(self, mapper):
        before = len(os.listdir("/proc/self/fd"))
        kept = list(mapper(partial(work, torch.ones(1000)), 40))
        assert len(kept) == 40
        assert len(os.listdir("/proc/self/fd")) < before + 20

    def test_errors_for_people_come_through(self, mapper):
        with pytest.raises(ConfigurationError, match="scan 0 has no blood"):
            list(mapper(refused, 3))

    def test_one_worker_works_here(self):
        with open_mapper(1) as mapper:
            assert {process for process, *_ in mapper(partial(work, torch.ones(1)), 3)} == {os.getpid()}

    def test_results_are_counted_as_they_come(self):
        told: list[int] = []
        results = iter(reported(in_turn, lambda state: told.append(state.done), "scans")(str, 3))
        assert next(results) == "0"
        assert told == [1]
        assert list(results) == ["1", "2"]
        assert told == [1, 2, 3]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal here")
def test_workers_end_with_a_program_that_is_killed() -> None:
    """Also one that waits for work: nobody would ever end it, and it keeps the program's output open."""
    program = subprocess.Popen([sys.executable, "-c", HOLDS_A_POOL], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    workers = [psutil.Process(int(pid)) for pid in program.stdout.readline().split()]
    program.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    for worker in alive:
        worker.kill()
    assert len(workers) == 2
    assert not alive
    program.communicate()


HOLDS_A_POOL = """
import os
import time

from dlif_core.compute.pool import open_pool

if __name__ == "__main__":
    with open_pool(2) as pool:
        first = pool.submit(time.sleep, 3600)
        pids = {pool.submit(os.getpid).result()}
        pids |= set(pool._processes)
        print(*pids, flush=True)
        first.result()
"""
