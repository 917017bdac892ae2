"""Running a step: its stage makes the product, and what becomes of it is recorded.

A step is one piece of work on an executor (`concurrent.futures`): a Dask client's executor spreads steps over a
cluster, a process pool over this machine. What is read, written, hashed and recorded is done there; the caller hands
over names and small records, and gets the outcome back. Work that a stage shares among workers is handed out here,
item by item.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from dlif_core.checks import Finding
from dlif_core.checks.metadata import findings_of
from dlif_core.errors import ClusterError, InputError, StorageError
from dlif_core.foreign_faults import clean, without_contents
from dlif_core.store import Marker, Staging, open_store
from dlif_core.study.config import StudyConfig
from dlif_core.study.job import CohortJob, CohortScan, Job, Outcome, ScanJob, on_worker
from dlif_core.study.plan import assess, blocked_by
from dlif_core.study.products import failure_name
from dlif_core.study.stages import STAGES, Shares, Stage
from dlif_core.study.status import results, status_of
from dlif_core.study.step import Plan

_log = logging.getLogger(__name__)

_LEVELS = {"failed": logging.ERROR, "excluded": logging.WARNING, "blocked": logging.DEBUG}


def scan_jobs(config: StudyConfig, plan: Plan) -> list[ScanJob]:
    """The jobs of all steps of scans that must run, each after those that it reads."""
    return [ScanJob(config, step, plan.files[step.scan]) for step in plan.to_run if step.scan]


def cohort_jobs(config: StudyConfig, plan: Plan) -> list[CohortJob]:
    """The jobs of the cohort after the scans of a plan were run: they are told how every scan stands now."""
    store = open_store(config.output)
    now = assess(config, plan.files, [planned.step for planned in plan.steps if planned.step.scan], store)
    sound = results(now)
    scans = tuple(
        CohortScan(state, files.subject.removeprefix("sub-"), files.session.removeprefix("ses-"))
        for state, files in zip(status_of(now, store).scans, plan.files.values(), strict=True)
    )
    return [CohortJob(config, planned.step, scans, sound) for planned in now.steps if not planned.step.scan]


def run_in_order(
    jobs: Iterable[Job], run: Callable[[Any], Outcome], *, is_retried: Callable[[Exception], bool] | None = None
) -> Iterator[Outcome]:
    """Run steps one after the other; one that fails is recorded, and what needs it is blocked.

    Every step that was run leaves a line in the log.

    Parameters
    ----------
    jobs
        Steps of one scan or of many, or of the cohort; each after those that it reads.
    run
        Runs one step: `run_step` with an executor, for example.
    is_retried
        Whether a fault is raised, because the caller tries the steps again. Any other is recorded.

    Yields
    ------
    The outcome of every step, as soon as it is known.
    """
    lost: set[str] = set()
    for job in jobs:
        if lost.intersection(job.step.upstream):
            lost.add(job.step.product)
            yield Outcome(job.step, "blocked", "a step that it needs failed")
            continue
        outcome = _run_or_record(job, run, is_retried)
        if outcome.status == "failed":
            lost.add(job.step.product)
        yield outcome


def _run_or_record(job: Job, run: Callable[[Any], Outcome], is_retried: Callable[[Exception], bool] | None) -> Outcome:
    started = time.perf_counter()
    try:
        outcome = run(job)
    except (ClusterError, StorageError):  # they are about no step: all others would meet them, too
        raise
    except Exception as fault:
        if is_retried is not None and is_retried(fault):
            _log.warning("%s: %s: %s; it stays to be done", job.step.title, type(fault).__name__, fault)
            raise
        outcome = record_failure(job, fault)
    _tell(outcome, time.perf_counter() - started)
    return outcome


def _tell(outcome: Outcome, seconds: float) -> None:
    reason = f": {outcome.reason}" if outcome.reason else ""
    level = _LEVELS.get(outcome.status, logging.INFO)
    _log.log(level, "%s: %s in %.1f s%s", outcome.step.title, outcome.status, seconds, reason)


def run_step(job: Job, executor: Executor) -> Outcome:
    """Run one step and commit its product; nothing is done where another run has committed it meanwhile.

    A scan or method that the input data rule out is committed as such, with its reason; any other error is raised.

    Parameters
    ----------
    job
        What to do.
    executor
        Where the work is done.
    """
    stage = STAGES[job.step.stage]
    with without_contents():
        status, reason = (_run_shared if stage.is_shared else _run_whole)(stage, job, executor)
    return Outcome(job.step, status, reason)


#: Status of a step and the reason for it: what travels back from a worker.
_Result = tuple[str, str]

_DONE: _Result = ("success", "")


def _run_whole(stage: Stage[Any], job: Job, executor: Executor) -> _Result:
    result: _Result = executor.submit(_whole, stage, job).result()
    return result


def _whole(stage: Stage[Any], job: Job) -> _Result:
    """Do a step from beginning to end; runs on a worker."""
    settled = _settled(job)
    if settled:
        return settled
    started = time.perf_counter()
    try:
        with _reading(job), job.store.stage(job.step.product, shared=False) as staging:
            _finish(stage, job, staging)
    except InputError as fault:
        return _refuse(stage, job, fault, time.perf_counter() - started)
    return _DONE


def _run_shared(stage: Stage[Any], job: Job, executor: Executor) -> _Result:
    """Do a step of which many workers do a part; the staging area is this process's, which knows when all are done."""
    settled: _Result | None = executor.submit(_settled, job).result()
    if settled:
        return settled
    started = time.perf_counter()
    try:
        with job.store.stage(job.step.product) as staging:
            shares: Shares = on_worker(executor, _shares, stage, job, staging)
            answers = list(executor.map(shares.work, shares.items))
            on_worker(executor, _finish_shared, stage, stage.settled(job, answers), staging)
    except InputError as fault:
        seconds = time.perf_counter() - started
        result: _Result = executor.submit(_refuse, stage, job, fault, seconds).result()
        return result
    return _DONE


def _shares(stage: Stage[Any], job: Job, staging: Staging) -> Shares:
    with _reading(job):
        return stage.shares(job, staging)


def _finish_shared(stage: Stage[Any], job: Job, staging: Staging) -> None:
    with _reading(job):
        if staging.was_published(job.step.fingerprint):
            _forget_failure(job)
        else:
            _finish(stage, job, staging.alone(), read_back=False)


def _finish(stage: Stage[Any], job: Job, staging: Staging, *, read_back: bool = True) -> None:
    notes = [_located(note, job) for note in stage.write(job, staging)]
    staging.publish(
        job.step.fingerprint,
        warnings=[note.message if isinstance(note, Finding) else note for note in notes],
        findings=[note.as_record() for note in notes if isinstance(note, Finding)],
        read_back=read_back,
    )
    _forget_failure(job)


def _located(note: str | Finding, job: Job) -> str | Finding:
    """The note; a finding with its files named from the folder of the data."""
    return note.below(job.config.data.uri) if isinstance(note, Finding) else note


def _settled(job: Job) -> _Result | None:
    """What has become of a step that needs no work any more: it is blocked, or another run has committed it."""
    blockers = blocked_by(job.step, job.store.marker)
    if blockers:
        return "blocked", "; ".join(blockers)
    marker = committed(job)
    return (marker.status, marker.reason) if marker else None


def committed(job: Job) -> Marker | None:
    """Marker of the product that a step would make, if another run has committed it meanwhile.

    That of the cohort is always made again: it says how all scans stand, which no fingerprint knows.
    """
    marker = job.store.marker(job.step.product) if job.step.scan else None
    return marker if marker and marker.fingerprint == job.step.fingerprint.digest else None


@contextmanager
def _reading(job: Job) -> Iterator[None]:
    """Read in a block what a step needs: none of it lacks a part, and a fault of damaged bytes is told as such."""
    for name in job.step.needs + job.step.any_of:
        marker = job.store.marker(name)
        if marker and marker.status == "success":
            job.store.require_whole(name)
    with without_contents(), job.store.blaming(job.step.upstream):
        yield


def _refuse(stage: Stage[Any], job: Job, fault: InputError, seconds: float) -> _Result:
    status = stage.refusal
    root = job.config.data.uri
    findings = [finding.below(root).as_record() for finding in findings_of(fault)] if status == "excluded" else []
    job.store.stage(job.step.product, shared=False).publish(
        job.step.fingerprint,
        status=status,
        reason=str(fault),
        where=fault.where,
        hint=fault.hint,
        findings=findings,
        seconds=seconds,
    )
    _forget_failure(job)
    return status, str(fault)


def record_failure(job: Job, fault: BaseException) -> Outcome:
    """Keep why a step failed, so that ``dlif status`` can tell; the step stays to be run."""
    clean(fault)
    reason = f"{type(fault).__name__}: {fault}"
    staging = job.store.stage(failure_name(job.step.product), shared=False)
    staging.publish(job.step.fingerprint, status="failed", reason=reason)
    return Outcome(job.step, "failed", reason)


def _forget_failure(job: Job) -> None:
    job.store.delete(failure_name(job.step.product))
