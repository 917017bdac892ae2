"""Nothing that people write into metadata reaches outputs, messages, logs or Prefect's database.

A data set with a mark in the place of every name, date and remark is checked, planned, run (with a real Prefect server
and without), and reported; then all that came of it is searched for the marks. Explanations, training and evaluation
read nothing but such stores.
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

from dlif_core.errors import ExitCode
from dlif_core.export import EXPORTERS
from dlif_core.study.config import load_study
from dlif_core.study.states import ScanState, ScanStatus
from dlif_core.study.status import study_status
from flows.cli import app
from tests.integration.marked_dataset import INPUT_FUNCTION, SCANS, SOUND, UNREADABLE, write_marked
from tests.integration.marks import Marks, in_all_forms, marks_below, marks_in

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.service]

STUDY = {
    "input_functions": {"from-file": {"path": f"{{data}}/{INPUT_FUNCTION}"}, "arterial": {}},
    "kinetics": [{"model": "patlak", "t_star": 15, "maps": False}],
}
#: Prefect as `dlif run` sets it up, with all that it logs and a database of its own.
PREFECT = {
    "PREFECT_LOGGING_LEVEL": "DEBUG",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "DEBUG",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
WIDE = {"COLUMNS": "1000"}
BEFORE = (("check", "--workers", "1"), ("check", "--workers", "1", "--json"), ("plan",))
AFTER = (("plan", "--json"), ("status",), ("status", "--json"), ("report",))


@dataclass(frozen=True)
class Outcome:
    """What came of the data set: marks by place, those found by file, and the states of the scans."""

    folder: Path
    marks: Marks
    found: dict[str, set[str]]
    states: dict[str, ScanState]

    @property
    def all_found(self) -> set[str]:
        return set().union(*self.found.values())


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder, marks = tmp_path_factory.mktemp("privacy"), Marks()
    work = folder / "work"
    data = write_marked(folder / "bids", marks)
    work.mkdir()
    study = write_study(work / "study.yaml", data)
    shard = write_study(work / "shard.yaml", data, scans=[SOUND, "sub-f00"])
    for command in BEFORE:
        shown(command, study)
    run(study, "--workers", "1")
    for command in AFTER:
        shown(command, study)
    formats = [part for name in EXPORTERS for part in ("--format", name)]
    CliRunner().invoke(app, ["export", str(study), "--to", str(work / "export"), *formats], env=WIDE)
    run(shard, "--shard", "1/1")
    states = {state.scan: state for state in study_status(load_study(study)).scans}
    return Outcome(work, marks, marks_below(work), states)


def write_study(path: Path, data: Path, **content: object) -> Path:
    path.write_text(
        yaml.safe_dump({"name": path.stem, "data": str(data), "output": f"out-{path.stem}"} | STUDY | content)
    )
    return path


def shown(command: tuple[str, ...], study: Path) -> None:
    """Keep what a command of the command line shows."""
    name, *options = command
    result = CliRunner().invoke(app, [name, str(study), *options], env=WIDE)
    assert result.exit_code in (0, ExitCode.PARTIAL), result.output
    stem = study.parent / "-".join(command)
    Path(f"{stem}.out").write_text(result.stdout)
    Path(f"{stem}.err").write_text(result.stderr)


def run(study: Path, *options: str) -> None:
    """Run a study, and keep all that is shown and logged."""
    command = [sys.executable, "-m", "flows.cli", "run", str(study), *options]
    environment = os.environ | WIDE | PREFECT | {"PREFECT_HOME": str(study.parent / "prefect")}
    with (study.parent / f"run-{study.stem}.log").open("wb") as log:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, timeout=300)
    assert done.returncode == ExitCode.PARTIAL


def test_marks_of_people_are_in_no_output(outcome: Outcome) -> None:
    leaks = {path: told for path, marks in outcome.found.items() if (told := outcome.marks.leaked(marks))}
    assert leaks == {}


def test_marks_with_a_reason_are_where_they_are_expected(outcome: Outcome) -> None:
    missing = {mark: outcome.marks.places[mark] for mark in outcome.marks.reasons.keys() - outcome.all_found}
    assert missing == {}


def test_the_sound_scan_is_analysed_and_every_fault_is_told(outcome: Outcome) -> None:
    assert outcome.states[SOUND].status is ScanStatus.SUCCESS
    assert {scan.partition("_")[0] for scan in outcome.states} == {SOUND, *SCANS}
    said = (outcome.folder / "check---workers-1---json.out").read_text()
    findings = {scan["scan"].partition("_")[0]: json.dumps(scan["findings"]) for scan in json.loads(said)}
    hidden = re.compile(r"text of \d+ characters|a list of \d values|an object")
    for subject, names in SCANS.items():
        told = len(hidden.findall(findings[subject]))
        assert told >= sum(name in UNREADABLE for name in names), (subject, names, findings[subject])


def test_everything_was_run(outcome: Outcome) -> None:
    for name in ("out-study/cohort/report.html", "out-shard/cohort/report.html", "export/ro-crate-metadata.json"):
        assert (outcome.folder / name).exists()
    assert (outcome.folder / "prefect" / "prefect.db").stat().st_size > 100_000


def test_every_place_has_its_mark(outcome: Outcome) -> None:
    data = outcome.folder.parent / "bids"
    planted = set().union(*marks_below(data).values())
    in_pieces = {"header", "link"}  # longer than the field, or the target of a link
    absent = {place for mark, place in outcome.marks.places.items() if mark not in planted}
    assert {place for place in absent if not any(word in place for word in in_pieces)} == set()
    assert len(planted) > 200


class TestSearch:
    @pytest.mark.parametrize("form", range(len(in_all_forms("Zq0001x"))))
    def test_finds_every_form(self, form: int) -> None:
        assert marks_in(b"before " + in_all_forms("Zq0001x")[form] + b" after") == {"Zq0001x"}

    def test_finds_text_in_arrays_and_attributes(self, tmp_path: Path) -> None:
        names = xr.Dataset(coords={"region": ["Zq0001x"] * 500}, attrs={"note": "Zq0002x"})
        names.to_zarr(tmp_path / "a.zarr", consolidated=False, zarr_format=3)
        assert b"Zq0001x" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert set().union(*marks_below(tmp_path).values()) == {"Zq0001x", "Zq0002x"}

    def test_finds_names_of_files_and_cells_of_databases(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "a.db")) as database:
            database.execute("create table runs (name text)")
            database.execute("insert into runs values (?)", ["a" * 5000 + "zq0004x"])
            database.commit()
        (tmp_path / "Zq0005x").mkdir()
        assert set().union(*marks_below(tmp_path).values()) == {"Zq0004x", "Zq0005x"}
