"""Registers a study on a Prefect server: work pool, limit of GPU work, deployments, alarms; again if they are there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from zoneinfo import available_timezones

from prefect.client.base import ServerType, determine_server_type
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from slugify import slugify

from dlif_core.errors import ConfigurationError
from flows.alarms import register_alarms
from tasks.steps import GPU_LIMIT

#: When studies are brought up to date unless it is said: every night at two.
_CRON = "0 2 * * *"

#: Type of the Prefect worker that serves a pool, where it has another name than the pool's template.
_WORKERS = {"slurm": "process"}


@dataclass(frozen=True)
class Target:
    """How a study is to run.

    Attributes
    ----------
    pool
        Template of the work pool, a file in deployments/work-pools.
    cluster
        Cluster on which a run does its work; as the study says if empty.
    cron, timezone
        When it runs; as it is registered, or at night by UTC, if empty.
    gpus
        Pieces of work on GPUs at once, over all runs.
    webhook
        Address that alarms call; none if empty.
    notify
        Notification block that alarms use, as type/name; none if empty.
    """

    pool: str
    cluster: str
    cron: str
    timezone: str
    gpus: int
    webhook: str
    notify: str

    def __post_init__(self) -> None:
        _require_plain(self.cluster, "--cluster")
        if self.timezone and self.timezone not in available_timezones():
            hint = "Give one such as Europe/Oslo or UTC."
            raise ConfigurationError(f"{self.timezone!r} is no time zone.", where="--timezone", hint=hint)
        try:
            CronSchedule(cron=self.cron or _CRON)
        except ValueError as fault:
            hint = "Give minute, hour, day, month and weekday, such as 0 2 * * * for every night at two."
            raise ConfigurationError(f"{self.cron!r} is no schedule of cron.", where="--cron", hint=hint) from fault

    @property
    def pool_name(self) -> str:
        """Name of the work pool."""
        return f"dlif-{self.pool}"


def deploy_study(study: str, name: str, target: Target) -> Iterator[str]:
    """Register a study; yields lines that say what was done.

    Parameters
    ----------
    study
        Path or URL of the study file, the same for the workers.
    name
        Name of the study.
    target
        How it is to run.

    Raises
    ------
    ConfigurationError
        If there is no server, it refuses something, or another study of that name is registered there.
    """
    _require_plain(study, "study file")
    if not slugify(name):
        hint = "Give the study a `name` with letters or digits."
        raise ConfigurationError(f"{name!r} gives no name of a deployment.", where="name", hint=hint)
    if not os.environ.get("PREFECT_API_URL", "x"):  # set, but empty: Prefect would take that for a server of its own
        del os.environ["PREFECT_API_URL"]
    if determine_server_type() is ServerType.EPHEMERAL:
        raise ConfigurationError(
            "there is no Prefect server to deploy to.",
            where="PREFECT_API_URL",
            hint="Start one (`prefect server start`) and set the variable, for example to http://127.0.0.1:4200/api.",
        )
    with get_client(sync_client=True) as client:
        target = _as_registered(client, study, slugify(name), target)
        yield _set_work_pool(client, target)
        client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, target.gpus)
        yield f"limit {GPU_LIMIT}: {target.gpus} at once, over all runs"
        _deploy(study, slugify(name), target)
        yield from _deployed(client)
        yield from register_alarms(client, target.webhook, target.notify)
    worker = _WORKERS.get(target.pool, target.pool)
    yield f"Next: prefect worker start --pool {target.pool_name} --type {worker}"


def _require_plain(text: str, where: str) -> None:
    """Refuse a text that Prefect would take for a template: it puts variables of the environment in its place."""
    if "{{" in text:
        hint = "Prefect fills in what stands in {{ }}. Choose another name."
        raise ConfigurationError(f"{text!r} can't be registered.", where=where, hint=hint)


def _as_registered(client: SyncPrefectClient, study: str, name: str, target: Target) -> Target:
    """The target with the schedule that the study has on the server, as far as none is given.

    Raises
    ------
    ConfigurationError
        If a study in another place is registered by that name: its runs would become runs of this one.
    """
    cron, timezone = _CRON, "UTC"
    try:
        found = client.read_deployment_by_name(f"cohort/{name}-nightly")
    except ObjectNotFound:
        return replace(target, cron=target.cron or cron, timezone=target.timezone or timezone)
    if (other := found.parameters.get("study", study)) != study:
        raise ConfigurationError(
            f"the server has a study of that name already: {other}.",
            where=f"name: {name}",
            hint="Give this one another `name` in its study file, or delete the deployments of the other first.",
        )
    for given in (one.schedule for one in found.schedules):
        if isinstance(given, CronSchedule):
            cron, timezone = given.cron, given.timezone or timezone
    return replace(target, cron=target.cron or cron, timezone=target.timezone or timezone)


def _set_work_pool(client: SyncPrefectClient, target: Target) -> str:
    template = json.loads(files("deployments").joinpath("work-pools", f"{target.pool}.json").read_text())
    described = f"dlif, from the template {target.pool}"
    try:
        client.read_work_pool(target.pool_name)
    except ObjectNotFound:
        kind = _WORKERS.get(target.pool, target.pool)
        pool = WorkPoolCreate(name=target.pool_name, type=kind, base_job_template=template, description=described)
        client.create_work_pool(pool)
        return f"work pool {target.pool_name}: made"
    client.update_work_pool(target.pool_name, WorkPoolUpdate(base_job_template=template, description=described))
    return f"work pool {target.pool_name}: brought up to date"


def _deploy(study: str, name: str, target: Target) -> None:
    """Have Prefect read deployments/prefect.yaml."""
    variables = {
        "DLIF_STUDY": study,
        "DLIF_STUDY_NAME": name,
        "DLIF_CLUSTER": target.cluster,
        "DLIF_CRON": target.cron,
        "DLIF_TIMEZONE": target.timezone,
        "DLIF_WORK_POOL": target.pool_name,
    }
    with as_file(files("deployments").joinpath("prefect.yaml")) as path:
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
        done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = f"{done.stdout}\n{done.stderr}".split("\n")
        told = [line.strip() for line in lines if line.strip()][-1].partition(" - For more information")[0]
        raise ConfigurationError(
            f"Prefect does not take the deployments: {told}.",
            where=os.environ.get("PREFECT_API_URL", "server"),
            hint="Correct what it names and repeat; what is registered stays.",
        )


def _deployed(client: SyncPrefectClient) -> Iterator[str]:
    """Every deployment of dlif on the server, with its schedule."""
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=["dlif"]))
    for one in client.read_deployments(deployment_filter=tagged):
        given = [schedule.schedule for schedule in one.schedules if schedule.active]
        cron = [f"{when.cron} {when.timezone}" for when in given if isinstance(when, CronSchedule)]
        yield f"deployment {client.read_flow(one.flow_id).name}/{one.name}: {', '.join(cron) or 'started by hand'}"
