"""The stages: one function each, from committed products to a committed product.

A stage runs in the caller's thread and hands its work to an executor (`concurrent.futures`): a Dask client's
executor spreads it over a cluster, a process pool over this machine. Names and small records travel, never arrays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dlif_core.errors import BloodError, InputError
from dlif_core.store import Status, Store, blocks, image_chunking, open_store
from dlif_core.study.config import Kinetics, StudyConfig, fit_settings
from dlif_core.study.plan import COHORT, Plan, Step, blocked_by, cohort_step, input_function_name
from dlif_core.study.source import read_scan, source_name, write_source

if TYPE_CHECKING:
    import xarray as xr

    from dlif_core.curve import InputFunction
    from dlif_core.ingest import ScanFiles
    from dlif_core.kinetics import VoxelFit
    from dlif_core.scan import DynamicScan

_FAILURES = "failures"


@dataclass(frozen=True)
class Job:
    """What a stage needs to know: the study, the step and the scan's input files.

    Attributes
    ----------
    config
        The study.
    step
        The step to run.
    files
        Input files of the scan; None for the cohort.
    """

    config: StudyConfig
    step: Step
    files: ScanFiles | None = None

    @property
    def store(self) -> Store:
        """The study's store."""
        return open_store(self.config.output)

    @property
    def fit(self) -> Kinetics:
        """The kinetic analysis that the step belongs to."""
        return next(fit for fit in self.config.kinetics if fit.title == self.step.variant)


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes
    ----------
    status
        ``success``, ``excluded``, ``unavailable``, ``blocked`` or ``failed``.
    reason
        Why it is not a success, in words for people.
    """

    step: Step
    status: str
    reason: str = ""


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
            _maps(job, executor)
        else:
            _on_worker(executor, _WORK[job.step.stage], job)
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


def _on_worker(executor: Executor, work: Callable[[Job], Any], job: Job) -> Any:
    """Do work elsewhere. A refusal of the input travels as a value: it is no fault for a worker's log."""
    result = executor.submit(_caught, work, job).result()
    if isinstance(result, InputError):
        raise result
    return result


def _caught(work: Callable[[Job], Any], job: Job) -> Any:
    try:
        return work(job)
    except InputError as refusal:
        return refusal


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


def read_input_function(store: Store, scan: str, method: str) -> InputFunction:
    """A committed input function."""
    from dlif_core.curve import InputFunction

    return InputFunction.from_dataset(store.open_dataset(input_function_name(scan, method)))


def available_input_function(job: Job) -> tuple[InputFunction, tuple[str, ...]]:
    """The first input function of the analysis's list that the scan has, and what was passed over."""
    passed: list[str] = []
    for method in job.config.methods_for(job.fit):
        marker = job.store.marker(input_function_name(job.step.scan, method))
        if marker is not None and marker.status == "success":
            return read_input_function(job.store, job.step.scan, method), tuple(passed)
        reason = marker.reason if marker else "not made"
        passed.append(f"input function {method!r} is unavailable ({reason}); the next in the list is used.")
    raise BloodError("no input function is available.", where=job.step.title, hint=" ".join(passed))


def fit_scan_regions(job: Job) -> None:
    """Fit every region of a scan and commit the result; runs on a worker."""
    from dlif_core.kinetics import fit_regions

    with job.store.stage(job.step.product) as staging:
        scan, _ = read_scan(job.store, job.step.scan)
        curve, passed = available_input_function(job)
        fitted = fit_regions(scan.regions, scan.timing, curve, fit_settings(job.fit), *_physics(scan))
        staging.write_dataset(fitted)
        staging.publish(job.step.fingerprint, warnings=passed)


@dataclass(frozen=True)
class MapJob:
    """What a worker needs to fit one block of voxels."""

    output: str
    source: str
    staging: str
    fit: VoxelFit


def _maps(job: Job, executor: Executor) -> None:
    activity = job.store.open_array(source_name(job.step.scan), "activity")
    chunks, shards = (edges[1:] for edges in image_chunking(activity.shape))
    shape = activity.shape[1:]
    with job.store.stage(job.step.product) as staging:
        fit, passed, attributes = _on_worker(executor, prepare_voxel_fit, job)
        staging.write_dataset(_empty_with(attributes))
        for name, description in fit.variables.items():
            staging.create_array(
                name,
                shape=shape,
                chunks=chunks,
                shards=shards,
                dims=("z", "y", "x"),
                dtype="u1" if name == "status" else "f4",
                attrs=description,
            )
        block_job = MapJob(job.config.output, source_name(job.step.scan), staging.uri, fit)
        list(executor.map(partial(fit_block, block_job), blocks(shape, shards)))
        staging.publish(job.step.fingerprint, warnings=passed)


def _empty_with(attributes: dict[str, Any]) -> xr.Dataset:
    import xarray as xr

    return xr.Dataset(attrs=attributes)


def prepare_voxel_fit(job: Job) -> tuple[VoxelFit, tuple[str, ...], dict[str, Any]]:
    """The voxelwise fit of a scan: input function delayed as the whole image asks for, weights; runs on a worker."""
    from dlif_core.kinetics import VoxelFit, fit_attributes, prepare

    scan, _ = read_scan(job.store, job.step.scan)
    curve, passed = available_input_function(job)
    settings = fit_settings(job.fit)
    if settings.delay == "region":
        settings = replace(settings, delay="image")
    prepared = prepare(scan.regions, scan.timing, curve, settings, *_physics(scan))
    attributes = fit_attributes(prepared) | {"delay": prepared.delay, "affine": np.asarray(scan.affine).tolist()}
    fit = VoxelFit(prepared.context, prepared.settings)
    _ = fit.estimator  # refuses here what no block could be fitted with
    return fit, passed, attributes


def _physics(scan: DynamicScan) -> tuple[float, float | None]:
    """Half-life [s] and SUV factor [g/Bq]."""
    return scan.acquisition.half_life, scan.acquisition.suv_factor


def fit_block(job: MapJob, block: tuple[slice, ...]) -> None:
    """Fit the voxels of one shard and write its maps; runs on a worker."""
    from dlif_core.store.arrays import write_shard

    activity = np.asarray(open_store(job.output).open_array(job.source, "activity")[(slice(None), *block)])
    shape = activity.shape[1:]
    for name, values in job.fit.fit(activity.reshape(len(activity), -1)).items():
        write_shard(job.staging, name, block, values.reshape(shape))


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
    "regions": fit_scan_regions,
    "report": _make_scan_report,
    COHORT: _make_cohort,
}
