"""Several runs of one study at once: each scan is one run's, and the products are those of a single run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dlif_core.errors import ExitCode
from dlif_core.phantom import write_cohort
from dlif_core.store import Store, open_store

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(1500)]

STUDY = {
    "name": "shared",
    "data": "bids",
    "input_functions": {"arterial": {}},
    "kinetics": [{"model": "patlak", "t_star": 15}],
}
SCANS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shared")
    write_cohort(root / "bids", SCANS, seed=5, voxel_size=2.5)
    return root


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, str]:
    """Digests of the products of a run of the whole study by one process."""
    study = write_study(folder, "undisturbed")
    done = start(study, "--shard", "1/1")
    assert done.wait(300) == ExitCode.SUCCESS
    return contents(study)


def write_study(folder: Path, name: str, **changes: object) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(STUDY | {"output": f"out-{name}"} | changes))
    return path


def start(study: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", study.name, *options],
        cwd=study.parent,
        env=os.environ | {"PREFECT_HOME": str(study.parent / f"prefect-{time.monotonic_ns()}"), "COLUMNS": "300"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def store_of(study: Path) -> Store:
    return open_store(str(study.parent / f"out-{study.stem}"))


def contents(study: Path) -> dict[str, str]:
    return {name: marker.content for name, marker in store_of(study).products().items()}


def wait_until(condition: Callable[[], bool], seconds: float = 400.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def claimed(study: Path) -> bool:
    return any((study.parent / f"out-{study.stem}" / ".claims" / "parts").glob("scans/*"))


@pytest.mark.parametrize("options", [(), ("--shard", "1/1")], ids=["prefect", "alone"])
def test_a_second_run_is_refused_with_the_name_of_the_first(
    folder: Path, expected: dict[str, str], options: tuple[str, ...]
) -> None:
    study = write_study(folder, f"twice-{len(options)}")
    first = start(study, *options)
    wait_until(lambda: claimed(study))
    second = start(study, *options)
    _, said = second.communicate(timeout=300)
    assert second.returncode == ExitCode.STORE, said
    assert f"process {first.pid}" in said
    assert "Traceback" not in said
    out, errors = first.communicate(timeout=300)
    assert first.returncode == ExitCode.SUCCESS, out + errors
    assert contents(study) == expected
    assert store_of(study).products("failures") == {}
    assert store_of(study).folder.files(".claims") == []


def test_runs_that_draw_share_a_study_although_one_is_killed(folder: Path, expected: dict[str, str]) -> None:
    study = write_study(folder, "drawn")
    runs = [start(study, "--draw") for _ in range(3)]
    wait_until(lambda: claimed(study) and bool(workers_of(runs[0].pid)))
    runs[0].send_signal(signal.SIGKILL)
    said = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [-signal.SIGKILL, ExitCode.SUCCESS, ExitCode.SUCCESS], said
    finished = [
        line.split(" ", 1)[1].split(": success")[0] for line in "".join(said).splitlines() if ": success" in line
    ]
    assert len(set(finished)) == len(finished), "a step was done twice"
    last = start(study, "--cohort-only")
    assert last.wait(300) == ExitCode.SUCCESS
    assert contents(study) == expected


def test_the_exit_code_is_that_of_the_scans_that_were_drawn(folder: Path, tmp_path: Path) -> None:
    """The scan that can't be used is another run's: this one has nothing to do with it."""
    data = tmp_path / "bids"
    write_cohort(data, 2, seed=5, voxel_size=2.5)
    (data / "sub-m01" / "pet" / "sub-m01_pet.nii.gz").write_bytes(b"spoilt")
    bad, good = (write_study(tmp_path, name, output="out", scans=[scan]) for name, scan in BY_SCAN.items())
    both = write_study(tmp_path, "both", output="out")
    assert start(good, "--draw").wait(300) == ExitCode.SUCCESS
    assert start(bad, "--draw").wait(300) == ExitCode.NOTHING_SUCCEEDED
    assert start(both, "--draw").wait(300) == ExitCode.SUCCESS, "nothing was left to draw"
    assert start(both, "--cohort-only").wait(300) == ExitCode.PARTIAL
    assert start(both, "--draw").wait(300) == ExitCode.SUCCESS, "the study is up to date"


BY_SCAN = {"bad": "sub-m01", "good": "sub-m02"}


def test_a_terminated_run_gives_its_scan_back(folder: Path, expected: dict[str, str]) -> None:
    study = write_study(folder, "terminated")
    run = start(study, "--draw")
    wait_until(lambda: claimed(study))
    time.sleep(1.0)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGTERM
    assert not claimed(study)
    whole = start(study, "--shard", "1/1")
    assert whole.wait(300) == ExitCode.SUCCESS
    assert contents(study) == expected


def test_a_worker_that_is_killed_is_replaced(folder: Path, expected: dict[str, str]) -> None:
    study = write_study(folder, "worker")
    run = start(study, "--shard", "1/1")
    wait_until(lambda: bool(workers_of(run.pid)))
    time.sleep(1.0)
    for pid in workers_of(run.pid):
        os.kill(pid, signal.SIGKILL)
    out, errors = run.communicate(timeout=300)
    assert run.returncode == ExitCode.SUCCESS, out + errors
    assert contents(study) == expected
    assert "failed" not in errors


def workers_of(pid: int) -> list[int]:
    import psutil

    found = psutil.Process(pid).children()
    return [child.pid for child in found if "spawn_main" in " ".join(child.cmdline())]


def test_options_that_exclude_each_other(folder: Path) -> None:
    refused = start(write_study(folder, "refused"), "--draw", "--cohort-only")
    assert refused.wait(60) == ExitCode.CONFIGURATION
