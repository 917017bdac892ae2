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
from tests.platform.postgres import Postgres
from tests.platform.slurm import Slurm
from tests.prefect_server import PrefectServer, prefect_server, running

pytestmark = pytest.mark.timeout(900)

POOLS = Path(__file__).parents[2] / "deployments" / "work-pools"
#: Makes a notification block, as people do in the UI for e-mail or a chat.
BLOCK = """
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
Block(name="team", url={!r}, json_data={{"state": "notified", "message": "{{{{body}}}}"}}).save("team")
"""
#: Registers the alarm of runs that lost their process with a shorter patience than `dlif deploy prefect` has.
SILENCE = """
from datetime import timedelta
from prefect.client.orchestration import get_client
from flows.alarms import register_alarms
with get_client(sync_client=True) as client:
    list(register_alarms(client, "", "", silence=timedelta(seconds=45)))
"""
SECRET = "not-to-be-told"


@pytest.fixture(scope="module")
def three_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "bids"
    write_cohort(folder, 3, seed=2, voxel_size=3.0)
    return folder


def write_study(folder: Path, name: str, data: Path, *scans: str) -> Path:
    """A study of some scans of the cohort, which has no analysis that takes long."""
    bids = folder / "bids"
    for path in data.iterdir():
        if not path.name.startswith("sub-"):
            shutil.copytree(path, bids / path.name) if path.is_dir() else shutil.copy(path, bids)
    for scan in scans:
        shutil.copytree(data / scan, bids / scan)
    study = folder / "study.yaml"
    content = {
        "name": name,
        "data": "bids",
        "output": "out",
        "input_functions": {"arterial": {}},
        "kinetics": [{"model": "patlak", "t_star": 15, "maps": False}],
    }
    study.write_text(yaml.safe_dump(content))
    return study


def dlif(server: PrefectServer, *arguments: str, **variables: str) -> str:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    environment = os.environ | server.environment | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def worker(server: PrefectServer, pool: str = "dlif-process") -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    environment = server.environment | {"PREFECT_WORKER_QUERY_SECONDS": "3"}
    with running(command, server.folder / "worker.log", environment) as process:
        yield process


def runs_of(server: PrefectServer, name: str) -> list[dict[str, Any]]:
    """Runs of a study that began, the earliest first."""
    runs = [run for run in server.query("flow_runs") if f"study:{name}" in run["tags"] and run["start_time"]]
    return sorted(runs, key=lambda run: str(run["start_time"]))


def cron_runs(server: PrefectServer, name: str) -> list[dict[str, Any]]:
    """Those that cron made and that ended well."""
    return [run for run in runs_of(server, name) if run["auto_scheduled"] and run["state_type"] == "COMPLETED"]


def start(server: PrefectServer, name: str, *options: str) -> None:
    """Start a run of a deployment by hand."""
    command = [sys.executable, "-m", "prefect", "deployment", "run", f"cohort/{name}", *options]
    subprocess.run(command, env=os.environ | server.environment, check=True, capture_output=True)


def of_run(server: PrefectServer, what: str, run: dict[str, Any]) -> list[dict[str, Any]]:
    if what == "logs":
        return server.query(what, logs={"flow_run_id": {"any_": [run["id"]]}})
    return server.query(what, flow_runs={"id": {"any_": [run["id"]]}})


def tasks_of(server: PrefectServer, run: dict[str, Any]) -> dict[str, str]:
    return {task["name"]: task["state_name"] for task in of_run(server, "task_runs", run)}


@pytest.fixture(scope="module")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with prefect_server(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[PrefectServer]:
    database = {"PREFECT_API_DATABASE_CONNECTION_URL": postgres.new_database("prefect")}
    with prefect_server(tmp_path_factory.mktemp("server"), **database) as started:
        yield started


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_cron_makes_a_run_that_does_exactly_the_scan_that_was_added(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, three_scans: Path
) -> None:
    server: PrefectServer = request.getfixturevalue(f"{database}_server")
    study = write_study(tmp_path, "night", three_scans, "sub-m01", "sub-m02")
    with ThreadPoolExecutor(1) as executor:
        run_shard(load_study(study), executor)
    shutil.copytree(three_scans / "sub-m03", tmp_path / "bids" / "sub-m03")
    said = dlif(server, "deploy", "prefect", str(study), "--cron", "* * * * *")
    assert "deployment cohort/night-nightly: * * * * * UTC" in said
    with worker(server):
        run, *_ = server.wait_for(lambda: cron_runs(server, "night"), "a run that cron made")
    server.pause()
    assert run["state_name"] == "Completed"
    assert "1 of 3 scans worked on; now 3 success" in run["state"]["message"]
    tasks = server.wait_for(lambda: len(found := tasks_of(server, run)) == 2 and found, "both tasks", 20)
    assert tasks == {"sub-m03": "Completed", "cohort": "Completed"}
    assert set(run["tags"]) >= {"dlif", "study:night"}
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


def test_runs_that_are_late_or_killed_or_have_failures_are_told(
    sqlite_server: PrefectServer, tmp_path: Path, three_scans: Path, receiver: Receiver
) -> None:
    server = sqlite_server
    study = write_study(tmp_path, "told", three_scans, "sub-m01", "sub-m02")
    block = [sys.executable, "-c", BLOCK.format(receiver.url.partition("?")[0])]
    subprocess.run(block, env=os.environ | server.environment, check=True, capture_output=True)
    deploy = ["deploy", "prefect", str(study), "--notify", "custom-webhook/team"]
    first = dlif(server, *deploy, DLIF_ALARM_WEBHOOK=receiver.url)
    again = dlif(server, *deploy, DLIF_ALARM_WEBHOOK=receiver.url)
    assert "made" in first
    assert "made" not in again
    assert SECRET not in first + again + json.dumps(server.query("automations"))

    def told(state: str) -> list[dict[str, str]]:
        return [one for one in receiver.told if one["state"] == state]

    for _ in range(3):  # as three nights without a worker leave them
        start(server, "told")
    server.wait_for(lambda: told("Late"), "the alarm of a late run")
    with worker(server):
        [record] = server.wait_for(lambda: list((tmp_path / "out").glob(".runs/*.json")), "the first run")
        os.kill(json.loads(record.read_text())["owner"]["pid"], signal.SIGKILL)
        server.wait_for(lambda: told("Crashed"), "the alarm of a killed run")
        in_the_way = tmp_path / "out" / "scans" / "sub-m02.zarr"
        shutil.rmtree(in_the_way, ignore_errors=True)
        in_the_way.parent.mkdir(exist_ok=True)
        in_the_way.write_text("no folder")
        start(server, "told")
        server.wait_for(lambda: told("PartialSuccess"), "the alarm of a run with a failure")
    states = {run["state_name"]: run for run in runs_of(server, "told")}
    assert set(states) == {"Crashed", "Cancelled", "PartialSuccess"}
    cancelled = [one for one in runs_of(server, "told") if one["state_type"] == "CANCELLED"]
    assert len(cancelled) == 2  # one run makes up for all nights
    [partial] = told("PartialSuccess")
    assert "now 1 success, 1 failed" in partial["message"]
    assert partial["url"].endswith(states["PartialSuccess"]["id"])
    assert any(partial["message"] in one["message"] for one in told("notified"))
    assert tasks_of(server, states["PartialSuccess"])["sub-m02"] == "Failed"
    assert SECRET not in json.dumps([server.query("logs"), server.query("flow_runs"), server.query("block_documents")])


@pytest.mark.parametrize("name", sorted(path.stem for path in POOLS.iterdir()))
def test_the_server_takes_the_templates_of_work_pools(sqlite_server: PrefectServer, name: str) -> None:
    kind = {"slurm": "process"}.get(name, name)
    command = [sys.executable, "-m", "prefect", "work-pool", "create", name, "--type", kind]
    template = ["--base-job-template", str(POOLS / f"{name}.json")]
    environment = os.environ | sqlite_server.environment
    done = subprocess.run([*command, *template], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [pool] = [one for one in sqlite_server.query("work_pools") if one["name"] == name]
    assert pool["base_job_template"] == json.loads((POOLS / f"{name}.json").read_text())


def test_a_run_whose_machine_is_gone_becomes_crashed(
    sqlite_server: PrefectServer, tmp_path: Path, three_scans: Path
) -> None:
    """Nobody is left who could tell, and no other run follows: the server misses the signs of life."""
    server = sqlite_server
    study = write_study(tmp_path, "gone", three_scans, "sub-m01", "sub-m02")
    alarm = [sys.executable, "-c", SILENCE]
    subprocess.run(alarm, env=os.environ | server.environment, check=True, capture_output=True)
    command = [sys.executable, "-m", "flows.cli", "run", str(study), "--workers", "1"]
    environment = server.environment | {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    with running(command, tmp_path / "run.log", environment) as process:
        [run] = server.wait_for(lambda: runs_of(server, "gone"), "the run")
        server.wait_for(lambda: tasks_of(server, run), "its first task")
        process.kill()
        process.wait()

    def state() -> str:
        return str(runs_of(server, "gone")[0]["state_type"])

    assert state() == "RUNNING"
    server.wait_for(lambda: state() == "CRASHED", "the end of the run")


def test_a_run_is_a_slurm_job(sqlite_server: PrefectServer, slurm: Slurm, tmp_path: Path, three_scans: Path) -> None:
    server = sqlite_server
    study = write_study(tmp_path, "job", three_scans, "sub-m01")
    said = dlif(server, "deploy", "prefect", str(study), "--pool", "slurm")
    assert "prefect worker start --pool dlif-slurm --type process" in said
    before = set(slurm.jobs())
    start(server, "job", *chosen({"directives": "--cpus-per-task=1 --mem=3000", "python": sys.executable}))
    with worker(server, "dlif-slurm"):
        [run] = server.wait_for(lambda: [one for one in runs_of(server, "job") if one["end_time"]], "the run")
    assert run["state_name"] == "Completed", run["state"]
    [job] = set(slurm.jobs()) - before
    assert slurm.job(job)["JobName"] == "dlif"
    assert (tmp_path / "out" / "cohort" / "report.html").exists()


def chosen(variables: dict[str, str]) -> list[str]:
    return [part for name, value in variables.items() for part in ("--job-variable", f"{name}={value}")]
