"""A storage that goes away in the middle of a run is waited for, and what comes of the run is the same."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlif_core.errors import StoreError
from dlif_core.store import open_store
from tests.platform.s3 import S3Server
from tests.platform.s3_study import dlif, require_same, upload, write_study

pytestmark = pytest.mark.slow

OUTAGE_S = 60.0
PATIENCE_S = 240.0


def begin(study: str, home: Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", study, "--workers", "1"],
        env=os.environ | {"PREFECT_HOME": str(home / "prefect")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_a_product(uri: str, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if open_store(uri).products():
                return
        except StoreError:
            pass  # there is none yet
        time.sleep(0.2)
    pytest.fail(f"no product within {PATIENCE_S:g} s")


@pytest.fixture
def study(s3_folder: str, tmp_path: Path) -> str:
    write_study(tmp_path, 1)
    upload(tmp_path, s3_folder)
    return f"{s3_folder}/study.yaml"


def test_a_run_waits_for_a_storage_that_comes_back(s3_server: S3Server, study: str, tmp_path: Path) -> None:
    output = study.replace("study.yaml", "results")
    process = begin(study, tmp_path)
    wait_for_a_product(output, process)
    s3_server.kill()
    time.sleep(OUTAGE_S)
    s3_server.start()
    told, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, told
    assert "The storage does not answer" in told
    assert "The storage answers again" in told
    assert "Traceback" not in told
    assert dlif("run", tmp_path / "study.yaml", "--shard", "1/1", home=tmp_path).returncode == 0
    require_same(output, str(tmp_path / "results"))


def test_a_run_ends_when_the_storage_stays_away(s3_server: S3Server, study: str, tmp_path: Path) -> None:
    output = study.replace("study.yaml", "results")
    process = begin(study, tmp_path, DLIF_STORAGE_WAIT="8")
    wait_for_a_product(output, process)
    s3_server.kill()
    try:
        told, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        s3_server.start()
    assert process.returncode == 4, told
    assert "no storage answers" in told
    assert "Traceback" not in told
