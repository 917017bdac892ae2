"""The command line as a person meets it: help, first steps, errors, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from dlif_core.errors import ExitCode
from dlif_core.phantom import write_cohort

HEAVY = (
    "torch",
    "prefect",
    "dask",
    "distributed",
    "xarray",
    "zarr",
    "pandas",
    "numpy",
    "matplotlib",
    "nibabel",
    "lmfit",
)


def dlif(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_help_is_shown_at_once_because_nothing_heavy_is_imported() -> None:
    code = f"import flows.cli, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.slow
def test_first_steps(tmp_path: Path) -> None:
    write_cohort(tmp_path / "bids", 1, seed=4, voxel_size=2.0)
    assert dlif("init", "study.yaml", folder=tmp_path).returncode == 0
    again = dlif("init", "study.yaml", folder=tmp_path)
    assert again.returncode == ExitCode.CONFIGURATION
    assert "exists already" in again.stderr

    planned = dlif("plan", "study.yaml", "--json", folder=tmp_path)
    assert {step["state"] for step in json.loads(planned.stdout)} == {"run"}
    assert "A worker needs up to 0." in dlif("plan", "study.yaml", folder=tmp_path).stdout
    before = dlif("status", "study.yaml", "--json", folder=tmp_path)
    assert before.returncode == ExitCode.NOTHING_SUCCEEDED
    assert json.loads(before.stdout)[0]["status"] == "incomplete"

    done = dlif("run", "study.yaml", "--shard", "1/1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Ki against the simulated truth" in done.stdout
    nothing = dlif("run", "study.yaml", folder=tmp_path)
    assert "Everything is up to date." in nothing.stdout
    assert "products are as they were committed" in dlif("doctor", "study.yaml", folder=tmp_path).stdout
    (tmp_path / "results" / "cohort" / "index.tsv").write_text("changed by hand")
    checked = dlif("doctor", "study.yaml", folder=tmp_path)
    assert checked.returncode == ExitCode.STORE
    assert "cohort" in checked.stdout
    reports = dlif("report", "study.yaml", folder=tmp_path).stdout.split()
    assert [Path(report).name for report in reports] == ["report.html", "report.html"]
    assert all(Path(report).is_file() for report in reports)


@pytest.mark.parametrize(
    ("content", "arguments", "expected"),
    [
        ("name: a\ndata: nowhere\noutput: out\n", ("plan",), "nowhere"),
        ("name: a\ndata: empty\noutput: out\n", ("run",), "no PET-BIDS scan"),
        ("name: a\ndata: .\noutput: out\nkinetic: []\n", ("run",), "Did you mean 'kinetics'?"),
        ("name: [", ("status",), "not YAML"),
    ],
)
def test_a_wrong_study_is_one_clear_line(
    tmp_path: Path, content: str, arguments: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "study.yaml").write_text(content)
    shown = dlif(*arguments, "study.yaml", folder=tmp_path)
    assert shown.returncode in (ExitCode.CONFIGURATION, ExitCode.INPUT)
    assert expected in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_wrong_shard_is_refused(tmp_path: Path) -> None:
    write_cohort(tmp_path / "bids", 1, seed=4, voxel_size=3.0)
    dlif("init", "study.yaml", folder=tmp_path)
    shown = dlif("run", "study.yaml", "--shard", "3/2", folder=tmp_path)
    assert shown.returncode == ExitCode.CONFIGURATION
    assert "1/4" in shown.stderr


@pytest.mark.slow
@pytest.mark.service
def test_an_interrupted_run_ends_in_order(tmp_path: Path) -> None:
    """As a terminal does it: the program and every process that it started receive the signal."""
    write_cohort(tmp_path / "bids", 1, seed=4, voxel_size=2.0)
    dlif("init", "study.yaml", folder=tmp_path)
    command = [sys.executable, "-m", "flows.cli", "run", "study.yaml"]
    running = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_until((tmp_path / "results" / "scans" / "sub-m01.zarr" / "source").exists)
        os.killpg(running.pid, signal.SIGINT)
        _, said = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Interrupted. Finished steps are kept; `dlif run` resumes." in said
    assert "Traceback" not in said
    wait_until(lambda: not processes_of_group(running.pid))


def processes_of_group(group: int) -> list[psutil.Process]:
    """Processes of a group that still do something."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
