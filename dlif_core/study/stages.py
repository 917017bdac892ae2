"""The stages: one function each, from committed products to a committed product.

A stage runs in the caller's thread and hands its work to an executor (`concurrent.futures`): a Dask client's
executor spreads it over a cluster, a process pool over this machine. Names and small records travel, never arrays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor

from dlif_core.errors import InputError
from dlif_core.store import Status, open_store
from dlif_core.study.config import StudyConfig, learned_model
from dlif_core.study.job import Job, Outcome, available_input_function, on_worker
from dlif_core.study.maps import make_maps
from dlif_core.study.plan import COHORT, LEARNED, Plan, Step, blocked_by, cohort_step, input_function_name
from dlif_core.study.selection import select_models
from dlif_core.study.source import read_scan, write_source

_FAILURES = "failures"


def cohort_job(config: StudyConfig, plan: Plan) -> Job:
    """The job that makes the cohort's product from what is committed now, after the scans of a plan were run."""
    steps = [planned.step for planned in plan.steps if planned.step.stage != COHORT]
    markers = open_store(config.output).products().get
    return Job(config, cohort_step(config, markers, steps, list(plan.files)))


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
    for name in job.step.needs:
        job.store.require_whole(name)
    try:
        if job.step.stage == "maps":
            make_maps(job, executor)
        else:
            on_worker(executor, _WORK[job.step.stage], job)
    except InputError as fault:
        return _refuse(job, fault, time.perf_counter() - started)
    _forget_failure(job)
    return Outcome(job.step, "success")


def _refuse(job: Job, fault: InputError, seconds: float) -> Outcome:
    status: Status = "excluded" if job.step.stage == "ingest" else "unavailable"
    staging = job.store.stage(job.step.product)
    staging.publish(job.step.fingerprint, status=status, reason=str(fault), seconds=seconds)
    _forget_failure(job)
    return Outcome(job.step, status, str(fault))


def failure_name(step: Step) -> str:
    """Product name of the record of a step's failure."""
    return f"{_FAILURES}/{step.product.replace('/', '.')}"


def record_failure(job: Job, fault: BaseException) -> Outcome:
    """Keep why a step failed, so that ``dlif status`` can tell; the step stays to be run."""
    reason = f"{type(fault).__name__}: {fault}"
    staging = job.store.stage(failure_name(job.step))
    staging.publish(job.step.fingerprint, status="failed", reason=reason)
    return Outcome(job.step, "failed", reason)


def _forget_failure(job: Job) -> None:
    job.store.delete(failure_name(job.step))


def ingest_scan(job: Job) -> None:
    """Read a scan's files into its source product; runs on a worker."""
    from dlif_core.ingest import open_scan

    assert job.files is not None
    with job.store.stage(job.step.product) as staging:
        with open_scan(job.files, job.config.regions.groups) as ingested:
            write_source(staging, ingested)
        staging.publish(job.step.fingerprint, warnings=ingested.warnings)


def estimate_input_function(job: Job) -> None:
    """Estimate one input function and commit it; runs on a worker."""
    from dlif_core.input_function import estimate

    method = job.step.variant
    with job.store.stage(job.step.product) as staging:
        scan, blood = read_scan(job.store, job.step.scan)
        curve = estimate(method, scan, blood, job.config.input_functions[method])
        staging.write_dataset(curve.to_dataset())
        staging.publish(job.step.fingerprint, warnings=curve.warnings)


def explain_input_function(job: Job) -> None:
    """Explain the learned input function and commit that; runs on a worker."""
    from dlif_core.networks.bundle.model import load_model
    from dlif_core.networks.explanation.attribution import explain_scan

    with job.store.stage(job.step.product) as staging:
        marker = job.store.marker(input_function_name(job.step.scan, LEARNED))
        if marker is None or marker.status != "success":
            raise InputError("there is no learned input function to explain.", where=job.step.title)
        scan, _ = read_scan(job.store, job.step.scan)
        model = load_model(learned_model(job.config))
        staging.write_dataset(explain_scan(model.networks, scan))
        staging.publish(job.step.fingerprint)


def fit_scan_regions(job: Job) -> None:
    """Fit every region of a scan and commit the result; runs on a worker."""
    from dlif_core.kinetics import fit_regions

    with job.store.stage(job.step.product) as staging:
        scan, _ = read_scan(job.store, job.step.scan)
        curve, passed = available_input_function(job)
        fitted = fit_regions(scan, curve, job.fit.settings)
        staging.write_dataset(fitted)
        staging.publish(job.step.fingerprint, warnings=passed)


def _make_scan_report(job: Job) -> None:
    from dlif_core.study.reporting import write_scan_report

    with job.store.stage(job.step.product) as staging:
        write_scan_report(job.config, job.store, job.step, staging)
        staging.publish(job.step.fingerprint)


def _make_cohort(job: Job) -> None:
    from dlif_core.study.cohort import write_cohort_product

    with job.store.stage(job.step.product) as staging:
        write_cohort_product(job.config, job.store, staging)
        staging.publish(job.step.fingerprint)


#: The stages that are one piece of work; maps are one for each block of voxels.
_WORK: dict[str, Callable[[Job], None]] = {
    "ingest": ingest_scan,
    "input-function": estimate_input_function,
    "explanation": explain_input_function,
    "regions": fit_scan_regions,
    "selection": select_models,
    "report": _make_scan_report,
    COHORT: _make_cohort,
}
