"""A damaged product of one scan takes no other scan out of the cohort, is told, and is made again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from dlif_core.errors import ExitCode
from tests.unit.study.test_checking import add_scan

pytestmark = pytest.mark.slow

SUBJECTS = ("sub-01", "sub-02", "sub-03")
DAMAGED = "results/scans/sub-02.zarr"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for subject in SUBJECTS:
        add_scan(tmp_path / "bids", subject)
    fits = [{"model": "suv", "window": [20, 45], "maps": False}]
    inputs: dict[str, object] = {"population": {}}
    content = {"name": "a", "data": "bids", "output": "results", "input_functions": inputs, "kinetics": fits}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "study.yaml"


def dlif(verb: str, study: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", verb, str(study), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def table(study: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(study.parent / "results" / "cohort" / f"{name}.tsv", sep="\t", keep_default_na=False)


def spoilt(path: Path) -> None:
    """Bytes in the middle are others."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle - 200 : middle + 200] = bytes(400)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("product", "damage"), [("source", Path.unlink), ("kinetics/suv/regions", spoilt)], ids=["lost", "spoilt"]
)
def test_the_cohort_is_made_of_the_others(study: Path, product: str, damage) -> None:
    assert dlif("run", study, "--shard", "1/1").returncode == ExitCode.SUCCESS
    sound = table(study, "region_parameters")
    assert set(sound["scan_id"]) == set(SUBJECTS)
    damage(study.parent / DAMAGED / product / "data.zarr.zip")
    shutil.rmtree(study.parent / "results" / "cohort")

    done = dlif("run", study, "--cohort-only")
    assert done.returncode == ExitCode.PARTIAL, done.stdout + done.stderr
    others = table(study, "region_parameters")
    assert others.equals(sound[sound["scan_id"] != "sub-02"].reset_index(drop=True))
    index = table(study, "index").set_index("scan_id")
    assert index["status"].to_dict() == {"sub-01": "success", "sub-02": "failed", "sub-03": "success"}
    assert f"{product} was damaged" in index.loc["sub-02", "reason"]

    status = json.loads(dlif("status", study, "--json").stdout)
    [told] = [scan for scan in status if scan["scan"] == "sub-02"]
    assert told["status"] == "failed"
    assert any(f"{product} was damaged" in reason for reason in told["reasons"])

    assert dlif("run", study, "--shard", "1/1").returncode == ExitCode.SUCCESS
    assert table(study, "region_parameters").equals(sound)
    assert set(table(study, "index")["status"]) == {"success"}
    assert "Everything is up to date" in dlif("run", study, "--shard", "1/1").stdout
