"""Runs whose process was killed don't stay Running in Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.states import Crashed

from dlif_core.store import Store
from dlif_core.study.runs import RunRecord, close_dead_runs

_UNFINISHED = [StateType.RUNNING, StateType.PENDING]


def close_killed_runs(store: Store) -> list[RunRecord]:
    """Set runs of a study that were killed, with their batches and tasks, to Crashed; returns them."""
    killed = close_dead_runs(store)
    with get_client(sync_client=True) as client:
        for run in killed:
            if run.flow_run:
                _crash(client, run, UUID(run.flow_run))
    return killed


def _crash(client: SyncPrefectClient, run: RunRecord, flow_run: UUID) -> None:
    """A server that doesn't know the run finds nothing to set."""
    state: State[Any] = Crashed(message=f"The process {run.owner.pid} on {run.owner.host}, which ran it, was killed.")
    for parent in (flow_run, *_batches(client, flow_run)):
        tasks = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[parent])),
            task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=_UNFINISHED))),
        )
        for task in tasks:
            client.set_task_run_state(task.id, state, force=True)
        unfinished = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                id=FlowRunFilterId(any_=[parent]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)),
            )
        )
        for found in unfinished:
            client.set_flow_run_state(found.id, state, force=True)


def _batches(client: SyncPrefectClient, flow_run: UUID) -> Iterator[UUID]:
    below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run]))
    for found in client.read_flow_runs(flow_run_filter=below):
        yield found.id
