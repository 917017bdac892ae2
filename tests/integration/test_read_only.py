"""A folder of results that may not be written: one line that names it and the exit code of the store."""

import subprocess
import sys
from pathlib import Path

import pytest

from dlif_core.errors import ExitCode
from tests.read_only import read_only
from tests.unit.study.test_checking import add_scan

STUDY = """
name: small
data: bids
output: results
input_functions: {population: {}}
kinetics: [{model: suv, window: [20, 45], maps: false}]
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for subject in ("sub-01", "sub-02"):
        add_scan(tmp_path / "bids", subject)
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "results").mkdir()
    return tmp_path / "study.yaml"


def dlif(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def assert_refused(done: subprocess.CompletedProcess[str]) -> None:
    told = done.stderr.strip().splitlines()
    assert (done.returncode, done.stdout) == (ExitCode.STORE, "")
    assert len(told) == 1
    assert "Read-only file system" in told[0]
    assert "results" in told[0]


@pytest.mark.parametrize("arguments", [("plan",), ("run", "--shard", "1/1"), ("run",)], ids=" ".join)
def test_an_empty_folder(study: Path, arguments: tuple[str, ...]) -> None:
    with read_only(study.parent / "results"):
        assert_refused(dlif(arguments[0], str(study), *arguments[1:]))


@pytest.mark.parametrize("options", [("--shard", "1/1"), ("--draw",), ("--cohort-only",)], ids=" ".join)
def test_results_that_are_there_are_read_but_not_written(study: Path, options: tuple[str, ...]) -> None:
    assert dlif("plan", str(study)).returncode == 0
    with read_only(study.parent / "results"):
        done = dlif("run", str(study), *options)
        planned = dlif("plan", str(study))
    assert_refused(done)
    assert planned.returncode == 0


def test_results_that_are_complete_are_told(study: Path) -> None:
    before = dlif("run", str(study), "--shard", "1/1")
    with read_only(study.parent / "results"):
        again = dlif("run", str(study), "--shard", "1/1")
        status = dlif("status", str(study))
    assert before.returncode == again.returncode == status.returncode
    assert (again.stderr, status.stderr) == ("", "")
