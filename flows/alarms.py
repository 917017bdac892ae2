"""Automations on a Prefect server: runs that fail, are late or lost their process are told to people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal, cast
from uuid import UUID

from prefect.automations import AutomationCore, EventTrigger, Posture, ResourceSpecification
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook, ChangeFlowRunState, SendNotification
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from dlif_core.errors import ConfigurationError
from flows.watch.states import PARTIAL_SUCCESS

#: Variable of the environment with the address that alarms call. Everyone can read the options of a program.
ALARM_WEBHOOK = "DLIF_ALARM_WEBHOOK"

_WEBHOOK = "dlif-alarm"
_TAGGED: dict[str, str | list[str]] = {"prefect.resource.id": "prefect.tag.dlif", "prefect.resource.role": "tag"}

_FAILED = {f"prefect.flow-run.{name}" for name in ("Failed", "Crashed", "TimedOut", PARTIAL_SUCCESS)}
_LATE = {"prefect.flow-run.Late"}
_HEARTBEAT = "prefect.flow-run.heartbeat"
#: What shows that a run lives, or that it ended; a run that was cancelled or paused sends no heartbeats either.
_SIGNS = {
    _HEARTBEAT,
    *(f"prefect.flow-run.{name}" for name in ("Completed", "Cancelled", "Cancelling", "Paused", "Suspended")),
} | _FAILED

#: A run lost its process if it sends no heartbeat for so long; templates of work pools have it send one a minute, other
#: runs send one every three minutes.
SILENCE = timedelta(minutes=10)

_TOLD = {
    "text": "flow.name ~ ' ' ~ flow_run.name ~ ': ' ~ flow_run.state.name ~ '. ' ~ flow_run.state.message",
    "flow": "flow.name",
    "run": "flow_run.name",
    "state": "flow_run.state.name",
    "message": "flow_run.state.message",
    "url": "flow_run|ui_url",
}
#: What a webhook gets: JSON, filled in by the server.
_PAYLOAD = "{" + ", ".join(f'"{name}": {{{{ ({told})|tojson }}}}' for name, told in _TOLD.items()) + "}"


def register_alarms(
    client: SyncPrefectClient, webhook: str, notify: str, silence: timedelta = SILENCE
) -> Iterator[str]:
    """Make the automations, or bring them up to date; yields a line for each.

    Parameters
    ----------
    client
        Client of the server.
    webhook
        Address to call; none if empty. The server keeps it as a secret.
    notify
        Notification block, as type/name; none if empty.
    silence
        How long a run may be silent before it counts as crashed.
    """
    actions = [*_webhook_action(webhook), *_notification(client, notify)]
    for name, events in (("dlif: runs that failed", _FAILED), ("dlif: runs that are late", _LATE)):
        if actions:
            yield _register(client, name, _trigger(expect=events), actions)
    yield _register(
        client,
        "dlif: runs that lost their process",
        _trigger(after={_HEARTBEAT}, expect=_SIGNS, posture=Posture.Proactive, within=silence),
        [
            ChangeFlowRunState(
                name=None,
                force=False,
                state=StateType.CRASHED,
                message="It sends no sign of life: its process was killed.",
            )
        ],
    )
    if not actions:
        yield f"runs that fail or are late: no alarm; set {ALARM_WEBHOOK} or give --notify. An earlier alarm stays."


def _trigger(
    expect: set[str],
    after: set[str] | None = None,
    posture: Literal[Posture.Reactive, Posture.Proactive] = Posture.Reactive,
    within: timedelta = timedelta(0),
) -> EventTrigger:
    """A trigger for each run of dlif."""
    return EventTrigger(
        expect=expect,
        after=after or set(),
        posture=posture,
        within=within,
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=_TAGGED,
        for_each={"prefect.resource.id"},
        threshold=1,
    )


def _register(client: SyncPrefectClient, name: str, trigger: EventTrigger, actions: list[Any]) -> str:
    wanted = AutomationCore(name=name, trigger=trigger, actions=actions)
    found = client.read_automations_by_name(name)
    if not found:
        client.create_automation(wanted)
        return f"alarm {name!r}: made"
    client.update_automation(found[0].id, wanted)
    return f"alarm {name!r}: brought up to date"


def _webhook_action(url: str) -> Iterator[CallWebhook]:
    if url:
        block = cast(UUID, Webhook(method="POST", url=SecretStr(url)).save(_WEBHOOK, overwrite=True))
        yield CallWebhook(block_document_id=block, payload=_PAYLOAD)


def _notification(client: SyncPrefectClient, name: str) -> Iterator[SendNotification]:
    if not name:
        return
    kind, _, document = name.partition("/")
    try:
        found = client.read_block_document_by_name(document, kind)
    except ObjectNotFound as fault:
        raise ConfigurationError(
            "there is no such block on the server.",
            where=f"--notify {name}",
            hint="Make it in the UI (Blocks), for example an e-mail block, and name it as type/name.",
        ) from fault
    body = f"{{{{ {_TOLD['text']} }}}}\n{{{{ {_TOLD['url']} }}}}"
    yield SendNotification(block_document_id=found.id, subject="dlif: {{ flow_run.name }}", body=body)
