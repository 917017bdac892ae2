"""The cohort flow: every scan of a study through every stage that is not up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

from prefect import flow
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from rich.text import Text
from slugify import slugify

from dlif_core.compute.cluster import open_client
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.job import CohortJob, Job, Outcome, ScanJob
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import cohort_jobs, record_failure, scan_jobs
from dlif_core.study.sharing import claimed_part
from dlif_core.study.stages import STAGES
from dlif_core.study.status import study_status
from dlif_core.study.step import Plan, Step
from flows.progress import ProgressBars, progress_bars
from tasks.steps import step_task

# Tasks wait for Dask and for each other, they don't compute; the limit keeps the API calls in bounds.
_RUNNER = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=32))


def _run_name() -> str:
    """A flow run is called as its study."""
    return load_study(flow_run.parameters["study"]).name


@flow(name="cohort", flow_run_name=_run_name, task_runner=_RUNNER)
def cohort(study: str, cluster: str = "local", workers: int | None = None) -> list[str]:
    """Bring a study up to date.

    Parameters
    ----------
    study
        Path of the study file.
    cluster
        ``local`` or the address of a Dask scheduler.
    workers
        Worker processes of a local cluster.

    Returns
    -------
    The outcome of every step that was run, one line each; nothing is started where nothing is to be done.
    """
    config = load_study(study)
    store = open_study_store(config)
    store.sweep()
    plan = make_plan(config, store)
    if not plan.to_run:
        return []
    with (
        stage_progress(config, plan.to_run) as progress,
        claimed_part(plan, store, progress.tell) as part,
        open_client(cluster, workers),
    ):
        outcomes = list(_run_scans(config, part.plan, progress))
        with part.cohort() as wanted:
            outcomes += [_run_cohort(job, progress) for job in cohort_jobs(config, plan)] if wanted else []
    _publish_summary(config)
    return [f"{outcome.step.title}: {outcome.status}" for outcome in outcomes]


def _run_scans(config: StudyConfig, plan: Plan, progress: StageProgress) -> Iterator[Outcome]:
    """Submit every step of every scan, each after what it reads, and record how it ended."""
    jobs: dict[PrefectFuture[Outcome], Job] = {}
    futures: dict[str, PrefectFuture[Outcome]] = {}
    for job in by_stage(scan_jobs(config, plan)):
        upstream = [futures[name] for name in job.step.upstream if name in futures]
        futures[job.step.product] = step_task.submit(job, wait_for=upstream, return_state=False)
        jobs[futures[job.step.product]] = job
    for future in as_completed(list(jobs)):
        outcome = _outcome(jobs[future], future)
        progress.advance(outcome)
        yield outcome


def by_stage(jobs: Iterable[ScanJob]) -> list[ScanJob]:
    """Jobs of all scans, stage by stage, so that no thread waits for a step that is behind it in the queue."""
    order = list(STAGES)
    return sorted(jobs, key=lambda job: order.index(job.step.stage))


def _outcome(job: Job, future: PrefectFuture[Outcome]) -> Outcome:
    if future.state.name == "NotReady":
        return Outcome(job.step, "blocked", "a step that it needs failed")
    result = future.result(raise_on_failure=False)
    return record_failure(job, result) if isinstance(result, BaseException) else result


def _run_cohort(job: CohortJob, progress: StageProgress) -> Outcome:
    future = step_task.submit(job)
    future.wait()
    outcome = _outcome(job, future)
    progress.advance(outcome)
    return outcome


class StageProgress:
    """How far each stage is: a bar in the terminal and a progress artifact in the Prefect UI."""

    def __init__(self, config: StudyConfig, steps: Iterable[Step], bars: ProgressBars) -> None:
        self._totals = Counter(step.stage for step in steps)
        self._done: Counter[str] = Counter()
        self._bars = bars
        self._artifacts: dict[str, UUID] = {}
        for stage, total in self._totals.items():
            bars.update(stage, 0, total)
            key = slugify(f"{config.name}-{stage}-progress")
            artifact = create_progress_artifact(0.0, key=key, description=f"{config.name}: {stage}, {total} steps")
            self._artifacts[stage] = cast(UUID, artifact)

    def advance(self, outcome: Outcome) -> None:
        """Count a finished step; a step that did not succeed is named in the terminal."""
        stage = outcome.step.stage
        self._done[stage] += 1
        self._bars.advance(stage)
        update_progress_artifact(self._artifacts[stage], 100.0 * self._done[stage] / self._totals[stage])
        if outcome.status in ("excluded", "failed"):
            said = f" {outcome.step.title}: {outcome.reason}"
            self._bars.write(Text.assemble((outcome.status, "yellow"), said))

    def tell(self, line: str) -> None:
        """Show a line in the terminal."""
        self._bars.write(Text(line))


@contextmanager
def stage_progress(config: StudyConfig, steps: Iterable[Step]) -> Iterator[StageProgress]:
    """Show the progress of the stages while the block runs."""
    with progress_bars() as bars:
        yield StageProgress(config, steps, bars)


def _publish_summary(config: StudyConfig) -> None:
    """The cohort's status as an artifact with a stable key, so that its history can be followed."""
    rows = [
        {"scan": scan.scan, "status": str(scan.status), "reason": "; ".join(scan.notes)}
        for scan in study_status(config).scans
    ]
    create_table_artifact(rows, key=slugify(f"{config.name}-cohort"), description=f"Scans of study {config.name}")
