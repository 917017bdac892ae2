"""The cohort flow: every scan of a study through every stage that is not up to date."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.parameters import ClusterName, StudyPath, WorkerCount
from flows.study_run import RUNNER, run_name, run_study


@flow(name="cohort", flow_run_name=run_name, task_runner=RUNNER, persist_result=False)
def cohort(study: StudyPath, cluster: ClusterName = "", workers: WorkerCount = None) -> State[Any]:
    """Bring a study up to date: only what is missing or has changed is computed.

    Returns
    -------
    Completed, PartialSuccess if some scans failed, or Failed if none succeeded, with the counts in the message.
    """
    return run_study(study, cluster, workers)
