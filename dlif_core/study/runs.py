"""Records of the runs of a study, kept in its store: who runs it, since when, and how the last run ended.

They need no server, so that ``dlif status`` can tell at once how the last run ended, and that a run was killed.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from dlif_core.finite import to_json
from dlif_core.store import Store
from dlif_core.store.owner import Owner

_LOG = logging.getLogger(__name__)

_FOLDER = ".runs"
_TEXTS = ("flow", "flow_run", "url", "state", "message")
RUNNING = "Running"
KILLED = "Killed"


@dataclass(frozen=True)
class RunRecord:
    """One run of a study.

    Attributes
    ----------
    name
        File of the record, without its ending; later runs have later names.
    flow
        What was run.
    owner
        Process that runs it.
    flow_run
        Id of the run in Prefect; empty without Prefect.
    url
        Page of the run in the Prefect UI.
    state
        ``Running``, or the name of the state in which it ended.
    message
        How it ended, in words for people.
    ended
        When it ended [s since the epoch].
    """

    name: str
    flow: str
    owner: Owner
    flow_run: str = ""
    url: str = ""
    state: str = RUNNING
    message: str = ""
    ended: float | None = None

    @property
    def is_dead(self) -> bool:
        """Whether its process is gone although it never said how it ended."""
        return self.state == RUNNING and not self.owner.may_be_alive

    def __str__(self) -> str:
        began = datetime.fromtimestamp(self.owner.since).isoformat(" ", "minutes")
        state = KILLED if self.is_dead else self.state
        return f"{began}, {self.flow}, {state}: {self.message or self._so_far()}{self.url and f' {self.url}'}"

    def _so_far(self) -> str:
        place = f"process {self.owner.pid} on {self.owner.host}"
        return f"{place} is gone." if self.is_dead else f"{place} is at work."

    def as_record(self) -> dict[str, Any]:
        """The run as plain values."""
        return asdict(self)


class RunEnd:
    """How the present run ends; to be told before `recorded_run` is left."""

    def __init__(self) -> None:
        self.state = "Completed"
        self.message = ""

    def tell(self, state: str, message: str) -> None:
        """Say how it ends."""
        self.state, self.message = state, message


@contextmanager
def recorded_run(store: Store, flow: str, flow_run: str = "", url: str = "") -> Iterator[RunEnd]:
    """Keep in the store that a run goes on, and how it ends; records of earlier runs that ended are deleted.

    Parameters
    ----------
    store
        Store of the study.
    flow
        What is run.
    flow_run, url
        Id and page of the run in Prefect.
    """
    owner = Owner.current()
    record = RunRecord(f"{owner.since:.3f}-{uuid.uuid4().hex[:8]}", flow, owner, flow_run, url)
    for earlier in read_runs(store):
        if earlier.state != RUNNING:
            store.folder.remove(_key(earlier.name))
    _write(store, record)
    end = RunEnd()
    try:
        yield end
    except BaseException as fault:
        end.tell("Failed" if isinstance(fault, Exception) else "Interrupted", f"{type(fault).__name__}: {fault}")
        raise
    finally:
        _write(store, replace(record, state=end.state, message=end.message, ended=time.time()))


def close_dead_runs(store: Store) -> list[RunRecord]:
    """Record that runs were killed whose process is gone; returns them."""
    dead = [replace(run, state=KILLED, message="its process is gone.") for run in read_runs(store) if run.is_dead]
    for run in dead:
        _write(store, run)
    return dead


def last_run(store: Store) -> RunRecord | None:
    """The run that was begun last."""
    return max(read_runs(store), key=lambda run: run.name, default=None)


def read_runs(store: Store) -> list[RunRecord]:
    """Every run that goes on or was killed, and the last one that ended."""
    found = store.folder.read_all(f"{_FOLDER}/{name}" for name in store.folder.files(_FOLDER) if name.endswith(".json"))
    runs = (_parsed(store, key, data) for key, data in found.items())
    return [run for run in runs if run is not None]


def _parsed(store: Store, key: str, data: bytes) -> RunRecord | None:
    """The record in a file; None if it is none, which is told."""
    try:
        content = json.loads(data)
        named = {
            "name": key.removeprefix(f"{_FOLDER}/").removesuffix(".json"),
            "owner": Owner.from_record(content["owner"]),
        }
        record = RunRecord(**content | named)
    except (ValueError, TypeError, KeyError, RecursionError):
        record = None
    if record is None or not all(isinstance(getattr(record, name), str) for name in _TEXTS):
        _LOG.warning("%s is no record of a run; it is left alone, and can be deleted.", store.folder.uri(key))
        return None
    return record


def _write(store: Store, record: RunRecord) -> None:
    store.folder.write(_key(record.name), to_json(record.as_record(), where="run").encode())


def _key(name: str) -> str:
    return f"{_FOLDER}/{name}.json"
