"""Body weight and species: which table, which row, which column, and what a fault in them costs."""

from pathlib import Path

import pytest

from dlif_core.ingest import IngestedScan, find_scans
from tests.unit.ingest.bids.dataset import make_dataset, write
from tests.unit.ingest.bids.opening import ingest


def with_table(root: Path, table: str, sidecar: dict[str, object] | None = None) -> IngestedScan:
    """The scan with another table of participants."""
    make_dataset(root)
    write(root / "participants.tsv", table)
    write(root / "participants.json", {"weight": {"Units": "kg"}} if sidecar is None else sidecar)
    return ingest(root)


def of_session(root: Path, table: str, sessions: str | None = None, session: str = "ses-2") -> IngestedScan:
    """A scan of a session with tables of participants and of sessions."""
    pet = make_dataset(root)
    folder = root / "sub-01" / session / "pet"
    folder.parent.mkdir()
    pet.rename(folder)
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("sub-01", f"sub-01_{session}"))
    write(root / "participants.tsv", table)
    write(root / "participants.json", {"weight": {"Units": "kg"}})
    if sessions is not None:
        write(root / "sub-01" / "sub-01_sessions.tsv", sessions)
        write(root / "sessions.json", {"body_weight": {"Units": "kg"}, "weight": {"Units": "kg"}})
    return ingest(root)


def checks(ingested: IngestedScan) -> list[str]:
    return [finding.check for finding in ingested.findings]


@pytest.mark.parametrize(
    ("column", "unit", "kilograms"),
    [
        ("weight", "kg", 70),
        ("body_weight", "kilograms", 70),
        ("Body weight", "Kilogram", 70),
        ("weight [g]", None, 0.07),
        ("weight (lb)", None, 31.7514659),
        ("weight_kg", None, 70),
        ("bodyweight", "pounds", 31.7514659),
        ("body_weight", "grams", 0.07),
    ],
)
def test_columns_and_units(tmp_path: Path, column: str, unit: str | None, kilograms: float) -> None:
    ingested = with_table(tmp_path, f"participant_id\t{column}\nsub-01\t70\n", {column: {"Units": unit}})
    assert ingested.scan.acquisition.body_weight == pytest.approx(kilograms)
    assert checks(ingested) == []


def test_the_unit_is_assumed_and_told(tmp_path: Path) -> None:
    ingested = with_table(tmp_path, "participant_id\tbody_weight\nsub-01\t70\n", {})
    assert ingested.scan.acquisition.body_weight == 70
    assert checks(ingested) == ["unit-not-given"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("participant_id\tweight\nsub-01\t70,5\n", ["'70,5'", "decimal point"]),
        ("participant_id\tweight\nsub-01\tabout 70\n", ["'about 70'"]),
        ("participant_id\tweight\nsub-01\t0\n", ["weight is 0"]),
        ("participant_id\tweight\nsub-01\t-1\n", ["weight is -1"]),
        ("participant_id\tweight\nsub-01\t60\nsub-01\t80\n", ["several body weights: 60 kg, 80 kg", "session_id"]),
        ("participant_id\tweight\tbody_weight [g]\nsub-01\t60\t80\n", ["several body weights"]),
        ("participant_id\tweight [stone]\nsub-01\t11\n", ["'stone' is not a known unit"]),
        ("participant_id\tweight\tweight\nsub-01\t60\t80\n", ["duplicate"]),
        ("subject\tweight\nsub-01\t60\n", ["'participant_id' is missing"]),
        ("", ["empty"]),
    ],
)
def test_a_fault_costs_the_weight_alone(tmp_path: Path, table: str, words: list[str]) -> None:
    ingested = with_table(tmp_path, table)
    assert ingested.scan.acquisition.body_weight is None
    (finding,) = ingested.findings
    assert (finding.check, finding.part) == ("weight-unreadable", "weight")
    assert "participants.tsv" in finding.where
    for word in words:
        assert word in str(finding)


def test_weights_that_agree_are_one(tmp_path: Path) -> None:
    ingested = with_table(tmp_path, "participant_id\tweight\tbody_weight [g]\nsub-01\t60\t60000\nsub-01\tn/a\t60000\n")
    assert ingested.scan.acquisition.body_weight == 60
    assert checks(ingested) == []


def test_a_name_without_its_key_is_taken_and_told(tmp_path: Path) -> None:
    ingested = with_table(tmp_path, "participant_id\tspecies\tweight\n01\tHomo sapiens\t70\n")
    assert ingested.scan.acquisition.body_weight == 70
    assert ingested.scan.acquisition.species == "human"
    assert checks(ingested) == ["subject-row"]


def test_a_missing_row_is_told_with_what_is_like_it(tmp_path: Path) -> None:
    ingested = with_table(tmp_path, "participant_id\tweight\nsub-02\t80\nSUB-01\t70\n")
    assert ingested.scan.acquisition.body_weight is None
    (finding,) = ingested.findings
    assert finding.message == "The body weight is unknown: the table has no row 'sub-01'; there is 'SUB-01'."


class TestSessions:
    def test_the_row_of_the_session_counts(self, tmp_path: Path) -> None:
        ingested = of_session(tmp_path, "participant_id\tsession_id\tweight\nsub-01\tses-1\t60\nsub-01\tses-2\t80\n")
        assert ingested.scan.acquisition.body_weight == 80
        assert checks(ingested) == []

    @pytest.mark.parametrize("name", ["2", "ses-2"])
    def test_the_table_of_sessions_goes_first(self, tmp_path: Path, name: str) -> None:
        table = "participant_id\tweight\nsub-01\t60\n"
        ingested = of_session(tmp_path, table, f"session_id\tbody_weight\nses-1\t60\n{name}\t82\n")
        assert ingested.scan.acquisition.body_weight == 82
        assert checks(ingested) == []

    def test_the_table_of_sessions_decides_the_scan(self, tmp_path: Path) -> None:
        of_session(tmp_path, "participant_id\tweight\nsub-01\t60\n", "session_id\tbody_weight\nses-2\t60\n")
        (files,) = find_scans(str(tmp_path))
        assert {"sub-01/sub-01_sessions.tsv", "sessions.json"} <= set(files.inputs())

    @pytest.mark.parametrize("cell", ["n/a", ""])
    def test_a_session_without_weight_takes_the_subjects(self, tmp_path: Path, cell: str) -> None:
        table = "participant_id\tweight\nsub-01\t60\n"
        ingested = of_session(tmp_path, table, f"session_id\tbody_weight\tx\nses-2\t{cell}\t1\n")
        assert ingested.scan.acquisition.body_weight == 60

    def test_a_fault_in_the_nearer_table_is_not_passed_over(self, tmp_path: Path) -> None:
        ingested = of_session(tmp_path, "participant_id\tweight\nsub-01\t60\n", "session_id\tweight\nses-2\t82,5\n")
        assert ingested.scan.acquisition.body_weight is None
        assert "sub-01_sessions.tsv" in ingested.findings[0].where

    def test_the_weight_of_another_session_is_taken_and_told(self, tmp_path: Path) -> None:
        ingested = of_session(tmp_path, "participant_id\tsession_id\tweight\nsub-01\tses-1\t60\n")
        assert ingested.scan.acquisition.body_weight == 60
        assert checks(ingested) == ["subject-row"]

    def test_differing_weights_of_other_sessions_are_refused(self, tmp_path: Path) -> None:
        table = "participant_id\tsession_id\tweight\nsub-01\tses-1\t60\nsub-01\tses-3\t70\n"
        ingested = of_session(tmp_path, table)
        assert ingested.scan.acquisition.body_weight is None
        assert checks(ingested) == ["weight-unreadable"]


def test_a_table_that_cannot_be_read_costs_no_weight_that_the_sidecar_states(tmp_path: Path) -> None:
    make_dataset(tmp_path, {"BodyWeight": "25", "BodyWeightUnits": "grams"})
    write(tmp_path / "participants.tsv", "")
    ingested = ingest(tmp_path)
    assert ingested.scan.acquisition.body_weight == pytest.approx(0.025)
    assert ingested.warnings == ("The species is unknown: the file is empty.",)
