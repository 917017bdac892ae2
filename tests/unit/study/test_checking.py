"""Checks of all scans of a study: each is told of, whatever is wrong with it, and nothing is computed or written."""

import json
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import dlif_core as dlif
from dlif_core.checks import Finding
from dlif_core.checks.suspicion import as_records, by_suspicion
from dlif_core.errors import ConfigurationError, ExitCode
from dlif_core.study.checking import CheckedScan, check_scans, exit_code, study_to_check
from dlif_core.study.scans import included_scans
from tests.unit.ingest.bids.dataset import SIDECAR, write

MINUTES = [0, 1, 2, 5, 10, 20, 40]
START = [60.0 * minute for minute in MINUTES]
DURATION = [60.0, 60.0, 180.0, 300.0, 600.0, 1200.0, 1200.0]
#: Uptake of a region [kBq/mL] in a subject of 70 kg with 200 MBq.
CURVE = [0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.5]


def add_scan(root: Path, subject: str, factor: float = 1.0, **sidecar: object) -> None:
    """A sound scan of a region's curve, with changes to its sidecar; frame times may be in another unit."""
    start, duration = (list(factor * np.array(times)) for times in (START, DURATION))
    own = {"FrameTimesStart": start, "FrameDuration": duration, "InjectedRadioactivity": 200.0, "BodyWeight": 70.0}
    write(root / subject / "pet" / f"{subject}_pet.json", SIDECAR | own | sidecar)
    rows = zip(start, np.add(start, duration), CURVE, strict=True)
    table = "\n".join(["frame_start\tframe_end\tcortex", *("\t".join(map(str, row)) for row in rows)])
    name = f"{subject}_desc-seg_tacs"
    write(root / "derivatives" / "extract" / subject / f"{name}.tsv", table + "\n")
    write(root / "derivatives" / "extract" / subject / f"{name}.json", {"cortex": {"Units": "kBq/mL"}})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A sound scan, one whose times are minutes, and one whose sidecar is no JSON."""
    data = tmp_path / "bids"
    people = [f"sub-0{number}\thomo sapiens\t70" for number in (1, 2, 3)]
    write(data / "participants.tsv", "\n".join(["participant_id\tspecies\tweight", *people, ""]))
    write(data / "participants.json", {"weight": {"Units": "kg"}})
    for subject in ("sub-01", "sub-02", "sub-03"):
        add_scan(data, subject, factor=1 / 60 if subject == "sub-02" else 1.0)
    write(data / "sub-03" / "pet" / "sub-03_pet.json", "{")
    return data


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def checked(path: Path, executor: Executor) -> dict[str, CheckedScan]:
    config = study_to_check(path)
    return {scan.scan: scan for scan in check_scans(config, included_scans(config).values(), executor)}


def levels(scan: CheckedScan) -> set[tuple[str, str]]:
    return {(finding.check, str(finding.level)) for finding in scan.findings}


def test_every_scan_is_told_of_and_nothing_is_written(root: Path, executor: Executor) -> None:
    before = sorted(path for path in root.parent.rglob("*"))
    found = checked(root, executor)
    assert {name: scan.is_usable for name, scan in found.items()} == {
        "sub-01": True,
        "sub-02": False,
        "sub-03": False,
    }
    assert ("scan-too-short", "doubtful") in levels(found["sub-02"])
    (fault,) = found["sub-03"].findings
    assert "sub-03_pet.json" in fault.where
    assert (str(fault.level), bool(fault.remedy)) == ("refused", True)
    assert sorted(path for path in root.parent.rglob("*")) == before


def test_an_exception_that_nobody_foresaw_is_a_finding_of_its_scan(
    root: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlif_core.ingest.bids import reader

    def broken(files: object) -> None:
        raise ZeroDivisionError("no wonder")

    monkeypatch.setattr(reader.PetBids, "open", lambda self, files: broken(files))
    found = checked(root, executor)
    assert len(found) == 3
    for scan in found.values():
        (finding,) = scan.findings
        assert (finding.check, finding.withholds) == ("unreadable", True)
        assert "ZeroDivisionError: no wonder" in finding.message
        assert f"{scan.scan}/pet/{scan.scan}_pet.json" in finding.where.split(", ")


def test_a_study_file_says_which_doubts_are_accepted(root: Path, executor: Executor) -> None:
    write(root.parent / "study.yaml", "{name: a, data: bids, output: out, scans: [sub-02], accept: [scan-too-short]}")
    (scan,) = checked(root.parent / "study.yaml", executor).values()
    assert ("scan-too-short", "doubtful") in levels(scan)
    assert scan.is_usable
    assert not (root.parent / "out").exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("t\tf\n1\t0.9\n10\t0.5\n30\t0.3\n60\t0.2\n", ""),
        ("t\tf\n1\t90\n10\t50\n30\t30\n60\t20\n", "percent"),
        ("t\tg\n1\t0.9\n10\t0.5\n", "no column 'f'"),
        (None, "no such file"),
    ],
)
def test_the_file_of_plasma_is_read(root: Path, executor: Executor, table: str | None, said: str) -> None:
    plasma = "{path: parent.tsv, time_unit: min, columns: {time: t, parent_fraction: f}}"
    methods = f"{{hybrid: {{plasma: {plasma}}}, population: {{plasma: {plasma}}}}}"
    write(
        root.parent / "study.yaml", f"{{name: a, data: bids, output: out, scans: [sub-01], input_functions: {methods}}}"
    )
    if table is not None:
        write(root.parent / "parent.tsv", table)
    (scan,) = checked(root.parent / "study.yaml", executor).values()
    found = [finding for finding in scan.findings if finding.check == "plasma-file"]
    assert len(found) == bool(said)
    assert scan.is_usable is not bool(said)
    for finding in found:
        assert said in finding.message + finding.remedy
        assert "parent.tsv" in finding.where


def test_exit_codes(root: Path, executor: Executor) -> None:
    found = checked(root, executor)
    assert exit_code([found["sub-01"]]) is ExitCode.SUCCESS
    assert exit_code(found.values()) is ExitCode.PARTIAL
    assert exit_code([found["sub-02"], found["sub-03"]]) is ExitCode.NOTHING_SUCCEEDED


def test_a_folder_without_scans_is_said_to_have_none(tmp_path: Path, executor: Executor) -> None:
    with pytest.raises(ConfigurationError, match="no PET-BIDS scan"):
        checked(tmp_path, executor)


def test_what_weighs_most_comes_first_and_what_many_scans_share_is_told_once(root: Path, executor: Executor) -> None:
    add_scan(root, "sub-04", InjectedRadioactivity="n/a")
    add_scan(root, "sub-05", InjectedRadioactivity="n/a")
    found: dict[str, tuple[Finding, ...]] = {name: s.findings for name, s in sorted(checked(root, executor).items())}
    rows = by_suspicion(found)
    order = ["refused", "doubtful", "assumed", "repaired"]
    assert [str(row.finding.level) for row in rows] == sorted((str(row.finding.level) for row in rows), key=order.index)
    assert rows[0].scans == ("sub-03",)
    assert rows[0].places == ("sub-03/pet/sub-03_pet.json",)
    shared = next(row for row in rows if row.finding.part == "dose")
    assert (shared.scans, len(shared.places)) == (("sub-04", "sub-05"), 2)
    assert shared.scans_in_brief == "sub-04, sub-05"
    records = as_records(found)
    assert len(records) == sum(len(findings) for findings in found.values())
    assert records[0]["scan"] == "sub-03"
    assert json.loads(json.dumps(records)) == records


def test_a_notebook_gets_the_findings_as_a_table(root: Path) -> None:
    table = dlif.check(root)
    assert table["scan"].iloc[0] == "sub-03"
    short = table[table["check"] == "scan-too-short"].iloc[0]
    assert (short["scan"], short["level"], short["accepted"]) == ("sub-02", "doubtful", False)
    assert "accept: [scan-too-short]" in short["remedy"]
