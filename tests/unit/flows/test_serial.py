"""A run without Prefect when workers are killed or storage fails."""

import errno
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
import yaml

import flows.serial
from dlif_core.errors import StorageError
from dlif_core.phantom import write_cohort
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.plan import open_study_store
from dlif_core.study.status import study_status
from flows.serial import run_shard


class Faulty(Executor):
    """Workers that end with given faults before they work."""

    def __init__(self, *faults: Exception) -> None:
        self._faults = list(faults)
        self._sound = ThreadPoolExecutor(1)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if not self._faults:
            return self._sound.submit(fn, *args, **kwargs)
        future: Future[Any] = Future()
        future.set_exception(self._faults.pop(0))
        return future


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serial") / "bids"
    write_cohort(folder, 1, seed=5, voxel_size=2.5)
    return folder


@pytest.fixture
def study(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudyConfig]:
    monkeypatch.setattr(flows.serial, "_PAUSES_S", (0.0, 0.0))
    path = tmp_path / "study.yaml"
    kinetics = [{"model": "patlak", "t_star": 15, "maps": False}]
    content = {"name": "serial", "data": str(data), "output": "out", "input_functions": {"arterial": {}}}
    path.write_text(yaml.safe_dump(content | {"kinetics": kinetics}))
    config = load_study(path)
    yield config
    assert open_study_store(config).folder.files(".claims") == []


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def killed() -> BrokenProcessPool:
    return BrokenProcessPool("a worker ended abruptly")


@pytest.mark.parametrize("faults", [[full(), full()], [killed(), killed()]], ids=["disk", "worker"])
def test_a_fault_that_passes_leaves_no_trace(study: StudyConfig, faults: list[Exception]) -> None:
    run_shard(study, Faulty(*faults))
    assert [str(scan.status) for scan in study_status(study).scans] == ["success"]


def test_storage_that_stays_full_ends_the_run_and_blames_no_scan(study: StudyConfig) -> None:
    with pytest.raises(StorageError, match="No space left"):
        run_shard(study, Faulty(full(), full(), full()))
    assert open_study_store(study).products("failures") == {}


def test_a_file_that_its_disk_cant_read_is_the_fault_of_its_scan_where_results_can_be_stored(
    study: StudyConfig,
) -> None:
    run_shard(study, Faulty(*(OSError(errno.EIO, os.strerror(errno.EIO)) for _ in range(3))))
    (scan,) = study_status(study).scans
    assert str(scan.status) == "failed"
    assert "Input/output error" in scan.reasons[0]


def test_a_step_that_kills_its_workers_fails_with_a_reason(study: StudyConfig) -> None:
    run_shard(study, Faulty(killed(), killed(), killed()))
    (scan,) = study_status(study).scans
    assert str(scan.status) == "failed"
    assert "killed 3 times" in scan.reasons[0]
    assert "Ask for more memory" in scan.reasons[0]
