"""What a run starts listens on this machine only: Prefect's server, Dask's scheduler, its workers and its dashboard."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dlif_core.phantom import write_cohort
from tests.unit.study.test_config import study_file

pytestmark = [pytest.mark.slow, pytest.mark.service]

LOCAL = ("127.0.0.1", "::1")
FITS = [{"model": "patlak", "t_star": 15, "maps": False}]


def listening(process: psutil.Process) -> Iterator[tuple[str, str]]:
    """Every address at which a process or one that it started listens, with the program."""
    for one in (process, *process.children(recursive=True)):
        try:
            sockets = one.net_connections("inet")
            name = " ".join(one.cmdline()[:6])
        except psutil.Error:  # it has ended
            continue
        for one_socket in sockets:
            if one_socket.status == psutil.CONN_LISTEN:
                yield f"{one_socket.laddr.ip}", name


def test_a_socket_for_everybody_is_seen() -> None:
    with socket.socket() as open_to_all:
        open_to_all.bind(("0.0.0.0", 0))
        open_to_all.listen()
        assert "0.0.0.0" in {address for address, _ in listening(psutil.Process())}


def test_a_run_listens_on_this_machine_only(tmp_path: Path) -> None:
    write_cohort(tmp_path / "bids", 1, seed=1, voxel_size=2.0)
    study = study_file(tmp_path, kinetics=FITS, input_functions={"arterial": {}})
    command = [sys.executable, "-m", "flows.cli", "run", str(study), "--workers", "2"]
    environment = os.environ | {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    environment.pop("PREFECT_API_URL", None)
    found: set[tuple[str, str]] = set()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            tree = psutil.Process(process.pid)
            while process.poll() is None:
                found.update(listening(tree))
                time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, (tmp_path / "log").read_text()
    assert {address for address, _ in found} <= set(LOCAL), found
    programs = " ".join(name for _, name in found)
    assert "uvicorn" in programs or "prefect" in programs, programs
    assert len(found) > 1
