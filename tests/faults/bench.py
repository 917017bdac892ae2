"""A small study that is run by the command line, in processes that can be hurt, and the products it must end with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from dlif_core.phantom import write_cohort
from dlif_core.store import Marker, Store, open_store
from tests.faults.services import SmallDisk

SCANS = 2
STUDY = {
    "name": "faults",
    "input_functions": {"arterial": {}},
    "kinetics": [{"model": "patlak", "t_star": 15}],
}
#: Runs after the fault until the study is done; more would hide that a run can't be resumed.
TRIES = 3
#: Time in which processes of a run that has ended must have ended too [s].
PATIENCE_S = 60.0


class TooLongError(Exception):
    """Something did not happen in the time set for it."""


@dataclass
class Bench:
    """Data that all repetitions share, and what an undisturbed run makes of them.

    Attributes
    ----------
    folder
        Place for everything.
    environment
        Variables of all runs.
    expected
        Products of an undisturbed run: status, fingerprint and digest of the content by name.
    step_seconds
        Mean time of a step [s].
    blocks, files
        What its store takes on a disk: blocks of 4 kB, and files with their folders.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    expected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    step_seconds: float = 1.0
    blocks: int = 0
    files: int = 0

    def prepare(self) -> None:
        """Simulate the scans, and run the study without a fault, by one process alone."""
        write_cohort(self.folder / "bids", SCANS, seed=5, voxel_size=2.5)
        study = Study(self, "undisturbed", ("--shard", "1/1"))
        began = time.monotonic()
        study.start()
        study.wait(600)
        self.expected = study.contents()
        self.step_seconds = (time.monotonic() - began) / len(self.expected)
        sizes = [path.stat().st_size for path in Path(study.output).rglob("*")]
        self.files, self.blocks = len(sizes), sum(-(-size // 4096) for size in sizes)


class Study:
    """One repetition: the study with an output of its own.

    Parameters
    ----------
    bench
        The bench.
    name
        Name of the study file and the output.
    options
        Options of ``dlif run``.
    output
        Where the products go; by default a folder of the bench.
    """

    def __init__(self, bench: Bench, name: str, options: tuple[str, ...] = (), output: str = "") -> None:
        self.bench, self.name, self.options = bench, name, options
        self.output = output or str(bench.folder / f"out-{name}")
        self.file = bench.folder / f"{name}.yaml"
        self.log = bench.folder / f"{name}.log"
        self.runs: list[subprocess.Popen[bytes]] = []
        self.disk: SmallDisk | None = None
        self.file.write_text(yaml.safe_dump(STUDY | {"data": str(bench.folder / "bids"), "output": self.output}))

    @property
    def run(self) -> subprocess.Popen[bytes]:
        """The run that was started last."""
        return self.runs[-1]

    @property
    def has_ended(self) -> bool:
        """Whether the run that was started last has ended."""
        return self.run.poll() is not None

    def said(self, words: str) -> bool:
        """Whether runs have said something so far."""
        return words.encode() in self.log.read_bytes()

    def start(self) -> None:
        """Start a run, as the leader of a process group of its own."""
        command = [sys.executable, "-m", "flows.cli", "run", self.file.name, *self.options]
        with self.log.open("ab") as log:
            log.write(f"--- {' '.join(command[2:])}\n".encode())
            self.runs.append(
                subprocess.Popen(
                    command,
                    cwd=self.bench.folder,
                    env=os.environ | self.bench.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def wait(self, seconds: float) -> int:
        """Exit code of the run."""
        try:
            return self.run.wait(seconds)
        except subprocess.TimeoutExpired as fault:
            raise TooLongError(f"the run did not end in {seconds:.0f} s") from fault

    def workers(self) -> list[psutil.Process]:
        """Worker processes of the run, those that compute."""
        with suppress(psutil.Error):
            found = psutil.Process(self.run.pid).children(recursive=True)
            return [one for one in found if "spawn_main" in " ".join(one.cmdline())]
        return []

    @property
    def store(self) -> Store:
        """The store of the study."""
        return open_store(self.output)

    def committed(self) -> dict[str, Marker]:
        """Products that are there; none before the first run has made the store."""
        with suppress(Exception):
            return {name: marker for name, marker in self.store.products().items() if marker.status == "success"}
        return {}

    def contents(self) -> dict[str, tuple[str, ...]]:
        """Status, fingerprint and digest of every product, also records of failures."""
        found = self.store.products()
        return {name: (one.status, one.fingerprint, one.content) for name, one in found.items()}

    def left_over(self) -> list[str]:
        """Files of staging areas and claims, and processes, of which none may be left at the end."""
        files = [name for area in (".staging", ".claims") for name in self.store.folder.files(area)]
        _, alive = psutil.wait_procs(self.processes(), timeout=PATIENCE_S)
        return files + [f"process {one.pid}" for one in alive]

    def processes(self) -> list[psutil.Process]:
        """Processes that the runs have started, whether or not these still live: each run has a session of its own."""
        sessions = {run.pid for run in self.runs}
        found = []
        for one in psutil.process_iter():
            with suppress(ProcessLookupError, psutil.Error):
                if os.getsid(one.pid) in sessions and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return found

    def end(self) -> None:
        """Kill all that is left of the runs."""
        for run in self.runs:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TooLongError(f"{what}: not in {seconds:.0f} s")
        time.sleep(0.02)
