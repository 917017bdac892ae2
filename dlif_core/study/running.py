"""Running a step: its stage makes the product, and what becomes of it is recorded.

A stage runs in the caller's thread and hands its work to an executor (`concurrent.futures`): a Dask client's
executor spreads it over a cluster, a process pool over this machine. Names and small records travel, never arrays.
"""

from __future__ import annotations

import time
from concurrent.futures import Executor

from dlif_core.checks.metadata import findings_of
from dlif_core.errors import InputError
from dlif_core.foreign_faults import clean, without_contents
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig
from dlif_core.study.job import CohortJob, CohortScan, Job, Outcome, ScanJob
from dlif_core.study.plan import assess, blocked_by
from dlif_core.study.products import failure_name
from dlif_core.study.stages import STAGES
from dlif_core.study.status import results, status_of
from dlif_core.study.step import Plan


def scan_jobs(config: StudyConfig, plan: Plan) -> list[ScanJob]:
    """The jobs of all steps of scans that must run, each after those that it reads."""
    return [ScanJob(config, step, plan.files[step.scan]) for step in plan.to_run if step.scan]


def cohort_jobs(config: StudyConfig, plan: Plan) -> list[CohortJob]:
    """The jobs of the cohort after the scans of a plan were run: they are told how every scan stands now."""
    store = open_store(config.output)
    now = assess(config, plan.files, [planned.step for planned in plan.steps if planned.step.scan], store)
    sound = results(now, store)
    scans = tuple(
        CohortScan(state, files.subject.removeprefix("sub-"), files.session.removeprefix("ses-"))
        for state, files in zip(status_of(now, store).scans, plan.files.values(), strict=True)
    )
    return [CohortJob(config, planned.step, scans, sound) for planned in now.steps if not planned.step.scan]


def run_step(job: Job, executor: Executor) -> Outcome:
    """Run one step and commit its product.

    A scan or method that the input data rule out is committed as such, with its reason; any other error is raised.

    Parameters
    ----------
    job
        What to do.
    executor
        Where the work is done.
    """
    blockers = blocked_by(job.step, job.store.marker)
    if blockers:
        return Outcome(job.step, "blocked", "; ".join(blockers))
    started = time.perf_counter()
    for name in _read_by(job):
        job.store.require_whole(name)
    try:
        with without_contents(), job.store.blaming(job.step.upstream):
            STAGES[job.step.stage].run(job, executor)
    except InputError as fault:
        return _refuse(job, fault, time.perf_counter() - started)
    _forget_failure(job)
    return Outcome(job.step, "success")


def _read_by(job: Job) -> list[str]:
    """Products with a result that the step needs, or of which it takes one."""
    markers = {name: job.store.marker(name) for name in job.step.needs + job.step.any_of}
    return [name for name, marker in markers.items() if marker and marker.status == "success"]


def _refuse(job: Job, fault: InputError, seconds: float) -> Outcome:
    status = STAGES[job.step.stage].refusal
    staging = job.store.stage(job.step.product)
    root = job.config.data.uri
    findings = [finding.below(root).as_record() for finding in findings_of(fault)] if status == "excluded" else []
    staging.publish(
        job.step.fingerprint,
        status=status,
        reason=str(fault),
        where=fault.where,
        hint=fault.hint,
        findings=findings,
        seconds=seconds,
    )
    _forget_failure(job)
    return Outcome(job.step, status, str(fault))


def record_failure(job: Job, fault: BaseException) -> Outcome:
    """Keep why a step failed, so that ``dlif status`` can tell; the step stays to be run."""
    clean(fault)
    reason = f"{type(fault).__name__}: {fault}"
    staging = job.store.stage(failure_name(job.step.product))
    staging.publish(job.step.fingerprint, status="failed", reason=reason)
    return Outcome(job.step, "failed", reason)


def _forget_failure(job: Job) -> None:
    job.store.delete(failure_name(job.step.product))
