"""The Prefect task: one scan, whose steps are done one after the other by the Dask client of the flow.

A task run costs Prefect's database about 4 kB. A task for every (scan, stage) would be most of what it holds, and what
people look for is the scan; so a scan is a task, and each of its steps a line in the task's log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, cast

import distributed
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound
from prefect.runtime import task_run
from prefect.states import Completed, Failed

from dlif_core.compute.cluster import StudyClient
from dlif_core.compute.kind import GPU
from dlif_core.shown import counted
from dlif_core.storage import is_transient
from dlif_core.study.job import Job, Outcome
from dlif_core.study.running import run_in_order, run_step
from dlif_core.study.stages import STAGES, ScanStage
from dlif_core.study.step import Step

#: Global concurrency limit of Prefect that work on a GPU keeps, over all flow runs; `dlif deploy prefect` makes it.
GPU_LIMIT = "dlif-gpu"

_DELAYS_S = [2.0, 10.0, 30.0, 60.0]


class ScanWork:
    """What there is to do of one scan, or of the cohort.

    It is no dataclass and no list: Prefect would search every job in it for results of other tasks.

    Parameters
    ----------
    title
        Name of the scan, or ``cohort``.
    jobs
        Steps in the order in which they are run.
    tell
        Called once with what became of each step, in the thread of the task.
    """

    def __init__(self, title: str, jobs: Sequence[Job], tell: Callable[[Outcome], None]) -> None:
        self.title = title
        self.jobs = jobs
        self._tell = tell
        self._told: set[str] = set()

    def tell(self, outcome: Outcome) -> None:
        """Tell what became of a step, unless an earlier try told it."""
        if outcome.step.product not in self._told:
            self._told.add(outcome.step.product)
            self._tell(outcome)


def _is_retried(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    return is_transient(state.result(raise_on_failure=False))


@task(
    name="scan",
    task_run_name="{work.title}",
    retries=len(_DELAYS_S),
    retry_delay_seconds=_DELAYS_S,
    retry_condition_fn=_is_retried,
    persist_result=False,
    cache_policy=NO_CACHE,
)
def scan_task(work: ScanWork) -> State[Any]:
    """Run the steps of a scan on the Dask cluster of the flow; the state says what became of the scan."""
    last_try = task_run.run_count > len(_DELAYS_S)
    outcomes = []
    for outcome in run_in_order(work.jobs, _on_cluster, is_retried=lambda fault: not last_try and is_transient(fault)):
        outcomes.append(outcome)
        work.tell(outcome)
    return state_of(outcomes)


def state_of(outcomes: Sequence[Outcome]) -> State[Any]:
    """The state of a scan: failed if a step failed, named after what its input rules out, else completed."""
    for status in ("failed", "excluded", "unavailable"):
        told = [one for one in outcomes if one.status == status and (status != "unavailable" or _is_analysis(one))]
        if told:
            reasons = "; ".join(f"{one.step.title}: {one.reason}" for one in told)
            return Failed(message=reasons) if status == "failed" else Completed(name=status.title(), message=reasons)
    counts = Counter(one.status for one in outcomes)
    rest = [f", {count} {status}" for status, count in counts.items() if status != "success"]
    return Completed(message=f"{counted(counts['success'], 'step')} done{''.join(rest)}")


def _is_analysis(outcome: Outcome) -> bool:
    """Whether a scan lacks something without this; another input function can take the place of one."""
    stage = STAGES[outcome.step.stage]
    return isinstance(stage, ScanStage) and stage.is_analysis


def _on_cluster(job: Job) -> Outcome:
    client = cast("StudyClient", distributed.default_client())
    resources = needed_resources(client, job.step)
    with _turn(resources), client.executor(resources) as executor:
        return run_step(job, executor)


def _turn(resources: dict[str, float] | None) -> AbstractContextManager[None]:
    """Wait for a turn on a GPU where flow runs share them."""
    return concurrency(GPU_LIMIT) if resources and GPU in resources and _gpus_are_limited() else nullcontext()


@cache
def _gpus_are_limited() -> bool:
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(GPU_LIMIT)
        except ObjectNotFound:
            return False
    return True


def needed_resources(client: StudyClient, step: Step) -> dict[str, float] | None:
    """What the stage of a step asks for, a GPU for example, as far as workers of the cluster offer it."""
    wanted = STAGES[step.stage].resources(step)
    if not wanted:
        return None
    offered = client.offers()
    return {name: amount for name, amount in wanted.items() if name in offered} or None
