"""A real Prefect server: what a run of the cohort flow leaves there, also when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlif_core.phantom import write_cohort
from dlif_core.study.config import load_study
from dlif_core.study.plan import open_study_store
from dlif_core.study.runs import last_run
from tests.prefect_server import PrefectServer, prefect_server, running

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with prefect_server(tmp_path_factory.mktemp("server")) as started:
        yield started


def study_of(folder: Path, name: str, mice: int) -> Path:
    write_cohort(folder / "bids", mice, seed=2, voxel_size=3.0)
    study = folder / "study.yaml"
    fits = [{"model": "patlak", "t_star": 15, "maps": False}]
    inputs: dict[str, Any] = {"arterial": {}}
    content = {"name": name, "data": "bids", "output": "out", "input_functions": inputs, "kinetics": fits}
    study.write_text(yaml.safe_dump(content))
    return study


def run_command(study: Path) -> list[str]:
    return [sys.executable, "-m", "flows.cli", "run", str(study), "--workers", "1"]


def run(server: PrefectServer, study: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | server.environment
    return subprocess.run(run_command(study), env=environment, capture_output=True, text=True, check=False)


def runs_of(server: PrefectServer, name: str) -> list[dict[str, Any]]:
    """Flow runs of a study, the earliest first."""
    return sorted((one for one in server.query("flow_runs") if one["name"] == name), key=lambda one: one["created"])


def tasks_of(server: PrefectServer, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = server.query("task_runs", flow_runs={"id": {"any_": [run["id"]]}})
    return {task["name"]: task["state"] for task in found}


def test_a_run_leaves_named_states_its_log_and_artifacts(server: PrefectServer, tmp_path: Path) -> None:
    study = study_of(tmp_path, "told", 3)
    (tmp_path / "bids" / "sub-m02" / "pet" / "sub-m02_pet.json").write_text("{")
    (tmp_path / "out" / "scans").mkdir(parents=True)
    in_the_way = tmp_path / "out" / "scans" / "sub-m03.zarr"
    in_the_way.write_text("in the way")
    done = run(server, study)
    assert done.returncode == 5

    [flow_run] = runs_of(server, "told")
    page = f"{server.environment['PREFECT_API_URL'].removesuffix('/api')}/runs/flow-run/{flow_run['id']}"
    assert f"Flow run: {page}\n" in done.stdout
    assert flow_run["state_type"] == "COMPLETED"
    assert flow_run["state_name"] == "PartialSuccess"
    assert "3 of 3 scans worked on; now 1 success, 1 excluded, 1 failed" in flow_run["state"]["message"]
    assert set(flow_run["tags"]) >= {"dlif", "study:told"}
    tasks = server.wait_for(lambda: len(found := tasks_of(server, flow_run)) == 4 and found, "the tasks", 30)
    assert {name: state["name"] for name, state in tasks.items()} == {
        "sub-m01": "Completed",
        "sub-m02": "Excluded",
        "sub-m03": "Failed",
        "cohort": "Completed",
    }
    assert "sub-m02_pet.json" in tasks["sub-m02"]["message"]
    assert "sub-m03 ingest" in tasks["sub-m03"]["message"]

    logs = server.wait_for(lambda: server.query("logs", logs={"flow_run_id": {"any_": [flow_run["id"]]}}), "logs", 30)
    lines = {line["message"]: line for line in logs if line["name"].startswith("dlif_core")}
    [regions] = [line for text, line in lines.items() if text.startswith("sub-m01 regions patlak: success")]
    assert regions["task_run_id"]
    artifacts = {artifact["key"]: artifact for artifact in server.query("artifacts")}
    assert set(artifacts) >= {"told-cohort", "told-progress", "told-dask", "told-report"}
    table = artifacts["told-cohort"]["data"]
    assert table.index("sub-m03") < table.index("sub-m01")  # what needs attention comes first
    assert "sub-m02_pet.json" in table
    assert artifacts["told-progress"]["data"] == 100


def test_ingest_reads_only_and_more_scans_than_a_batch_are_runs_below_the_run(
    server: PrefectServer, tmp_path: Path
) -> None:
    study = study_of(tmp_path, "read", 2)
    code = "import flows.study_run; flows.study_run.BATCH = 1; from flows.ingest import ingest; ingest({!r}, workers=1)"
    command = [sys.executable, "-c", code.format(str(study))]
    done = subprocess.run(command, env=os.environ | server.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [flow_run] = runs_of(server, "read")
    assert flow_run["state_name"] == "Completed"
    assert "2 of 2 scans worked on; now 2 incomplete" in flow_run["state"]["message"]
    below = [one for one in server.query("flow_runs") if one["name"].startswith("scans ")]
    assert {one["name"] for one in below} == {"scans 1 to 1 of 2", "scans 2 to 2 of 2"}
    assert {name for one in below for name in tasks_of(server, one)} == {"sub-m01", "sub-m02"}
    store = open_study_store(load_study(study))
    assert {name.rsplit("/", 1)[-1] for name in store.products()} == {"source"}


def test_nothing_succeeded_is_a_failed_run(server: PrefectServer, tmp_path: Path) -> None:
    study = study_of(tmp_path, "nothing", 1)
    (tmp_path / "bids" / "sub-m01" / "pet" / "sub-m01_pet.json").write_text("{")
    assert run(server, study).returncode == 6
    [flow_run] = runs_of(server, "nothing")
    assert flow_run["state_type"] == "FAILED"
    assert "now 1 excluded" in flow_run["state"]["message"]


def test_a_killed_run_does_not_stay_running(server: PrefectServer, tmp_path: Path) -> None:
    study = study_of(tmp_path, "killed", 2)
    with running(run_command(study), tmp_path / "run.log", server.environment) as process:
        server.wait_for(lambda: runs_of(server, "killed"), "a run")
        server.wait_for(lambda: (tmp_path / "out" / "scans").is_dir(), "the first scan")
        process.send_signal(signal.SIGKILL)
        process.wait()
    store = open_study_store(load_study(study))
    record = last_run(store)
    assert record is not None
    assert record.is_dead
    status = subprocess.run(
        [sys.executable, "-m", "flows.cli", "status", str(study)], capture_output=True, text=True, check=False
    )
    assert status.stdout.splitlines()[-1].startswith("Last run: ")
    assert ", cohort, Killed: process" in status.stdout
    [killed] = runs_of(server, "killed")
    assert killed["state_type"] == "RUNNING"  # nobody could tell the server

    assert run(server, study).returncode == 0
    first, second = runs_of(server, "killed")
    assert (first["state_type"], second["state_type"]) == ("CRASHED", "COMPLETED")
    assert "was killed" in first["state"]["message"]
    assert not [state for state in tasks_of(server, first).values() if state["type"] in ("RUNNING", "PENDING")]
    record = last_run(store)
    assert record is not None
    assert (record.state, record.message) == ("Completed", second["state"]["message"])


def test_work_on_a_gpu_takes_a_turn_of_the_limit_where_there_is_one(server: PrefectServer) -> None:
    code = """
from prefect.client.orchestration import get_client
from tasks.steps import GPU_LIMIT, _gpus_are_limited, _turn
with get_client(sync_client=True) as client:
    assert not _gpus_are_limited()
    with _turn({"GPU": 1.0}):
        pass
    _gpus_are_limited.cache_clear()
    client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, 2)
    busy = lambda: client.read_global_concurrency_limit_by_name(GPU_LIMIT).active_slots
    with _turn({"GPU": 1.0}), _turn(None):
        assert busy() == 1
    assert busy() == 0
"""
    environment = os.environ | server.environment
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
