"""Records of runs: how the last one ended, and that a process is gone that never said so."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dlif_core.store import create_store
from dlif_core.study.runs import close_dead_runs, last_run, read_runs, recorded_run

KILLED = """
import os, signal, sys
from dlif_core.store import open_store
from dlif_core.study.runs import recorded_run
with recorded_run(open_store(sys.argv[1]), "cohort", "id-of-the-run", "http://page"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_says_how_it_ended_and_only_the_last_one_is_kept(tmp_path: Path) -> None:
    store = create_store(str(tmp_path))
    for message in ("first", "second"):
        with recorded_run(store, "cohort") as end:
            assert "is at work" in str(last_run(store))
            end.tell("PartialSuccess", message)
    [record] = read_runs(store)
    assert (record.state, record.message) == ("PartialSuccess", "second")
    assert "cohort, PartialSuccess: second" in str(record)


def test_a_fault_is_recorded_and_raised(tmp_path: Path) -> None:
    store = create_store(str(tmp_path))
    with pytest.raises(ValueError, match="wrong"), recorded_run(store, "cohort"):
        raise ValueError("wrong")
    with pytest.raises(KeyboardInterrupt), recorded_run(store, "cohort"):
        raise KeyboardInterrupt
    record = last_run(store)
    assert record is not None
    assert record.state == "Interrupted"


def test_a_killed_run_is_told_and_closed_once(tmp_path: Path) -> None:
    store = create_store(str(tmp_path))
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    record = last_run(store)
    assert record is not None
    assert record.is_dead
    assert "cohort, Killed: process" in str(record)
    assert [run.flow_run for run in close_dead_runs(store)] == ["id-of-the-run"]
    assert close_dead_runs(store) == []
    record = last_run(store)
    assert record is not None
    assert record.state == "Killed"


STRANGE = {
    "nothing": b"",
    "bytes": bytes(range(256)),
    "a list": b"[1]",
    "a number": b"5",
    "nested deeply": b"[" * 100_000,
    "no owner": b'{"name": "x", "flow": "cohort"}',
    "an owner that is none": b'{"name": "x", "flow": "a", "owner": {"host": "a", "pid": -1, "started": 0, "since": 0}}',
    "an owner that is a text": b'{"name": "x", "flow": "a", "owner": "me"}',
    "more keys": b'{"other": 1, "flow": "a", "owner": {"host": "a", "pid": 1, "started": 0, "since": 0}}',
    "other types": b'{"flow": 5, "state": [], "owner": {"host": "a", "pid": 1, "started": 0, "since": 0}}',
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_record_is_told_and_left_alone(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = create_store(str(tmp_path))
    with recorded_run(store, "cohort"):
        pass
    strange = tmp_path / ".runs" / "9999999999.000-strange.json"
    strange.write_bytes(STRANGE[name])
    record = last_run(store)
    assert record is not None
    assert record.flow == "cohort"
    assert close_dead_runs(store) == []
    assert f"{strange} is no record of a run" in caplog.text
    with recorded_run(store, "cohort"):
        pass
    assert len(read_runs(store)) == 1
    assert strange.read_bytes() == STRANGE[name]


def test_the_file_names_a_record_whatever_it_says_itself(tmp_path: Path) -> None:
    """Records that ended are deleted by name: one that calls itself like another file must not delete that."""
    store = create_store(str(tmp_path))
    with recorded_run(store, "cohort"):
        pass
    [file] = (tmp_path / ".runs").iterdir()
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"name": "../precious"}))
    (tmp_path / "precious.json").write_text("{}")
    with recorded_run(store, "cohort"):
        pass
    assert (tmp_path / "precious.json").exists()
    assert not file.exists()
