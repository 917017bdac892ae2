"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, on this machine alone, with a password."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_ports

_SUPERUSER = "postgres"  # PostgreSQL does not run as root
_START_SECONDS = 60


class Postgres:
    """A server that runs.

    Attributes
    ----------
    port
        Where it listens, on 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int, programs: Path) -> None:
        self.port = port
        self._folder = folder
        self._programs = programs

    def new_database(self, name: str) -> str:
        """Make an empty database; returns the URL with which a Prefect server connects to it."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "dlif", name)
        return f"postgresql+asyncpg://dlif:{_password(self._folder)}@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        environment = os.environ | {"PGPASSWORD": _password(self._folder)}
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    programs, (port,) = _programs(), free_ports(1)
    with tempfile.TemporaryDirectory(prefix="dlif-postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text("one-password")
        as_user = _given_away(folder)
        data = str(folder / "data")
        made = ["-D", data, "-U", "dlif", "--auth=scram-sha-256", f"--pwfile={folder}/password"]
        subprocess.run([str(programs / "initdb"), *made], check=True, capture_output=True, cwd="/", **as_user)
        start = [str(programs / "postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(start, stdout=log, stderr=subprocess.STDOUT, cwd="/", **as_user)
        try:
            _wait_until_ready(programs, port, process)
            yield Postgres(folder, port, programs)
        finally:
            process.terminate()
            process.wait(30)


def _programs() -> Path:
    """Folder of the newest PostgreSQL; Debian keeps it out of the path."""
    folders = sorted(glob("/usr/lib/postgresql/*/bin"), key=lambda name: int(name.split("/")[-2]))
    found = shutil.which("initdb", path=os.pathsep.join((*folders[-1:], os.environ["PATH"])))
    if found is None:
        message = "not installed: PostgreSQL; see tests/platform/install.sh"
        (pytest.fail if os.environ.get("DLIF_SERVICES") == "required" else pytest.skip)(message)
    return Path(found).parent


def _given_away(folder: Path) -> dict[str, Any]:
    """Options of a process that runs as the user of PostgreSQL, who is given the folder; none if we are not root."""
    if os.getuid() != 0:
        return {}
    for path in (folder, folder / "password"):
        shutil.chown(path, _SUPERUSER, _SUPERUSER)
    return {"user": _SUPERUSER, "group": _SUPERUSER, "extra_groups": []}


def _wait_until_ready(programs: Path, port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(ready, check=False).returncode == 0:
            return
        time.sleep(0.2)
    pytest.fail(f"PostgreSQL did not start; it ended with {process.poll()}")


def _password(folder: Path) -> str:
    return (folder / "password").read_text()
