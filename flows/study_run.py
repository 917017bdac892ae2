"""A run of a study: what its plan says, scan by scan in bounded batches, on the Dask cluster, watched by Prefect."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import groupby
from typing import Any, cast
from uuid import UUID

import distributed
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import TagsContext
from prefect.futures import PrefectFuture
from prefect.futures import wait as wait_for
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.utilities.urls import url_for
from rich.text import Text
from slugify import slugify

from dlif_core.compute.cluster import open_client
from dlif_core.foreign_faults import without_contents
from dlif_core.masking import masked
from dlif_core.shown import counted
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.job import Job, Outcome, ScanJob
from dlif_core.study.memory import largest_need
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import cohort_jobs, scan_jobs
from dlif_core.study.runs import recorded_run
from dlif_core.study.sharing import claimed_part
from dlif_core.study.status import status_of
from dlif_core.study.step import Plan
from flows.progress import ProgressBars, progress_bars
from flows.watch.artifacts import ProgressArtifact, publish_dashboard, publish_scans
from flows.watch.killed import close_killed_runs
from flows.watch.logs import send_logs_to_prefect
from flows.watch.metrics import count_step
from flows.watch.states import ANALYSED, READ, study_state
from tasks.steps import ScanWork, scan_task

_log = logging.getLogger("dlif_core.study.run")

#: Scans of one flow run; with more, each batch is a run of its own, so that no page of the UI grows beyond use.
BATCH = 500

#: Scans in flight on a cluster whose size isn't known beforehand. Their threads wait for Dask, they don't compute.
_IN_FLIGHT = 256

RUNNER = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=_IN_FLIGHT))

#: The progress artifact is brought up to date no more often than this [s].
_PROGRESS_S = 10.0


def run_name() -> str:
    """A flow run is called as its study."""
    return load_study(flow_run.parameters["study"]).name


def page_of(flow_run_id: UUID) -> str:
    """Address of a run's page in the UI, without credentials that the address of the server may have."""
    return masked(url_for("flow-run", flow_run_id) or "")


@without_contents()
def run_study(study: str, cluster: str, workers: int | None, wanted: Callable[[Job], bool] | None = None) -> State[Any]:
    """Do what the plan of a study says, and tell how its scans stand then.

    Parameters
    ----------
    study
        Path of the study file.
    cluster, workers
        Where the work is done, see `dlif_core.compute.cluster.open_client`.
    wanted
        Steps of scans that are run; left out, all that the plan says, and those of the cohort after them.

    Returns
    -------
    The state in which the flow run ends.
    """
    send_logs_to_prefect()
    config = load_study(study)
    store = open_study_store(config)
    close_killed_runs(store)
    _tag_run(config)
    store.sweep()
    plan = make_plan(config, store)
    record = recorded_run(store, str(flow_run.flow_name), str(flow_run.id), page_of(UUID(flow_run.id)))
    with claimed_part(plan, store, _log.warning) as part, record as end:
        jobs = [job for job in scan_jobs(config, part.plan) if wanted is None or wanted(job)]
        _log.info(
            "%d of %s of %s to run.",
            len(plan.to_run),
            counted(len(plan.steps), "step"),
            counted(len(plan.files), "scan"),
        )
        if jobs or (plan.to_run and wanted is None):
            with open_client(cluster or config.cluster, workers, largest_need(config, plan)) as client:
                _run_jobs(config, plan, jobs, client, part.cohort() if wanted is None else nullcontext(False))
            plan = make_plan(config, store)
        scans = status_of(plan, store).scans
        touched = {job.step.scan for job in jobs}
        if touched:
            publish_scans(config, store, scans, touched)
        state = study_state(scans, touched, ANALYSED if wanted is None else READ)
        end.tell(state.name or "", state.message or "")
    return state


def _tag_run(config: StudyConfig) -> None:
    """Tag the run with dlif, unless it was from the start, and with the study."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(flow_run.id), tags={*flow_run.tags, "dlif", f"study:{slugify(config.name)}"})


def _run_jobs(
    config: StudyConfig,
    plan: Plan,
    jobs: Sequence[ScanJob],
    client: distributed.Client,
    cohort: AbstractContextManager[bool],
) -> None:
    """Run steps of scans, and the cohort's after them unless it is left to another run."""
    _log.info("Dask cluster with %s, dashboard %s", counted(len(_workers(client)), "worker"), client.dashboard_link)
    publish_dashboard(config, client.dashboard_link)
    with run_progress(config, jobs) as progress:
        works = [
            ScanWork(scan, list(steps), progress.advance) for scan, steps in groupby(jobs, lambda job: job.step.scan)
        ]
        for title, batch in batches(works):
            if len(batch) == len(works):
                run_batch(batch, _in_flight(client))
            else:
                run_subflow(title, batch, _in_flight(client))
        with cohort as is_ours:
            if is_ours:
                run_batch([ScanWork("cohort", cohort_jobs(config, plan), progress.advance)], 1)


def batches(works: Sequence[ScanWork]) -> Iterator[tuple[str, Sequence[ScanWork]]]:
    """Works in batches that one flow run can hold, each with a title."""
    for first in range(0, len(works), BATCH):
        batch = works[first : first + BATCH]
        yield f"scans {first + 1} to {first + len(batch)} of {len(works)}", batch


def run_batch(works: Iterable[ScanWork], in_flight: int) -> None:
    """Run a task for each scan, so many at a time."""
    free = threading.Semaphore(in_flight)
    futures: list[PrefectFuture[Any]] = []
    with TagsContext(current_tags=set()):  # tags of a task cost two calls of the server
        for work in works:
            free.acquire()
            future = scan_task.submit(work)
            future.add_done_callback(lambda _: free.release())
            futures.append(future)
    wait_for(futures)


def run_subflow(title: str, works: Sequence[ScanWork], in_flight: int) -> None:
    """Run a batch as a flow run of its own, below the present one."""

    @flow(name="batch", flow_run_name=title, task_runner=RUNNER)
    def batch() -> None:
        run_batch(works, in_flight)

    batch(return_state=True)


def _workers(client: distributed.Client) -> dict[str, Any]:
    return cast("dict[str, Any]", client.scheduler_info(n_workers=-1)["workers"])


def _in_flight(client: distributed.Client) -> int:
    """Two scans for each worker of a local cluster, so that none waits for the driver; elsewhere clusters grow."""
    local = isinstance(client.cluster, distributed.LocalCluster)
    return min(_IN_FLIGHT, 2 * len(_workers(client)) + 2) if local else _IN_FLIGHT


class RunProgress:
    """How far the stages are: bars in the terminal, one artifact in the Prefect UI, counters of metrics."""

    def __init__(self, config: StudyConfig, jobs: Iterable[Job], bars: ProgressBars) -> None:
        self._totals = Counter(job.step.stage for job in jobs)
        self._bars = bars
        self._done = 0
        self._lock = threading.Lock()
        self._artifact = ProgressArtifact(config, max(1, self._totals.total()))
        self._published = time.monotonic()
        for stage, total in self._totals.items():
            bars.update(stage, 0, total)

    def advance(self, outcome: Outcome) -> None:
        """Count a step that ended; called in the threads of the tasks."""
        count_step(outcome)
        with self._lock:
            if outcome.step.scan:
                self._done += 1
                self._bars.advance(outcome.step.stage)
            if outcome.status in ("excluded", "failed"):
                said = f" {outcome.step.title}: {outcome.reason}"
                self._bars.write(Text.assemble((outcome.status, "yellow"), said))
            if time.monotonic() > self._published + _PROGRESS_S:
                self.publish()

    def publish(self) -> None:
        """Bring the artifact up to date."""
        self._artifact.publish(self._done)
        self._published = time.monotonic()


@contextmanager
def run_progress(config: StudyConfig, jobs: Iterable[Job]) -> Iterator[RunProgress]:
    """Show the progress of the stages while the block runs."""
    with progress_bars() as bars:
        progress = RunProgress(config, jobs, bars)
        try:
            yield progress
        finally:
            progress.publish()
