import dataclasses
import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from dlif_core.store import owner as owner_module
from dlif_core.store.owner import Owner


def test_this_process_lives() -> None:
    owner = Owner.current()
    assert Owner.from_json(owner.to_json()) == owner
    assert owner.is_this_process
    assert owner.may_be_alive


def test_a_process_that_ended_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    owner = dataclasses.replace(Owner.current(), pid=child.pid)
    assert not owner.may_be_alive


def test_a_later_process_with_the_same_pid_is_another() -> None:
    current = Owner.current()
    assert not dataclasses.replace(current, started=current.started - 3600).may_be_alive
    assert not dataclasses.replace(current, started=current.started - 3600).is_this_process


def test_a_clock_that_is_set_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The times that psutil gives of a process move with the clock of the machine."""
    owner = Owner.current()
    before = psutil.Process().create_time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: before + 3600.0)
    assert owner.is_known_alive
    assert dataclasses.replace(Owner.current(), since=owner.since) == owner


def test_another_machine_of_the_same_name_is_another() -> None:
    owner = dataclasses.replace(Owner.current(), boot="d1f0", pid=2**22 + 1)
    assert not owner.is_here
    assert owner.may_be_alive
    assert not owner.is_known_dead


def test_a_process_that_the_system_hides_may_be_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    def hidden(pid: int, boot: str) -> float:
        raise FileNotFoundError

    other = dataclasses.replace(Owner.current(), pid=1)
    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(owner_module, "_started", hidden)
    assert (other.is_known_alive, other.is_known_dead, other.may_be_alive) == (False, False, True)


def test_what_a_later_version_writes_beside_is_left_out() -> None:
    record = dataclasses.asdict(Owner.current()) | {"colour": "red"}
    assert Owner.from_json(json.dumps(record).encode()) == Owner.from_record(record)


@pytest.mark.parametrize("text", ["", "x"])
def test_a_strange_number_of_restarts_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", text)
    assert Owner.current().restarts == 0


@pytest.mark.parametrize(("hours", "alive"), [(1, True), (48, False)])
def test_a_process_elsewhere_is_given_a_day(hours: float, alive: bool) -> None:
    owner = dataclasses.replace(Owner.current(), host="another.machine", since=time.time() - hours * 3600)
    assert not owner.is_here
    assert owner.may_be_alive is alive


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"host": "a"}'])
def test_a_cut_off_owner_is_nobody(data: bytes) -> None:
    assert Owner.from_json(data) is None


@pytest.mark.parametrize("change", [{"pid": -5}, {"pid": "x"}, {"since": 9e99}, {"started": float("nan")}])
def test_a_record_that_is_no_process_is_none(change: dict[str, object]) -> None:
    record = dataclasses.asdict(Owner.current()) | change
    assert Owner.from_json(json.dumps(record).encode()) is None
