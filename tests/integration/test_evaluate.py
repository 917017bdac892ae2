"""`dlif evaluate` and its flow, from the command to the tables."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dlif_core.errors import ExitCode

METHODS = ("population", "image-derived")


def dlif(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_two_scans_from_the_command_to_the_tables(tmp_path: Path) -> None:
    asked = ("evaluate", "--methods", ",".join(METHODS), "--scans", "2", "--output", "out")
    done = dlif(*asked, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content == json.loads((tmp_path / "out" / "summary.json").read_text())
    values = {
        row["method"]: row["value"]
        for row in content["figures"]
        if row["figure"] == "rmse" and row["condition"] == "standard"
    }
    assert set(values) == set(METHODS)
    records = pd.read_csv(tmp_path / "out" / "evaluation.tsv", sep="\t", na_values="n/a")
    assert len(records) == 5 * 2 * len(METHODS)
    for method, value in values.items():
        own = records[(records["method"] == method) & (records["condition"] == "standard")]
        assert value == pytest.approx(own["rmse"].median(), rel=1e-4)

    assert records.groupby("condition")["site"].nunique().to_dict() == dict.fromkeys(records["condition"].unique(), 2)

    shown = dlif(*asked, folder=tmp_path)
    assert "whole-blood RMSE, median" in shown.stdout
    assert (tmp_path / "out" / "evaluation.md").read_text().startswith("# Evaluation")


def test_a_wrong_method_is_one_clear_line(tmp_path: Path) -> None:
    shown = dlif("evaluate", "--methods", "populatoin", folder=tmp_path)
    assert shown.returncode == ExitCode.CONFIGURATION
    assert "Did you mean 'population'?" in shown.stderr
    assert "Traceback" not in shown.stderr


FLOW = """
from prefect.artifacts import Artifact
from prefect.testing.utilities import prefect_test_harness
from flows.evaluate import evaluate
with prefect_test_harness(server_startup_timeout=240):
    evaluate("flow", methods=("population",), scans=1)
    page = Artifact.get("evaluation").data
open("page.md", "w").write(page)
"""


@pytest.mark.service
@pytest.mark.slow
def test_the_flow_leaves_the_same_tables_and_an_artifact(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FLOW], cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.md").read_text() == (tmp_path / "flow" / "evaluation.md").read_text()
    command = dlif("evaluate", "--methods", "population", "--scans", "1", "--output", "command", folder=tmp_path)
    assert command.returncode == 0, command.stderr
    flow, line = (
        pd.read_csv(tmp_path / folder / "evaluation.tsv", sep="\t").drop(columns="seconds")
        for folder in ("flow", "command")
    )
    pd.testing.assert_frame_equal(flow, line)
