"""Work on a cluster ends with a result or an error that a person understands, whatever becomes of its workers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml

from dlif_core.compute.cluster import open_client
from dlif_core.errors import ClusterError, ConfigurationError, WorkerDiedError

pytestmark = [pytest.mark.service, pytest.mark.slow]


@dataclass(frozen=True)
class Need:
    title: str
    bytes: int


def profile(folder: Path, **content: object) -> str:
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture
def bare_scheduler(tmp_path: Path) -> Iterator[str]:
    """Address of a scheduler without workers and without encryption, as `dask scheduler` starts it."""
    file = tmp_path / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not file.exists() or not (content := file.read_text()):
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        yield str(yaml.safe_load(content)["address"])
    finally:
        process.kill()
        process.wait()


def ended_by(reason: str) -> AbstractContextManager[object]:
    """For a block that opens a cluster which is lost for this reason."""
    return pytest.raises(ClusterError, match=reason)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlif_core.compute.watch._SAID_AFTER", 2.0)


def quick(number: int) -> int:
    return number


def deadly() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def greedy() -> None:
    """Take memory in steps that Dask's nanny has time to see."""
    taken = []
    while True:
        taken.append(np.ones(10_000_000))
        time.sleep(0.05)


@pytest.mark.usefixtures("impatient")
def test_a_scheduler_without_workers_is_noticed(
    bare_scheduler: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = profile(tmp_path, kind="address", address=bare_scheduler, give_up_after="6 s")
    with caplog.at_level(logging.WARNING, "dlif_core"), ended_by("no worker for 6 s"), open_client(chosen) as client:
        assert "no worker for 6 s" in str(client.executor().submit(quick, 1).exception(60))
    said = [record.getMessage() for record in caplog.records]
    assert any("asks for no credentials" in line for line in said)
    assert any(line.startswith("no worker for") for line in said)


def test_a_scheduler_that_goes_is_noticed(bare_scheduler: str, tmp_path: Path) -> None:
    port = int(bare_scheduler.rpartition(":")[2])
    listening = (c.pid for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == "LISTEN")
    process = next(pid for pid in listening if pid)
    with ended_by("connection"), open_client(bare_scheduler) as client:
        future = client.executor().submit(quick, 1)
        os.kill(process, signal.SIGKILL)
        assert isinstance(future.exception(120), ClusterError)


def test_all_workers_of_this_machine_killed_at_once_are_replaced() -> None:
    with open_client("local", 2) as client:
        executor = client.executor()
        futures = [executor.submit(time.sleep, 0.5) for _ in range(12)]
        time.sleep(0.7)
        for worker in client.run(os.getpid).values():
            os.kill(worker, signal.SIGKILL)
        assert [future.result(60) for future in futures] == [None] * 12


@pytest.mark.usefixtures("impatient")
def test_a_machine_whose_workers_die_again_and_again_ends_the_run(tmp_path: Path) -> None:
    stop = threading.Event()

    def kill_children() -> None:
        while not stop.wait(0.1):
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if "spawn_main" in " ".join(child.cmdline()):
                        child.kill()

    killer = threading.Thread(target=kill_children)
    chosen = profile(tmp_path, kind="local", workers=1, give_up_after="8 s")
    with ended_by("no worker for 8 s"), open_client(chosen) as client:
        killer.start()
        try:
            assert isinstance(client.executor().submit(time.sleep, 30).exception(60), ClusterError)
        finally:
            stop.set()
            killer.join()


def test_who_kills_its_worker_fails_and_those_beside_it_do_not() -> None:
    with open_client("local", 1) as client:  # one worker, so that all wait behind the deadly one
        executor = client.executor()
        bad = executor.submit(deadly)
        good = [executor.submit(quick, number) for number in range(5)]
        assert [future.result(120) for future in good] == [0, 1, 2, 3, 4]
        with pytest.raises(WorkerDiedError, match=r"the worker died [468] times on this step"):
            bad.result(120)
        assert executor.submit(quick, 7).result(60) == 7


def test_a_worker_that_runs_out_of_memory_is_explained_with_numbers(tmp_path: Path) -> None:
    with (
        open_client(profile(tmp_path, kind="local", workers=1, memory="700 MB")) as client,
        pytest.raises(WorkerDiedError, match=r"needs more memory than a worker has: 0\.[67] GB .* against 0\.7 GB"),
    ):
        client.executor().submit(greedy).result(200)


def test_a_step_that_fits_no_worker_is_refused_before_anything_starts(tmp_path: Path, bare_scheduler: str) -> None:
    need, small = Need("sub-01 maps", 5_200_000_000), profile(tmp_path, kind="local", workers=1, memory="2 GB")
    with pytest.raises(ConfigurationError, match=r"sub-01 maps needs 5\.2 GB on a worker, which has 2\.0 GB"):
        open_client(small, need=need).__enter__()
    command = [sys.executable, "-m", "distributed.cli.dask_worker", bare_scheduler, "--memory-limit", "3 GB"]
    process = subprocess.Popen([*command, "--no-dashboard"], stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        with open_client(bare_scheduler) as client:
            client.wait_for_workers(1, timeout=60)
        with pytest.raises(ConfigurationError, match=r"which has 3\.0 GB"):
            open_client(bare_scheduler, need=need).__enter__()
    finally:
        process.terminate()
        process.wait()


def test_what_listens_and_is_no_scheduler_is_told_within_seconds(tmp_path: Path) -> None:
    from dlif_core.compute.cluster import require_cluster

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ConfigurationError, match="no Dask scheduler"):
            require_cluster(address, None, None)
        assert time.monotonic() - began < 30.0
