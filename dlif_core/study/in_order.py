"""The steps of one scan, one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator

from dlif_core.study.job import Job, Outcome
from dlif_core.study.running import record_failure

_log = logging.getLogger(__name__)

_LACKS = "a step that it needs failed"
_LEVELS = {"failed": logging.ERROR, "excluded": logging.WARNING}


def run_in_order(
    jobs: Iterable[Job], run: Callable[[Job], Outcome], *, is_retried: Callable[[Exception], bool] | None = None
) -> Iterator[Outcome]:
    """Run steps in order; what is committed already is left out, and what needs a step that failed is blocked.

    Every step that ends leaves a line in the log.

    Parameters
    ----------
    jobs
        Steps, each after those that it reads.
    run
        Runs one step.
    is_retried
        Which faults are raised, so that the steps can be tried again from there. Every other fault is recorded as the
        reason why its step failed, and the steps that don't need it go on.

    Yields
    ------
    What became of each step.
    """
    failed: set[str] = set()
    for job in jobs:
        if _is_committed(job):
            continue
        started = time.perf_counter()
        lacks = bool(failed.intersection(job.step.upstream))
        outcome = Outcome(job.step, "blocked", _LACKS) if lacks else _run(job, run, is_retried)
        if lacks or outcome.status == "failed":
            failed.add(job.step.product)
        _tell(outcome, time.perf_counter() - started)
        yield outcome


def _is_committed(job: Job) -> bool:
    marker = job.store.marker(job.step.product)
    return marker is not None and marker.fingerprint == job.step.fingerprint.digest


def _run(job: Job, run: Callable[[Job], Outcome], is_retried: Callable[[Exception], bool] | None) -> Outcome:
    try:
        return run(job)
    except Exception as fault:
        if is_retried is not None and is_retried(fault):
            _log.warning("%s: %s: %s; it is tried again.", job.step.title, type(fault).__name__, fault)
            raise
        return record_failure(job, fault)


def _tell(outcome: Outcome, seconds: float) -> None:
    told = f": {outcome.reason}" if outcome.reason else ""
    level = _LEVELS.get(outcome.status, logging.INFO)
    _log.log(level, "%s: %s in %.1f s%s", outcome.step.title, outcome.status, seconds, told)
