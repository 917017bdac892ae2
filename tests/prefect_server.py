"""A real Prefect server for tests, with a database of its own, and processes beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ports import free_ports

PATIENCE = 400.0


@contextmanager
def running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is stopped by its pid at the end of the block."""
    with log.open("ab") as stream:
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


class PrefectServer:
    """A server that runs, as its clients see it.

    Attributes
    ----------
    environment
        Variables with which programs use the server.
    """

    def __init__(self, folder: Path, environment: dict[str, str], process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.environment = environment
        self._process = process

    def query(self, what: str, **filters: Any) -> list[dict[str, Any]]:
        """What the server knows: ``flow_runs``, ``task_runs``, ``artifacts``, ``logs`` …"""
        found: list[dict[str, Any]] = []
        url = f"{self.environment['PREFECT_API_URL']}/{what}/filter"
        while True:
            response = httpx.post(url, json=filters | {"offset": len(found)}, timeout=20)
            response.raise_for_status()
            found += response.json()
            if len(response.json()) < 200:
                return found

    def pause(self) -> None:
        """Make no more runs by schedules."""
        for one in self.query("deployments"):
            url = f"{self.environment['PREFECT_API_URL']}/deployments/{one['id']}/pause_deployment"
            httpx.post(url, timeout=20).raise_for_status()

    def wait_for(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Wait until a condition gives something; fails if the server ends or it takes too long."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := condition():
                return found
            time.sleep(0.5)
        logs = "\n".join(f"{path}:\n{path.read_text(errors='replace')[-3000:]}" for path in self.folder.glob("*.log"))
        pytest.fail(f"{what} did not come within {patience:g} s; server ended with {self._process.poll()}\n{logs}")


@contextmanager
def prefect_server(folder: Path, **settings: str) -> Iterator[PrefectServer]:
    """Start a server, with SQLite in the folder unless a setting names another database."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    } | settings
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, folder / "server.log", environment) as process:
        server = PrefectServer(folder, environment, process)
        server.wait_for(lambda: _is_up(url), "the Prefect server")
        yield server


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
