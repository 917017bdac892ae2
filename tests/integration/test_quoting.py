"""What files hold is not quoted by errors that dlif did not foresee, nor are secrets: not in the store, not in logs."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dlif_core.ingest import READERS, IngestedScan, ScanFiles
from dlif_core.study.config import StudyConfig
from dlif_core.study.status import study_status
from flows.cli import app
from tests.contract.toy_reader import ToyReader
from tests.integration.marks import marks_below, marks_in
from tests.integration.test_study_reader import write_scan

SECRET = "Zq0002x-secret"


def _number() -> None:
    float("Zq0001x Doe")


def _key() -> None:
    dict[str, int]()["Zq0001x"]


def _date() -> None:
    raise ValueError("Unknown format: %s", "born Zq0001x")


def _bytes() -> None:
    b"Zq0001x \xe9".decode()


def _chained() -> None:
    try:
        _number()
    except ValueError as fault:
        raise RuntimeError("the table can't be read") from fault


def _address() -> None:
    raise OSError(9, f"no answer from http://doe:{SECRET}@host", f"http://doe:{SECRET}@host/x")


def _environment() -> None:
    raise RuntimeError(f"request with {SECRET} was refused")


FAULTS: dict[str, tuple[Callable[[], None], str]] = {
    "number": (_number, "ValueError: could not convert string to float: text of 11 characters"),
    "key": (_key, "KeyError: 'text of 7 characters'"),
    "date": (_date, "ValueError"),
    "bytes": (_bytes, "UnicodeDecodeError"),
    "chained": (_chained, "RuntimeError: the table can't be read"),
    "address": (_address, "OSError: [Errno 9] no answer from http://***@host"),
    "environment": (_environment, "RuntimeError: request with *** was refused"),
}


class Unforeseen(ToyReader):
    """A reader that fails as code of others does."""

    fault: Callable[[], None]

    def open(self, files: ScanFiles) -> AbstractContextManager[IngestedScan]:
        type(self).fault()
        return super().open(files)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FSSPEC_TOY_SECRET", SECRET)
    READERS.register(Unforeseen())
    yield
    READERS.unregister(Unforeseen.name)


@pytest.mark.parametrize("name", FAULTS)
def test_an_unforeseen_error_quotes_nothing(
    tmp_path: Path,
    run_study: Callable[..., StudyConfig],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    fault, told = FAULTS[name]
    monkeypatch.setattr(Unforeseen, "fault", staticmethod(fault), raising=False)
    write_scan(tmp_path / "mice")
    config = run_study(tmp_path, data={"uri": "mice", "format": "toy"}, input_functions={"arterial": {}})
    (scan,) = study_status(config).scans
    assert told in " ".join(scan.notes)
    assert marks_below(tmp_path / "out") == {}
    shown = CliRunner().invoke(app, ["status", str(tmp_path / "study.yaml"), "--json"])
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "study.yaml"), "--workers", "1", "--json"])
    assert marks_in((shown.output + checked.output + caplog.text).encode()) == set()
    assert json.loads(shown.stdout)
