"""A real Prefect server: the cohort flow runs on a schedule and leaves its artifacts."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from dlif_core.phantom import write_cohort

pytestmark = [pytest.mark.service, pytest.mark.slow]

PATIENCE = 240.0
SERVE = "from flows.cohort import cohort; cohort.serve(name='often', interval=15, parameters={parameters!r})"


def wait_for(condition: Callable[[], object], what: str, process: "subprocess.Popen[bytes]") -> object:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if found := condition():
            return found
        time.sleep(0.5)
    pytest.fail(f"{what} did not come within {PATIENCE:g} s (process ended with {process.poll()})")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=stream, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, dict[str, str], "subprocess.Popen[bytes]"]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, tmp_path / "server.log", **environment) as process:
        wait_for(lambda: is_up(url), "the Prefect server", process)
        yield url, environment, process


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def query(url: str, what: str) -> list[dict[str, object]]:
    response = httpx.post(f"{url}/{what}/filter", json={}, timeout=20)
    response.raise_for_status()
    return list(response.json())


def test_a_scheduled_run_completes_and_leaves_its_artifacts(
    tmp_path: Path, server: tuple[str, dict[str, str], "subprocess.Popen[bytes]"]
) -> None:
    url, environment, _ = server
    write_cohort(tmp_path / "bids", 1, seed=2, voxel_size=2.0)
    study = tmp_path / "study.yaml"
    fits = [{"model": "patlak", "t_star": 15, "maps": False}]
    study.write_text(yaml.safe_dump({"name": "nightly", "data": "bids", "output": "out", "kinetics": fits}))
    parameters = {"study": str(study), "workers": 1}
    serve = [sys.executable, "-c", SERVE.format(parameters=parameters)]

    def completed() -> list[dict[str, object]]:
        return [r for r in query(url, "flow_runs") if r["auto_scheduled"] and r["state_type"] == "COMPLETED"]

    with running(serve, tmp_path / "serve.log", **environment) as process:
        runs = wait_for(completed, "a completed scheduled run", process)
    assert runs
    keys = {artifact["key"]: artifact for artifact in query(url, "artifacts")}
    assert "nightly-cohort" in keys
    assert "sub-m01" in str(keys["nightly-cohort"]["data"])
    stages = {key: artifact["data"] for key, artifact in keys.items() if artifact["type"] == "progress"}
    expected = ("ingest", "input-function", "explanation", "regions", "report", "cohort")
    assert set(stages) == {f"nightly-{stage}-progress" for stage in expected}
    assert (tmp_path / "out" / "cohort" / "report.html").exists()
