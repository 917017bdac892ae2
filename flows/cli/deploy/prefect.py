"""``dlif deploy prefect``: a study on a Prefect server, with its work pool, schedules, limits and alarms."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from flows.cli.options import StudyFile

_ALARMS = "Alarms"


class PoolKind(StrEnum):
    """Where a worker starts runs; each is a template in deployments/work-pools."""

    PROCESS = "process"
    SLURM = "slurm"
    DOCKER = "docker"
    KUBERNETES = "kubernetes"


def deploy_prefect(
    study: StudyFile,
    pool: Annotated[
        PoolKind, typer.Option(help="Where runs are started: on the worker's machine, or in jobs or containers.")
    ] = PoolKind.PROCESS,
    cluster: Annotated[
        str,
        typer.Option(
            help="Cluster on which a run does its work, as for `dlif run`; if left out, as the study says.",
            metavar="CLUSTER",
            show_default=False,
        ),
    ] = "",
    cron: Annotated[
        str,
        typer.Option(
            help="When the study is brought up to date; if left out, as it is registered, and at first `0 2 * * *`.",
            metavar="CRON",
            show_default=False,
        ),
    ] = "",
    timezone: Annotated[
        str,
        typer.Option(
            help="Time zone of the schedule, such as Europe/Oslo; if left out, as it is registered, and at first UTC.",
            metavar="ZONE",
            show_default=False,
        ),
    ] = "",
    gpus: Annotated[
        int, typer.Option(min=1, help="Pieces of work on GPUs at once, over all runs of the server.", metavar="COUNT")
    ] = 1,
    notify: Annotated[
        str,
        typer.Option(
            help="Notification block of Prefect that is told when a run fails, is late or was killed, such as "
            "sendgrid-email/team. An address in the variable DLIF_ALARM_WEBHOOK is called, too.",
            metavar="TYPE/NAME",
            show_default=False,
            rich_help_panel=_ALARMS,
        ),
    ] = "",
) -> None:
    """Register a study on the Prefect server of PREFECT_API_URL, and say what was done. It can be repeated."""
    from dlif_core.storage import joined
    from dlif_core.study.config import load_study
    from flows.alarms import ALARM_WEBHOOK
    from flows.deployment import Target, deploy_study
    from flows.server import server_is_needed

    target = Target(pool.value, cluster, cron, timezone, gpus, os.environ.get(ALARM_WEBHOOK, ""), notify)
    name = load_study(study).name
    with server_is_needed():
        for line in deploy_study(joined("", study), name, target):
            typer.echo(line)
