"""The flow that takes in new data: scans are read, checked and stored, and nothing is fitted."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from dlif_core.study.job import Job
from dlif_core.study.stages.ingest import INGEST
from flows.parameters import ClusterName, StudyPath, WorkerCount
from flows.study_run import RUNNER, run_name, run_study


@flow(name="ingest", flow_run_name=run_name, task_runner=RUNNER, persist_result=False)
def ingest(study: StudyPath, cluster: ClusterName = "", workers: WorkerCount = None) -> State[Any]:
    """Read, check and store scans that are new or have changed; what is wrong with them is known before the night.

    Returns
    -------
    Completed, with how many scans wait for their analyses in the message.
    """
    return run_study(study, cluster, workers, _reads_files)


def _reads_files(job: Job) -> bool:
    return job.step.stage == INGEST.name
