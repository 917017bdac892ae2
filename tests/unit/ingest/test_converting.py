"""Scans of other formats written as PET-BIDS."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dlif_core.errors import ConfigurationError, MissingInputError
from dlif_core.ingest import find_scans, open_scan
from dlif_core.ingest.conversion import ConvertingReader
from dlif_core.ingest.converting import convert_scan, found_for_conversion, sole_writer
from flows.cli import app
from tests.unit.ingest.test_conversion import IMAGE, reader, write

__all__ = ["reader"]


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["ingest", *map(str, arguments)])
    return result.exit_code, result.output


def files_of(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_written_dataset_holds_what_the_format_holds(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path / "data", "mouse 1")
    code, _ = run(tmp_path / "data", "--to", "bids", tmp_path / "bids")
    assert code == 0
    assert files_of(tmp_path / "bids") == [
        "README",
        "dataset_description.json",
        "participants.json",
        "participants.tsv",
        "sub-mouse1/pet/sub-mouse1_pet.json",
        "sub-mouse1/pet/sub-mouse1_pet.nii.gz",
        "sub-mouse1/pet/sub-mouse1_recording-manual_blood.json",
        "sub-mouse1/pet/sub-mouse1_recording-manual_blood.tsv",
    ]
    (from_bids,) = find_scans(str(tmp_path / "bids"))
    (from_source,) = found_for_conversion(str(tmp_path / "data"))
    with open_scan(from_bids) as written, open_scan(from_source) as read:
        assert from_bids.scan_id == from_source.scan_id
        assert np.array_equal(written.scan.activity[...], 1000.0 * IMAGE)
        assert np.array_equal(written.scan.affine, read.scan.affine)
        assert written.scan.timing == read.scan.timing
        assert written.scan.acquisition == read.scan.acquisition
        assert written.blood[0].time.tolist() == read.blood[0].time.tolist()


def test_another_day_is_added_and_what_is_there_stays(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path / "data", "m1")
    assert run(tmp_path / "data", "--to", "bids", tmp_path / "bids")[0] == 0
    table = tmp_path / "bids" / "participants.tsv"
    table.write_text("participant_id\tsex\tspecies\tweight\nsub-m1\tF\tmouse\t0.030\n")
    before = (tmp_path / "bids/sub-m1/pet/sub-m1_pet.json").stat().st_mtime_ns
    write(tmp_path / "data", "m2")
    assert run(tmp_path / "data", "--to", "bids", tmp_path / "bids")[0] == 0
    assert (tmp_path / "bids/sub-m1/pet/sub-m1_pet.json").stat().st_mtime_ns == before
    assert table.read_text().splitlines() == [
        "participant_id\tspecies\tweight\tsex",
        "sub-m1\tmouse\t0.030\tF",
        "sub-m2\tmouse\t0.022\tn/a",
    ]


def test_a_scan_of_files_that_changed_is_told(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path / "data", "m1", TracerName="FDG")
    assert run(tmp_path / "data", "--to", "bids", tmp_path / "bids")[0] == 0
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    assert run(tmp_path / "copy", "--to", "bids", tmp_path / "bids")[0] == 0
    write(tmp_path / "data", "m1", TracerName="FLT")
    code, told = run(tmp_path / "data", "--to", "bids", tmp_path / "bids")
    assert code == 6
    assert "converted-before" in told
    assert json.loads((tmp_path / "bids/sub-m1/pet/sub-m1_pet.json").read_text())["TracerName"] == "FDG"


def test_a_scan_whose_row_of_the_table_changed_is_told(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path / "data", "m1")
    table = tmp_path / "scans.tsv"
    for dose, code in (("8", 0), ("8", 0), ("9", 6)):
        table.write_text(f"source\tInjectedRadioactivity\tInjectedRadioactivityUnits\nm1.series\t{dose}\tMBq\n")
        assert run(tmp_path / "data", "--to", "bids", tmp_path / "bids", "--table", table)[0] == code


def test_a_scan_under_another_name_is_not_written_twice(reader: ConvertingReader, tmp_path: Path) -> None:
    table = tmp_path / "scans.tsv"
    table.write_text("source\tparticipant_id\n*\tm\n")
    write(tmp_path / "data", "b", TracerName="FDG")
    assert run(tmp_path / "data", "--to", "bids", tmp_path / "bids", "--table", table)[0] == 0
    write(tmp_path / "data", "a", TracerName="FLT")
    code, told = run(tmp_path / "data", "--to", "bids", tmp_path / "bids", "--table", table)
    assert code == 5
    assert "converted-before" in told
    names = [path.name for path in sorted((tmp_path / "bids/sub-m/pet").glob("*_pet.json"))]
    assert names == ["sub-m_pet.json", "sub-m_run-1_pet.json"]


@pytest.mark.parametrize("place", ["data", "data/bids", "link/bids"])
def test_a_dataset_within_the_scans_is_refused(reader: ConvertingReader, tmp_path: Path, place: str) -> None:
    write(tmp_path / "data", "m1")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    result = CliRunner().invoke(app, ["ingest", str(tmp_path / "data"), "--to", "bids", str(tmp_path / place)])
    assert isinstance(result.exception, ConfigurationError)
    assert files_of(tmp_path / "data") == ["m1.series"]


def test_a_second_conversion_at_a_time_is_refused(tmp_path: Path) -> None:
    left = tmp_path / "bids" / ".dlif-left"
    left.mkdir(parents=True)
    with sole_writer(tmp_path / "bids", str(tmp_path / "data")):
        assert not left.exists()
        with pytest.raises(ConfigurationError, match="another conversion"), sole_writer(tmp_path / "bids", "data"):
            pass
    with sole_writer(tmp_path / "bids", "data"):
        pass


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "bids").write_text("")
    with pytest.raises(ConfigurationError, match="no folder that can be written"), sole_writer(tmp_path / "bids", "x"):
        pass


def test_a_refused_scan_is_told_and_leaves_nothing(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path / "data", "good")
    source = write(tmp_path / "data", "bad", FrameDuration=[60])
    code, told = run(tmp_path / "data", "--to", "bids", tmp_path / "bids")
    assert code == 5
    assert source.name in told.replace("\n", "")
    assert not [path for path in files_of(tmp_path / "bids") if "bad" in path or ".dlif" in path]


def test_check_writes_nothing(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path / "data", "bad", FrameDuration=[60])
    code, told = run(tmp_path / "data", "--check")
    assert code == 6
    assert "frame-times" in told
    assert files_of(tmp_path) == ["data/bad.series"]


def test_a_dataset_is_not_converted(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path / "data", "m1")
    run(tmp_path / "data", "--to", "bids", tmp_path / "bids")
    with pytest.raises(ConfigurationError, match="already"):
        found_for_conversion(str(tmp_path / "bids"))
    (files,) = find_scans(str(tmp_path / "bids"))
    with pytest.raises(ConfigurationError, match="already"):
        convert_scan(files, tmp_path / "other")


@pytest.mark.parametrize("format", ["", "series"])
def test_a_folder_without_scans_is_told(reader: ConvertingReader, tmp_path: Path, format: str) -> None:
    with pytest.raises(MissingInputError, match=r"Series scan \(\*\.series\)"):
        found_for_conversion(str(tmp_path), format=format or None)


def test_what_to_do_must_be_said(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path, "m1")
    result = CliRunner().invoke(app, ["ingest", str(tmp_path)])
    assert isinstance(result.exception, ConfigurationError)


def test_the_bids_validator_accepts_what_is_written(reader: ConvertingReader, tmp_path: Path) -> None:
    validator = shutil.which("bids-validator")
    if validator is None:
        pytest.skip("the BIDS validator is not installed (npm install -g bids-validator)")
    write(tmp_path / "data", "m1")
    run(tmp_path / "data", "--to", "bids", tmp_path / "bids")
    told = subprocess.run([validator, str(tmp_path / "bids"), "--json"], capture_output=True, check=False)
    assert json.loads(told.stdout)["issues"]["errors"] == []
