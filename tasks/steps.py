"""The Prefect task: one (scan, stage), done by the Dask client of the flow."""

from __future__ import annotations

from typing import Any

import distributed
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from dlif_core.storage import is_transient as passes
from dlif_core.study.job import Job, Outcome
from dlif_core.study.running import run_step
from dlif_core.study.stages import STAGES
from dlif_core.study.step import Step

_RETRIES = 2


def is_transient(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    """Whether another try may help: connections and storage come back, faulty data and code don't."""
    return passes(state.result(raise_on_failure=False))


@task(
    name="step",
    task_run_name="{job.step.title}",
    retries=_RETRIES,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=is_transient,
    persist_result=False,
    cache_policy=NO_CACHE,
)
def step_task(job: Job) -> Outcome:
    """Run one step of a study on the Dask cluster of the flow."""
    client = distributed.default_client()
    with client.get_executor(pure=False, resources=needed_resources(client, job.step)) as executor:
        return run_step(job, executor)


def needed_resources(client: distributed.Client, step: Step) -> dict[str, float] | None:
    """What the stage of a step asks for, a GPU for example, as far as workers of the cluster offer it."""
    wanted = STAGES[step.stage].resources(step)
    if not wanted:
        return None
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    offered = {name for worker in workers for name, amount in worker["resources"].items() if amount}
    return {name: amount for name, amount in wanted.items() if name in offered} or None
