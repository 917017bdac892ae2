"""Runs that cron makes, on a Prefect server with SQLite and with PostgreSQL: deployed, worked on, watched, alarmed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlif_core.phantom import write_cohort
from dlif_core.study.config import load_study
from flows.serial import run_shard
from tests.prefect_server import PrefectServer, prefect_server, running

pytestmark = pytest.mark.timeout(900)

NAME = "mice"
SECRET = "not-to-be-told"


@pytest.fixture(scope="module")
def three_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "bids"
    write_cohort(folder, 3, seed=2, voxel_size=3.0)
    return folder


def write_study(folder: Path, data: Path, *scans: str) -> Path:
    """A study of some scans of the cohort, which has no analysis that takes long."""
    bids = folder / "bids"
    for path in data.iterdir():
        if not path.name.startswith("sub-"):
            shutil.copytree(path, bids / path.name) if path.is_dir() else shutil.copy(path, bids)
    for scan in scans:
        shutil.copytree(data / scan, bids / scan)
    study = folder / "study.yaml"
    content = {
        "name": NAME,
        "data": "bids",
        "output": "out",
        "input_functions": {"arterial": {}},
        "kinetics": [{"model": "patlak", "t_star": 15, "maps": False}],
    }
    study.write_text(yaml.safe_dump(content))
    return study


def dlif(server: PrefectServer, *arguments: str) -> str:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    done = subprocess.run(command, env=os.environ | server.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def worker(server: PrefectServer) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "dlif-process", "--type", "process"]
    environment = server.environment | {"PREFECT_WORKER_QUERY_SECONDS": "3"}
    with running(command, server.folder / "worker.log", environment) as process:
        yield process


def cron_runs(server: PrefectServer) -> list[dict[str, Any]]:
    """Runs of the deployment with the schedule that cron made and that ended, the earliest first."""
    ended = [run for run in server.query("flow_runs") if run["auto_scheduled"] and run["state_type"] == "COMPLETED"]
    return sorted(ended, key=lambda run: run["start_time"])


def of_run(server: PrefectServer, what: str, run: dict[str, Any]) -> list[dict[str, Any]]:
    if what == "logs":
        return server.query(what, logs={"flow_run_id": {"any_": [run["id"]]}})
    return server.query(what, flow_runs={"id": {"any_": [run["id"]]}})


def tasks_of(server: PrefectServer, run: dict[str, Any]) -> dict[str, str]:
    return {task["name"]: task["state_name"] for task in of_run(server, "task_runs", run)}


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PrefectServer]:
    settings = {}
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database("prefect")
        settings["PREFECT_API_DATABASE_CONNECTION_URL"] = url
    with prefect_server(tmp_path, **settings) as started:
        yield started


def test_cron_makes_a_run_that_does_exactly_the_scan_that_was_added(
    server: PrefectServer, tmp_path: Path, three_scans: Path
) -> None:
    study = write_study(tmp_path, three_scans, "sub-m01", "sub-m02")
    with ThreadPoolExecutor(1) as executor:
        run_shard(load_study(study), executor)
    shutil.copytree(three_scans / "sub-m03", tmp_path / "bids" / "sub-m03")
    said = dlif(server, "deploy", "prefect", str(study), "--cron", "* * * * *")
    assert f"deployment cohort/{NAME}-nightly: * * * * * UTC" in said
    with worker(server):
        run, *_ = server.wait_for(lambda: cron_runs(server), "a run that cron made")
    assert run["state_name"] == "Completed"
    assert "1 scans worked on; 3 scans: 3 success" in run["state"]["message"]
    tasks = server.wait_for(lambda: len(found := tasks_of(server, run)) == 2 and found, "both tasks", 20)
    assert tasks == {"sub-m03": "Completed", "cohort": "Completed"}
    assert set(run["tags"]) >= {"dlif", f"study:{NAME}"}
    lines = [line["message"] for line in of_run(server, "logs", run) if line["name"].startswith("dlif_core")]
    assert any(line.startswith("sub-m03 ingest: success") for line in lines)
    assert not any(line.startswith("sub-m01") for line in lines)


class Receiver:
    """What a webhook was told, on this machine."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alarm?token={SECRET}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def sqlite_server(tmp_path: Path) -> Iterator[PrefectServer]:
    with prefect_server(tmp_path) as started:
        yield started


def test_runs_that_are_late_or_killed_or_have_failures_are_told(
    sqlite_server: PrefectServer, tmp_path: Path, three_scans: Path, receiver: Receiver
) -> None:
    server = sqlite_server
    study = write_study(tmp_path, three_scans, "sub-m01", "sub-m02")
    first = dlif(server, "deploy", "prefect", str(study), "--webhook", receiver.url)
    again = dlif(server, "deploy", "prefect", str(study), "--webhook", receiver.url)
    assert "made" in first
    assert "made" not in again
    assert SECRET not in first + again + json.dumps(server.query("automations"))

    def told(state: str) -> list[dict[str, str]]:
        return [one for one in receiver.told if one["state"] == state]

    def start() -> None:
        command = [sys.executable, "-m", "prefect", "deployment", "run", f"cohort/{NAME}"]
        subprocess.run(command, env=os.environ | server.environment, check=True, capture_output=True)

    start()
    server.wait_for(lambda: told("Late"), "the alarm of a late run")
    with worker(server):
        [record] = server.wait_for(lambda: list((tmp_path / "out").glob(".runs/*.json")), "the first run")
        (tmp_path / "out" / "scans").mkdir(exist_ok=True)
        (tmp_path / "out" / "scans" / "sub-m02.zarr").write_text("in the way")
        os.kill(json.loads(record.read_text())["owner"]["pid"], signal.SIGKILL)
        server.wait_for(lambda: told("Crashed"), "the alarm of a killed run")
        start()
        server.wait_for(lambda: told("PartialSuccess"), "the alarm of a run with a failure")
    states = {run["state_name"]: run for run in server.query("flow_runs") if run["state_type"] != "SCHEDULED"}
    assert set(states) == {"Crashed", "PartialSuccess"}
    [partial] = told("PartialSuccess")
    assert "2 scans: 1 success, 1 failed" in partial["message"]
    assert partial["url"].endswith(states["PartialSuccess"]["id"])
    assert tasks_of(server, states["PartialSuccess"])["sub-m02"] == "Failed"
    assert SECRET not in json.dumps([server.query("logs"), server.query("flow_runs"), server.query("block_documents")])
