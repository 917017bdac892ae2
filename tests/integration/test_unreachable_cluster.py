"""A cluster that can't be had is refused before Prefect is started, and an interrupt ends the wait for one."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

from dlif_core.errors import ExitCode
from tests.unit.study.test_checking import add_scan

#: Fails as soon as Prefect is imported.
WITHOUT_PREFECT = """
import sys
sys.modules["prefect"] = None
from flows.cli import main
main()
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    add_scan(tmp_path / "bids", "sub-01")
    fits = [{"model": "suv", "window": [20, 45], "maps": False}]
    content = {"name": "a", "data": "bids", "output": "out", "input_functions": {"population": {}}, "kinetics": fits}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "study.yaml"


@pytest.fixture
def silent() -> Iterator[str]:
    """Address at which somebody listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def endless() -> Iterator[str]:
    """Address at which somebody begins to speak and never ends, so that a client waits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[socket.socket] = []

        def begin() -> None:
            with suppress(OSError):
                while True:
                    heard.append(listener.accept()[0])
                    heard[-1].send(b"x")

        threading.Thread(target=begin, daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for each in heard:
            each.close()


@pytest.fixture
def nobody() -> str:
    """Address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def refused(study: Path, *options: str) -> str:
    command = [sys.executable, "-c", WITHOUT_PREFECT, "run", str(study), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (ExitCode.CONFIGURATION, ""), done.stderr
    [told] = done.stderr.strip().splitlines()
    return told


def test_nobody_listens(study: Path, nobody: str) -> None:
    assert f"{nobody}: no Dask scheduler answers there: Connection refused" in refused(study, "--cluster", nobody)


def test_what_listens_is_no_scheduler(study: Path, silent: str) -> None:
    assert f"{silent}: what listens there is no Dask scheduler" in refused(study, "--cluster", silent)


def test_the_host_is_unknown(study: Path) -> None:
    assert "no Dask scheduler answers there" in refused(study, "--cluster", "tcp://nowhere.invalid:8786")


def test_credentials_are_missing(study: Path, silent: str) -> None:
    assert "there are no credentials" in refused(study, "--cluster", silent.replace("tcp", "tls"))


def test_a_profile_is_wrong(study: Path, nobody: str) -> None:
    profile = study.parent / "cluster.yaml"
    profile.write_text(yaml.safe_dump({"kind": "local", "workers": True}))
    study.write_text(study.read_text() + f"cluster: {profile}\n")
    assert "workers: a number belongs here" in refused(study)


def test_slurm_is_not_there(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = study.parent / "cluster.yaml"
    cpu = {"cores": 1, "memory": "8 GB", "walltime": "1 h", "jobs": 1}
    profile.write_text(yaml.safe_dump({"kind": "slurm", "cpu": cpu}))
    monkeypatch.setenv("PATH", str(study.parent))
    assert "no Slurm on this machine" in refused(study, "--cluster", str(profile))


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["the server starts", "the client connects"])
def test_an_interrupt_ends_the_wait_and_leaves_no_server(
    study: Path, endless: str, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is left keeps the output open, so that who reads it waits for ever."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    command = [sys.executable, "-m", "flows.cli", "run", str(study), "--cluster", endless]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        server = server_of(running)
        if moment == "the client connects":
            assert running.stdout
            assert "asks for no credentials" in running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        told, _ = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert "Interrupted. Finished steps are kept" in told
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def server_of(running: subprocess.Popen[str]) -> psutil.Process:
    """The server that a run has started."""
    while running.poll() is None:
        for child in psutil.Process(running.pid).children():
            with suppress(psutil.Error):
                if "uvicorn" in child.cmdline():
                    return child
        time.sleep(0.05)
    raise AssertionError(f"it ended: {running.returncode}")
