"""Processes that write to a local store together, and processes that are killed while they publish."""

import multiprocessing
import os
import random
import signal
import sys
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dlif_core.errors import StoreError
from dlif_core.store import Fingerprint, Store, blocks, create_store, open_store
from dlif_core.store.arrays import write_shard

pytestmark = pytest.mark.service

SOURCE = "scans/sub-01.zarr/source"
SHAPE, SHARDS, CHUNKS = (2, 64, 32, 32), (2, 16, 16, 32), (2, 16, 16, 16)
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["dlif_core.store.arrays", "dask.array", "pytest"]
    )  # xarray imports dask at its first array
    return context


def publish(store: Store, version: int) -> None:
    staging = store.stage(SOURCE)
    staging.write_dataset(xr.Dataset({"version": ("copy", np.full(50, version))}))
    staging.publish(Fingerprint({"version": str(version)}))


def publish_for_ever(uri: str, version: int, begun: Connection) -> None:
    store = open_store(uri)
    while True:
        version += 1
        publish(store, version)
        begun.send(version)


def publish_and_die(uri: str, version: int, steps: int) -> None:
    """Be killed just before a given change of a file in the store; exit with 0 if there are fewer."""
    left = [steps]

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in CHANGES or (writes and uri in str(arguments[0])):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    store = open_store(uri)
    staging = store.stage(SOURCE)
    staging.write_dataset(xr.Dataset({"version": ("copy", np.full(50, version))}))
    sys.addaudithook(count)
    staging.publish(Fingerprint({"version": str(version)}))


def visible_version(store: Store) -> int:
    """Version of the one complete product; nothing of another may be left anywhere."""
    store.verify(SOURCE)
    values = np.unique(store.open_dataset(SOURCE)["version"])
    marker = store.marker(SOURCE)
    assert marker is not None
    assert values.tolist() == [int(marker.parts["version"])]
    assert not list(Path(store.uri, ".staging").iterdir())
    return int(values[0])


def kill(process: ForkServerProcess) -> None:
    process.kill()
    process.join()


def test_a_process_killed_at_a_random_moment_loses_nothing(tmp_path: Path, processes: ForkServerContext) -> None:
    store, chance = create_store(str(tmp_path)), random.Random(7)
    publish(store, 0)
    committed = 0
    for _ in range(15):
        begun, there = processes.Pipe(duplex=False)
        process = processes.Process(target=publish_for_ever, args=(store.uri, committed, there))
        process.start()
        assert begun.poll(60)
        time.sleep(chance.uniform(0, 0.1))
        kill(process)
        store.sweep()
        found = visible_version(store)
        assert found >= committed
        committed = found
    assert committed > 15, "the processes were killed before they published anything"


def test_a_process_killed_at_any_step_of_the_publication_loses_nothing(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    store = create_store(str(tmp_path))
    publish(store, 0)
    seen = []
    for step in range(1, 200):
        process = processes.Process(target=publish_and_die, args=(store.uri, step, step))
        process.start()
        process.join()
        store.sweep()
        seen.append(visible_version(store))
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert process.exitcode == 0, "more steps than were tried"
    assert {0, step} < set(seen), "neither side of the commit was tried"
    assert seen == sorted(seen)


def publish_slowly(uri: str, parent: Connection) -> None:
    staging = open_store(uri).stage(SOURCE)
    parent.send("begun")
    parent.recv()
    staging.write_dataset(xr.Dataset({"version": ("copy", np.full(50, 1))}))
    staging.publish(Fingerprint({"version": "1"}))


def test_a_live_process_is_not_disturbed(tmp_path: Path, processes: ForkServerContext) -> None:
    store = create_store(str(tmp_path))
    child, there = processes.Pipe()
    process = processes.Process(target=publish_slowly, args=(store.uri, there))
    process.start()
    assert child.recv() == "begun"
    assert store.sweep() == ()
    for disturb in (store.stage, store.delete):
        with pytest.raises(StoreError, match=f"process {process.pid} is writing"):
            disturb(SOURCE)
    child.send("go on")
    process.join()
    assert visible_version(store) == 1


def write_my_shards(uri: str, share: int, of: int) -> None:
    image = make_image()
    for region in blocks(SHAPE, SHARDS)[share::of]:
        write_shard(uri, "activity", region, image[region])


def make_image() -> np.ndarray:
    return np.random.default_rng(3).normal(size=SHAPE).astype("float32")


def test_several_processes_fill_one_array(tmp_path: Path, processes: ForkServerContext) -> None:
    store = create_store(str(tmp_path))
    staging = store.stage(SOURCE)
    staging.create_array("activity", shape=SHAPE, shards=SHARDS, chunks=CHUNKS, dims=("frame", "z", "y", "x"))
    workers = [processes.Process(target=write_my_shards, args=(staging.uri, share, 3)) for share in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    staging.publish(Fingerprint({}))
    np.testing.assert_array_equal(store.open_array(SOURCE, "activity")[:], make_image())


def test_a_shard_that_cannot_be_read_back_stops_the_publication(tmp_path: Path) -> None:
    store = create_store(str(tmp_path))
    staging = store.stage(SOURCE)
    staging.create_array("activity", shape=SHAPE, shards=SHARDS, chunks=CHUNKS, dims=("frame", "z", "y", "x"))
    write_my_shards(staging.uri, 0, 1)
    *_, last = (path for path in Path(staging.uri, "activity", "c").rglob("*") if path.is_file())
    last.write_bytes(last.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match="can't be read back"):
        staging.publish(Fingerprint({}))
    assert store.marker(SOURCE) is None
