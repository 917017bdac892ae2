"""Services that are hurt: a Prefect server, an S3 server, a small disk. Each is stopped by its own pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.ports import free_ports

_START_S = 180


class PrefectServer:
    """A Prefect server with its own database; started again, it has the same address and data.

    Parameters
    ----------
    folder
        Where its data and log lie.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        (self._port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a person sets in the environment to use it."""
        return {"PREFECT_API_URL": f"http://127.0.0.1:{self._port}/api", "PREFECT_HOME": str(self._folder)}

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(self._port), "--no-ui"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=os.environ | {"PREFECT_HOME": str(self._folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + _START_S
        while not self._answers():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"the Prefect server did not start, see {self._folder / 'server.log'}")
            time.sleep(0.2)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/api/health", timeout=5):
                return True
        except (URLError, OSError):
            return False


class SmallDisk:
    """A disk in memory that can be made larger.

    Parameters
    ----------
    folder
        Where it is mounted.
    options
        Size or number of files: ``size=4m`` or ``nr_inodes=200``.
    """

    def __init__(self, folder: Path, options: str) -> None:
        self.folder, self._options = folder, options

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Have it mounted in a block; needs the rights to mount."""
        self.folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", self._options, "tmpfs", str(self.folder)], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def enlarge(self) -> None:
        """Give it more than the study needs."""
        command = ["mount", "-o", "remount,size=200m,nr_inodes=100000", str(self.folder)]
        subprocess.run(command, check=True)
