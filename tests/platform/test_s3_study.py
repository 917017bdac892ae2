"""The whole main job in a bucket: study file, data, results and models."""

import json
from pathlib import Path

import pytest

from dlif_core.networks.bundle.folder import SHIPPED
from dlif_core.store import open_store
from tests.platform.s3 import S3Server
from tests.platform.s3_study import dlif, require_same, upload, write_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study that was run on this machine."""
    folder = tmp_path_factory.mktemp("local")
    done = dlif("run", write_study(folder), "--shard", "1/1", home=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_study_in_a_bucket_gives_the_products_of_a_local_one(
    s3_server: S3Server, local: Path, tmp_path: Path
) -> None:
    place = s3_server.uri("whole")
    study = f"{place}/study.yaml"
    upload(local / "bids", f"{place}/bids")
    upload(local / "study.yaml", study)
    checked = dlif("check", study, home=tmp_path)
    assert checked.returncode == 0, checked.stderr
    planned = dlif("plan", study, "--json", home=tmp_path)
    assert {step["state"] for step in json.loads(planned.stdout)} == {"run"}
    done = dlif("run", study, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" or "Unclosed" not in done.stderr
    assert "Ki against the simulated truth" in done.stdout
    require_same(f"{place}/results", str(local / "results"))
    again = dlif("run", study, home=tmp_path)
    assert "Everything is up to date." in again.stdout
    assert f"{place}/results/cohort/report.html" in dlif("report", study, home=tmp_path).stdout
    states = json.loads(dlif("status", study, "--json", home=tmp_path).stdout)
    assert {one["status"] for one in states} == {"success"}
    verified = dlif("doctor", study, home=tmp_path)
    count = len(open_store(f"{place}/results").products())
    assert f"{count} of {count} products are as they were committed" in verified.stdout


def test_a_study_file_is_begun_in_a_bucket_and_not_overwritten(s3_folder: str, tmp_path: Path) -> None:
    study = f"{s3_folder}/mice.yaml"
    assert dlif("init", study, home=tmp_path).returncode == 0
    again = dlif("init", study, home=tmp_path)
    assert again.returncode == 2
    assert again.stderr.splitlines() == [
        f"Error: {study}: this file exists already; it was not changed. Give another name, or delete it first."
    ]


def test_a_model_in_a_bucket_is_used_from_a_copy(s3_folder: str, tmp_path: Path) -> None:
    place = f"{s3_folder}/models/mouse"
    upload(SHIPPED / "mouse", place)
    shown = dlif("model", "show", place, "--json", home=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["digest"] == json.loads((SHIPPED / "mouse" / "model.json").read_text())["digest"]
    used = dlif("model", "use", place, home=tmp_path, DLIF_MODELS=str(tmp_path / "models"))
    assert used.returncode == 0, used.stderr
    missing = dlif("model", "show", f"{s3_folder}/none", home=tmp_path)
    assert missing.returncode == 2
    assert "there is no model" in missing.stderr
