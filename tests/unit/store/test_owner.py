import dataclasses
import json
import subprocess
import sys
import time

import pytest

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
