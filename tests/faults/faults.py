"""The faults: how each is injected into a run, and whether the run is to survive it or to be started again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults.bench import Bench, Study, wait_until
from tests.faults.services import PrefectServer, SmallDisk
from tests.platform.s3 import S3Server


@dataclass
class Services:
    """Services that run for all repetitions, as far as faults need them."""

    prefect: PrefectServer | None = None
    s3: S3Server | None = None


Injection = Callable[[Study, random.Random, Services], None]


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes
    ----------
    title
        What happens.
    inject
        Does it to a run.
    survives
        Whether the run goes on by itself; otherwise it ends, and is started again.
    options
        Options of ``dlif run``.
    prefect, s3
        Services that it needs.
    limit
        Longest time from the fault to the end of the study [s].
    """

    title: str
    inject: Injection
    survives: bool
    options: tuple[str, ...] = ("--workers", "2")
    prefect: bool = True
    s3: bool = False
    limit: float = 600.0

    @contextmanager
    def study(self, bench: Bench, name: str, services: Services) -> Iterator[Study]:
        """A study that was not run yet."""
        study = Study(bench, name, self.options, services.s3.uri(name) if services.s3 else "")
        try:
            yield study
        finally:
            study.end()

    def disturb(self, study: Study, chance: random.Random, services: Services) -> bool:
        """Run the study until a random moment, and inject the fault; False if the run had ended before."""
        study.start()
        # a storage that a run has never reached is not waited for: its address is probably wrong
        steps = chance.randrange(1 if self.s3 else 0, len(study.bench.expected))
        wait_until(
            lambda: len(study.committed()) >= steps or study.run.poll() is not None, self.limit, "steps are done"
        )
        time.sleep(chance.uniform(0, study.bench.step_seconds))
        if study.run.poll() is not None:
            return False
        self.inject(study, chance, services)
        return True


class SmallDiskFault(Fault):
    """The output is on a disk on which the study has no room, until it is made larger."""

    @contextmanager
    def study(self, bench: Bench, name: str, services: Services) -> Iterator[Study]:
        """A study on a disk that has a random part of the room that it takes."""
        share = random.Random(name).uniform(0.05, 0.9)
        blocks = int(share * bench.blocks) if "inodes" not in self.title else 100_000
        files = int(share * bench.files) if "inodes" in self.title else 100_000
        disk = SmallDisk(bench.folder / f"disk-{name}", f"size={4096 * blocks},nr_inodes={files}")
        with disk.mounted():
            study = Study(bench, name, self.options, str(disk.folder / "out"))
            study.disk = disk
            try:
                yield study
            finally:
                study.end()

    def disturb(self, study: Study, chance: random.Random, services: Services) -> bool:
        """Run the study until it has no room, and make room some time later; False if it had enough."""
        study.start()
        wait_until(lambda: study.said("No space left") or study.has_ended, self.limit, "the disk is full")
        if study.has_ended and study.run.returncode == 0:
            return False
        time.sleep(chance.uniform(0, 20))
        self.inject(study, chance, services)
        return True


def _signal_driver(number: signal.Signals) -> Injection:
    return lambda study, _chance, _services: study.run.send_signal(number)


def _interrupt(study: Study, _chance: random.Random, _services: Services) -> None:
    os.killpg(study.run.pid, signal.SIGINT)


def _kill_workers(most: int) -> Injection:
    def inject(study: Study, chance: random.Random, _services: Services) -> None:
        wait_until(lambda: study.workers() or study.has_ended, 120, "workers are there")
        found = study.workers()
        for worker in chance.sample(found, min(most, len(found))):
            worker.kill()

    return inject


def _s3_is_away(seconds: float) -> Injection:
    def inject(_study: Study, _chance: random.Random, services: Services) -> None:
        assert services.s3 is not None
        services.s3.kill()
        time.sleep(seconds)
        services.s3.start()

    return inject


def _restart_prefect(_study: Study, chance: random.Random, services: Services) -> None:
    assert services.prefect is not None
    services.prefect.kill()
    time.sleep(chance.uniform(0, 10))
    services.prefect.start()


def _make_room(study: Study, _chance: random.Random, _services: Services) -> None:
    assert study.disk is not None
    study.disk.enlarge()


_ALONE = ("--shard", "1/1")
_ALL = 1000

#: Faults by their name on the command line.
FAULTS = {
    "driver-sigkill": Fault("driver: SIGKILL", _signal_driver(signal.SIGKILL), survives=False),
    "driver-sigterm": Fault("driver: SIGTERM", _signal_driver(signal.SIGTERM), survives=False),
    "driver-ctrl-c": Fault("driver: Ctrl-C", _interrupt, survives=False),
    "worker-sigkill": Fault("one Dask worker: SIGKILL", _kill_workers(1), survives=True),
    "all-workers-sigkill": Fault("all Dask workers at once: SIGKILL", _kill_workers(_ALL), survives=True),
    "prefect-restart": Fault("Prefect server: SIGKILL, back after 0 to 10 s", _restart_prefect, survives=True),
    "s3-sigkill": Fault("S3 server: SIGKILL, back after 1 s", _s3_is_away(1), survives=True, s3=True),
    "s3-outage": Fault("S3 server: away for 60 s", _s3_is_away(60), survives=True, s3=True),
    "disk-full": SmallDiskFault("disk full", _make_room, survives=False, options=_ALONE, prefect=False),
    "no-inodes": SmallDiskFault("no inodes left", _make_room, survives=False, options=_ALONE, prefect=False),
    "alone-sigkill": Fault(
        "run without Prefect: SIGKILL", _signal_driver(signal.SIGKILL), survives=False, options=_ALONE, prefect=False
    ),
    "alone-worker": Fault(
        "worker of a run without Prefect: SIGKILL", _kill_workers(1), survives=True, options=_ALONE, prefect=False
    ),
}
