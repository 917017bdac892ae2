"""Claims: every part has one run at a time, whoever tries, dies, sleeps or comes back."""

import dataclasses
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from dlif_core.store import Store, create_store, open_store
from dlif_core.store.claims import Claims

PARTS = [f"scans/sub-{number:02}" for number in range(24)]
QUICK = {"renewal": 0.1, "patience": 0.6}


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dlif_core.store.claims", "pytest"])
    return context


@pytest.fixture
def claims(store: Store) -> Iterator[Claims]:
    with Claims(store.folder, **QUICK) as mine:
        yield mine


def far(store: Store) -> Claims:
    """Claims of a run on another machine: whether its process lives isn't known here."""
    other = Claims(store.folder, **QUICK)
    other._owner = dataclasses.replace(other._owner, host="node7", pid=4711, user="anna")
    return other


def runs(store: Store) -> list[str]:
    """Runs that have signed in; a file that is being written has another name for a moment."""
    return [name for name in store.folder.files(".claims/runs") if not name.startswith(".")]


def stop(other: Claims) -> None:
    """The machine of a run breaks down: no more signs of life, nothing is given back."""
    other._ended.set()
    other._thread.join()


def test_a_file_is_created_once(store: Store) -> None:
    assert store.folder.create("place/file", b"first")
    assert not store.folder.create("place/file", b"second")
    assert store.folder.read("place/file") == b"first"
    assert store.folder.files("place") == ["file"]


def test_a_file_that_finds_no_room_leaves_nothing(tmp_path: Path) -> None:
    folder = create_store(str(tmp_path / "results")).folder
    before = folder.files("")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        for write in (folder.write, folder.create):
            with pytest.raises(OSError, match="File too large"):
                write("place/file", bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert folder.files("") == before


def test_a_part_has_one_run(store: Store, claims: Claims) -> None:
    assert claims.take("cohort") is None
    assert claims.take("cohort") is None
    with Claims(store.folder) as other:
        owner = other.take("cohort")
        assert owner is not None
        assert owner.pid == os.getpid()
        assert f"process {os.getpid()}" in str(owner)
        claims.give_back("cohort")
        assert not claims.has("cohort")
        assert other.take("cohort") is None
    assert claims.taken() == frozenset()


def test_claims_of_dead_runs_are_cleared_and_those_of_living_ones_stay(store: Store, claims: Claims) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = Claims(store.folder)
    dead._owner = dataclasses.replace(dead._owner, pid=ended.pid)
    with far(store) as elsewhere, Claims(store.folder) as here:
        dead._sign_in()
        for number, run in enumerate((dead, elsewhere, here, claims)):
            run.take(PARTS[number])
        store.folder.write(f".claims/parts/{PARTS[4]}", b"")
        claims.clear_dead(PARTS[:6])
        assert claims.taken() == set(PARTS[1:4])
        assert len(runs(store)) == 3


def test_a_run_killed_when_all_was_done_is_forgotten_by_the_next(store: Store) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = Claims(store.folder)
    dead._owner = dataclasses.replace(dead._owner, pid=ended.pid)
    for claimed in (PARTS[:2], []):
        dead._sign_in()
        for part in claimed:
            dead.take(part)
        assert store.folder.files(".claims")
        with far(store) as living:
            living.take(PARTS[5])
            Claims.clear_traces(store.folder)
            assert living.taken() == {PARTS[5]}
            assert len(runs(store)) == 1
    assert store.folder.files(".claims") == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"owner": {"host": "a"}, "beat": 1}', b"\xff\x00"])
def test_a_run_of_which_nothing_can_be_read_is_given_its_time(store: Store, claims: Claims, content: bytes) -> None:
    other = far(store)
    with other:
        other.take(PARTS[0])
        stop(other)
        store.folder.write(f".claims/runs/{other._run}", content)
        assert claims.take(PARTS[0]) is not None, "it may be alive"
        claims.wait_for_signs_of_life([PARTS[0]])
        assert claims.take(PARTS[0]) is None
        assert len(runs(store)) == 1


def test_a_run_that_ends_leaves_nothing(store: Store) -> None:
    with Claims(store.folder) as mine:
        for part in PARTS:
            assert mine.take(part) is None
        assert mine.taken() == set(PARTS)
    assert store.folder.files(".claims") == []


def test_a_live_run_elsewhere_keeps_its_parts(store: Store, claims: Claims) -> None:
    with far(store) as other:
        other.take("cohort")
        claims.wait_for_signs_of_life(["cohort"])
        owner = claims.take("cohort")
        assert owner is not None
        assert (owner.user, owner.host, owner.pid) == ("anna", "node7", 4711)
        assert other.has("cohort")


def test_a_dead_run_elsewhere_is_taken_over_by_one(store: Store, claims: Claims) -> None:
    other = far(store).__enter__()
    other.take("cohort")
    stop(other)
    assert claims.take("cohort") is not None, "it may be alive"
    claims.wait_for_signs_of_life(["cohort"])
    with Claims(store.folder) as third:
        assert sorted([claims.take("cohort") is None, third.take("cohort") is None]) == [False, True]
    claims.give_back("cohort")
    assert claims.take("cohort") is None


def test_a_run_that_slept_knows_that_it_lost_its_parts(store: Store, claims: Claims) -> None:
    sleeper = far(store).__enter__()
    sleeper.take("cohort")
    sleeper.take("scans/sub-01")
    stop(sleeper)
    claims.take("cohort")
    claims.wait_for_signs_of_life(["cohort"])
    assert claims.take("cohort") is None
    assert not sleeper.has("cohort")
    assert not sleeper.has("scans/sub-01")
    sleeper.give_back("cohort")
    assert claims.has("cohort")
    assert claims.take("scans/sub-01") is None


def test_time_in_which_nobody_looked_does_not_count(store: Store, claims: Claims) -> None:
    with far(store) as other:
        other.take("cohort")
        assert claims.take("cohort") is not None
        time.sleep(QUICK["patience"] * 1.5)
        assert claims.take("cohort") is not None


def test_a_job_that_slurm_started_again_takes_over_at_once(
    store: Store, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    other = far(store)
    other._owner = dataclasses.replace(other._owner, job="12")
    with other:
        other.take("cohort")
        assert claims.take("cohort") is not None
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        assert claims.take("cohort") is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"run": "gone"}'])
def test_a_claim_that_was_cut_off_holds_nobody_up(store: Store, claims: Claims, content: bytes) -> None:
    store.folder.write(".claims/parts/cohort", content)
    assert claims.take("cohort") is None
    claims.give_back("cohort")
    assert claims.taken() == frozenset()


def test_threads_that_draw_get_every_part_once(store: Store) -> None:
    runs = [Claims(store.folder) for _ in range(8)]
    drawn: Counter[str] = Counter()

    def draw(run: Claims) -> None:
        with run:
            barrier.wait()
            drawn.update(part for part in PARTS if run.take(part) is None)
            barrier.wait()

    barrier = threading.Barrier(len(runs))
    threads = [threading.Thread(target=draw, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == Counter(PARTS)


def work(uri: str, seed: int) -> None:
    """Draw parts and write who had each of them when, until all are done."""
    chance = random.Random(seed)
    folder = open_store(uri).folder
    with Claims(folder) as mine:
        while left := [part for part in PARTS if not folder.exists(f"done/{part}")]:
            part = chance.choice(left)
            if mine.take(part) is not None:
                continue
            if not folder.exists(f"done/{part}"):
                began = time.monotonic()
                time.sleep(chance.uniform(0, 0.1))
                folder.write(f"log/{part}/{seed}-{began}", json.dumps([began, time.monotonic()]).encode())
                folder.write(f"done/{part}", b"")
            mine.give_back(part)


@pytest.mark.service
@pytest.mark.parametrize("seed", range(3))
def test_killed_processes_lose_no_part_and_share_none(tmp_path: Path, processes: ForkServerContext, seed: int) -> None:
    store, chance = create_store(str(tmp_path)), random.Random(seed)
    started = [processes.Process(target=work, args=(store.uri, number)) for number in range(6)]
    for process in started:
        process.start()
    for process in started[:4]:
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
    for process in started:
        process.join(60)
        assert process.exitcode is not None
    assert {process.exitcode for process in started} == {0, -signal.SIGKILL}
    assert [name for name in store.folder.files("done") if "/." not in name] == PARTS
    for part in PARTS:
        logs = [f"log/{part}/{name}" for name in store.folder.files(f"log/{part}") if not name.startswith(".")]
        spans = sorted(json.loads(store.folder.read(log)) for log in logs)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        assert spans
