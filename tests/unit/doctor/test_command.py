"""`dlif doctor` on the command line: what it prints, and with which exit code it ends."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dlif_core.errors import ExitCode
from flows.cli import app
from tests.unit.ingest.bids.dataset import make_dataset
from tests.unit.study.test_config import study_file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_dataset(tmp_path / "bids")
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm
    return tmp_path


def test_all_is_told_and_nothing_is_wrong(folder: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", str(study_file(folder))])
    assert done.exit_code == 0, done.output
    for words in ("python", "as needed", "scan at", "created once", "not on this machine", "as they were committed"):
        assert words in done.stdout


def test_json_holds_the_remedies_and_the_exit_code_is_that_of_the_fault(folder: Path) -> None:
    (folder / "out").write_text("")
    done = CliRunner().invoke(app, ["doctor", str(study_file(folder)), "--json"])
    assert done.exit_code == ExitCode.STORE
    told = json.loads(done.stdout)
    assert told["sound"] is False
    wrong = [one for one in told["found"] if one["health"] == "fault"]
    assert {one["probe"] for one in wrong} == {"storage", "results"}
    assert all(one["remedy"] for one in wrong)
