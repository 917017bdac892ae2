"""The table of scans: rows and names that would be lost or mixed up."""

from pathlib import Path

import pytest

from dlif_core.errors import InputError, UnitError
from dlif_core.ingest import READERS, ScanFiles, find_scans, open_scan
from dlif_core.ingest.described import SeriesOptions
from tests.unit.ingest.phantom import scans
from tests.unit.ingest.pmod.tables import write_pmod
from tests.unit.ingest.test_blood_mapping import write


def found(folder: Path, *rows: str) -> list[ScanFiles]:
    for name in ("m1", "m2"):
        write_pmod(folder / "data", name, blood=False)
    (folder / "scans.tsv").write_text("\n".join(["source\tparticipant_id\tsession_id", *rows]) + "\n")
    options = SeriesOptions(table=str(folder / "scans.tsv"))
    return find_scans(str(folder / "data"), format="pmod-curves", options=options)


@pytest.mark.parametrize("row", ["m3.tac\tx", "./m1.tac\tx", "m1\tx", "other/*\tx"])
def test_a_row_of_no_scan_is_told(tmp_path: Path, row: str) -> None:
    for files in found(tmp_path, f"{row}\t", "m2.tac\ta\t"):
        with open_scan(files) as read:
            (finding,) = [one for one in read.findings if one.check == "rows-left-out"]
        assert finding.message == "no scan here is that of data row 1."
        assert finding.where == str(tmp_path / "scans.tsv")


def test_a_recording_of_no_scan_is_told(tmp_path: Path) -> None:
    write_pmod(tmp_path / "data", "m1", blood=False)
    (files,) = scans(READERS.named("pmod-curves"), tmp_path / "data", blood=str(write(tmp_path, source="m3*")))
    with open_scan(files) as read:
        (finding,) = [one for one in read.findings if one.check == "rows-left-out"]
    assert finding.message == "no scan here is that of recording manual."


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["\tx\t", "m1.tac\ty\t"], "data row 1 states 'participant_id' and no source"),
        (["m1.tac\ta-1\t", "m2.tac\ta1\t"], "two subjects would be called sub-a1"),
        (["m1.tac\tM2\t"], "two subjects would be called sub-m2"),
        (["m1.tac\t日本\t"], "'participant_id' has 0 letters"),
        (["m1.tac\ta\t--"], "'session_id' has 0 letters"),
        ([f"m1.tac\t{'x' * 300}\t"], "300 letters"),
    ],
)
def test_names_that_would_be_lost_or_mixed_up_are_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        found(tmp_path, *rows)


@pytest.mark.parametrize("name", ["InjectedRadioactivity", "BodyWeight"])
def test_a_quantity_without_its_unit_is_refused(tmp_path: Path, name: str) -> None:
    write_pmod(tmp_path / "data", "m1", blood=False)
    for unit, refused in (("", True), ("kg" if name == "BodyWeight" else "MBq", False)):
        (tmp_path / "scans.tsv").write_text(f"source\t{name}\t{name}Units\nm1.tac\t5\t{unit}\n")
        options = SeriesOptions(table=str(tmp_path / "scans.tsv"))
        (files,) = find_scans(str(tmp_path / "data"), format="pmod-curves", options=options)
        if not refused:
            with open_scan(files):
                continue
        with pytest.raises(UnitError, match=f"{name} without {name}Units"), open_scan(files):
            pass


def test_scans_of_one_subject_are_runs(tmp_path: Path) -> None:
    names = [files.scan_id for files in found(tmp_path, "m1.tac\tsub-a\tone", "m2.tac\ta\tone")]
    assert names == ["sub-a_ses-one_run-1", "sub-a_ses-one_run-2"]
