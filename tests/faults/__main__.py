"""Injects faults at random moments into real runs of a small study, and writes what became of them into the docs.

``python -m tests.faults``: every fault until it was injected 20 times. ``--fault disk-full --times 5``: that one, up to
5 times. What was done is kept in tests/faults/results.jsonl and not done again; several of these may run at a time,
each with ``--seed`` of its own. The table is in docs/reliability.md. The exit status is 1 if a fault did harm.

A repetition is good if, within the time set, the products are those of an undisturbed run (the same digests of their
bytes), no record of a failure, no staging area, no claim and no process is left, and no product that was committed
before the fault was made again.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import fsspec

from dlif_core.store import Marker
from tests.faults import results
from tests.faults.bench import TRIES, Bench, Study, TooLongError
from tests.faults.faults import FAULTS, Fault, Services
from tests.faults.results import Result
from tests.faults.services import PrefectServer
from tests.platform.s3 import BUCKET, S3Server


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--fault", choices=FAULTS, action="append", help="a fault; by default all of them")
    parser.add_argument("--times", type=int, default=20, help="repetitions of each, those done before included")
    parser.add_argument("--seed", type=int, default=0, help="number of the first repetition")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Fill the table; 1 if a fault did harm."""
    asked = _arguments(words)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a run begun in the background would ignore Ctrl-C
    harm = 0
    with tempfile.TemporaryDirectory(prefix="dlif-faults-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder))
        bench.prepare()
        for name in asked.fault or FAULTS:
            with _services(bench, FAULTS[name]) as services:
                for number in _left(name, asked.seed, asked.times):
                    result = _repeat(bench, name, number, services)
                    if result is not None:
                        results.add(result)
                        harm += not result.is_good
                        print(result, flush=True)
    return 1 if harm else 0


def _left(name: str, seed: int, times: int) -> Iterator[int]:
    """Numbers of repetitions until there are enough of them, also of other processes."""
    number = seed
    while sum(one.fault == name for one in results.read()) < times:
        if (name, number) not in {(one.fault, one.seed) for one in results.read()}:
            yield number
        number += 1


@contextmanager
def _services(bench: Bench, fault: Fault) -> Iterator[Services]:
    services = Services()
    bench.environment = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    try:
        if fault.prefect:
            services.prefect = PrefectServer(Path(tempfile.mkdtemp(dir=bench.folder)) / "prefect")
            services.prefect.start()
            bench.environment |= services.prefect.environment
        if fault.s3:
            services.s3 = S3Server(Path(tempfile.mkdtemp(dir=bench.folder)) / "s3")
            bench.environment |= services.s3.environment
            os.environ |= services.s3.environment
            services.s3.start()
            fsspec.filesystem("s3", skip_instance_cache=True).mkdir(BUCKET)
        yield services
    finally:
        for service in (services.prefect, services.s3):
            if service is not None:
                service.kill()


def _repeat(bench: Bench, name: str, number: int, services: Services) -> Result | None:
    """Inject a fault once; None if the run had ended before."""
    fault, chance = FAULTS[name], random.Random(f"{name} {number}")
    with fault.study(bench, f"{name}-{number}", services) as study:
        began, before, ended, note = time.monotonic(), {}, True, ""
        try:
            if not fault.disturb(study, chance, services):
                return None
            began, before = time.monotonic(), study.committed()
            note = _finish(study, fault)
        except TooLongError as late:
            ended, note = False, str(late)
        seconds = time.monotonic() - began
        wrong = _differences(study) if ended else [note]
        lost = _lost(before, study) if ended else 0
        where = "; ".join(filter(None, [note, *wrong]))
        if where:
            print(study.log.read_text(errors="replace")[-6000:], file=sys.stderr)
        return Result(
            name, number, not wrong, lost, ended, round(seconds, 1), len(study.runs), where[:300], results.machine()
        )


def _finish(study: Study, fault: Fault) -> str:
    """Let the run end, and start it again where it is not to survive; what was wrong with that."""
    end = time.monotonic() + fault.limit
    code = study.wait(fault.limit)
    said = f"the run did not survive, exit code {code}" if fault.survives and code else ""
    for _ in range(TRIES):
        if code == 0:
            return said
        study.start()
        code = study.wait(max(1.0, end - time.monotonic()))
    return f"{said} {TRIES} more runs ended with exit code {code}".strip() if code else said


def _differences(study: Study) -> list[str]:
    """How the products differ from those of an undisturbed run, and what else is left."""
    expected, found = study.bench.expected, study.contents()
    names = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    return [f"differs: {name}" for name in names] + [f"left: {name}" for name in study.left_over()]


def _lost(before: Mapping[str, Marker], study: Study) -> int:
    """Products that were there before and were made again; the cohort's is, when scans are added to it."""
    now = study.committed()
    return sum(now.get(name) != marker for name, marker in before.items() if name != "cohort")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
