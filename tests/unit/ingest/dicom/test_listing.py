"""Which files are scans, how scans are named, and what is refused because it is no dynamic series."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dlif_core.errors import ImageError, InputError, MissingInputError
from dlif_core.ingest import find_scans
from tests.unit.ingest.dicom.reading import READER, described, described_scan, found
from tests.unit.ingest.dicom.series import Edit, enhanced, pmod, write_series


def one_frame(dataset: Dataset, frame: int, z: int) -> None:
    dataset.NumberOfTimeSlices, dataset.SeriesType = 1, ["STATIC", "IMAGE"]
    if frame:
        del dataset.PixelData


@pytest.mark.parametrize("ending", [".dcm", ".IMA", "", ".20240506.101", ".1.2.840.113619.2.55"])
def test_any_name_will_do(tmp_path: Path, ending: str) -> None:
    write_series(tmp_path / "mouse" / "pet", ending=ending)
    (tmp_path / "README").write_text("notes " * 50)
    (tmp_path / "mouse" / "notes.txt").write_text("notes " * 50)
    assert READER.recognises(str(tmp_path))
    (files,) = find_scans(str(tmp_path))
    assert (files.scan_id, files.path, len(files.role("image"))) == ("sub-pet", "mouse/pet", 12)


def test_many_files_of_other_data_are_not_all_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlif_core.ingest.dicom import names

    opened = []
    monkeypatch.setattr(names, "is_dicom", lambda uri: opened.append(uri) is not None)
    (tmp_path / "array.zarr" / "c").mkdir(parents=True)
    for chunk in range(50):
        (tmp_path / "array.zarr" / "c" / str(chunk)).write_bytes(bytes(200))
    assert not READER.recognises(str(tmp_path))
    assert len(opened) <= 3


def test_text_without_ending_is_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("notes " * 50)
    assert not READER.recognises(str(tmp_path))
    assert found(tmp_path) == []
    with pytest.raises(MissingInputError):
        found(tmp_path / "nowhere")


def test_series_of_one_folder_are_counted(tmp_path: Path) -> None:
    write_series(tmp_path / "pet", number=7)
    write_series(tmp_path / "pet", number=3, PatientWeight=0.03)
    first, second = found(tmp_path)
    assert (first.path, second.path) == ("pet#1", "pet#2")
    assert described_scan(first).fields["BodyWeight"] == 0.03
    assert described_scan(second).fields["BodyWeight"] == 0.025


def test_the_table_of_scans_names_them(tmp_path: Path) -> None:
    write_series(tmp_path / "data" / "a" / "pet", number=1)
    write_series(tmp_path / "data" / "b" / "pet", number=2)
    table = tmp_path / "scans.tsv"
    table.write_text("source\tparticipant_id\tTracerName\na/pet\tm01\tFLT\nb/*\tm02\tn/a\n")
    first, second = found(tmp_path / "data", str(table))
    assert (first.scan_id, second.scan_id) == ("sub-m01", "sub-m02")
    assert described_scan(first).fields["TracerName"] == "FLT"
    assert described_scan(first).checks == ["stated-twice"]
    assert described_scan(second).fields["TracerName"] == "FDG"


def test_folders_named_by_figures_are_other_subjects(tmp_path: Path) -> None:
    write_series(tmp_path / "1.2.840.1")
    write_series(tmp_path / "1.2.840.2", number=2)
    assert [files.subject for files in found(tmp_path)] == ["sub-128401", "sub-128402"]


def test_frames_in_folders_of_their_own_are_one_scan(tmp_path: Path) -> None:
    for path in write_series(tmp_path / "pet"):
        folder = tmp_path / "pet" / f"part{path.stem[-1]}"
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    (files,) = found(tmp_path)
    assert files.path == "pet"


def test_a_folder_of_files_and_a_single_file_are_named_after_themselves(tmp_path: Path) -> None:
    write_series(tmp_path / "mouse 1")
    path = enhanced(tmp_path / "mouse 2")
    (folder,) = found(tmp_path / "mouse 1")
    (single,) = found(path)
    assert (folder.scan_id, single.scan_id, single.path) == ("sub-mouse1", "sub-enhanced", "enhanced.dcm")
    assert described_scan(single).image.shape[0] == 3
    with READER.described(folder) as scan:
        assert scan.source == str(tmp_path / "mouse 1")


@pytest.mark.parametrize("fields", [{"Modality": "CT"}, {"SeriesType": ["DYNAMIC", "REPROJECTION"]}])
def test_other_series_are_passed_over(tmp_path: Path, fields: dict[str, Any]) -> None:
    write_series(tmp_path / "pet")
    write_series(tmp_path / "other", number=2, **fields)
    assert [files.path for files in found(tmp_path)] == ["pet"]


def test_captures_reports_and_raw_data_are_passed_over(tmp_path: Path) -> None:
    write_series(tmp_path / "capture", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    write_series(tmp_path / "report", number=2, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22")
    write_series(tmp_path / "raw", number=3, SOPClassUID="1.2.840.10008.5.1.4.1.1.66")
    write_series(tmp_path / "list mode", lambda dataset, frame, z: dataset.pop("Rows"), number=4)
    assert found(tmp_path) == []


def test_a_static_series_is_listed_only_alone_and_says_why_it_does_not_serve(tmp_path: Path) -> None:
    write_series(tmp_path / "static", one_frame)
    with pytest.raises(InputError, match="the series is static: it has one frame"):
        described(tmp_path)
    write_series(tmp_path / "pet", number=2)
    assert [files.path for files in found(tmp_path)] == ["pet"]


def gated(dataset: Dataset, frame: int, z: int) -> None:
    dataset.SeriesType, dataset.NumberOfTimeSlots = ["GATED", "IMAGE"], 8


REFUSED: dict[str, tuple[Edit, str]] = {
    "gated": (gated, "gated with 8 gates"),
    "gated, unsaid": (lambda d, f, z: setattr(d, "NumberOfTimeSlots", 8), "gated with 8 gates"),
    "whole body": (lambda d, f, z: setattr(d, "SeriesType", ["WHOLE BODY", "IMAGE"]), "whole-body"),
}


@pytest.mark.parametrize(("edit", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_dynamic_series_is_refused(tmp_path: Path, edit: Edit, message: str) -> None:
    write_series(tmp_path / "pet", edit)
    with pytest.raises(InputError, match=message) as fault:
        described(tmp_path)
    assert fault.value.where == str(tmp_path / "pet")
    assert "dynamic" in fault.value.hint


def test_enhanced_images_of_a_gated_scan_are_refused(tmp_path: Path) -> None:
    enhanced(tmp_path, lambda dataset: setattr(dataset, "CardiacSynchronizationTechnique", "PROSPECTIVE"))
    with pytest.raises(InputError, match="gated"):
        described(tmp_path)


def test_a_damaged_file_is_named_with_the_scans_of_its_folder(tmp_path: Path) -> None:
    write_series(tmp_path / "a")
    pmod(tmp_path / "b")
    (tmp_path / "a" / "broken.dcm").write_bytes(b"nothing")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "only.dcm").write_bytes(b"")
    first, second, third = found(tmp_path)
    with pytest.raises(ImageError, match="no DICOM file") as fault:
        described_scan(first)
    assert fault.value.where == str(tmp_path / "a" / "broken.dcm")
    assert described_scan(second).image.shape[0] == 3
    with pytest.raises(ImageError, match=r"only\.dcm"):
        described_scan(third)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path, *_ = write_series(tmp_path / "pet")
    (files,) = found(tmp_path)
    path.unlink()
    with pytest.raises(MissingInputError, match=path.name):
        described_scan(files)


def test_a_folder_of_disks_is_read_beside_its_index(tmp_path: Path) -> None:
    """DICOMDIR, the index of a disk, is a DICOM file and no image."""
    (path, *_) = write_series(tmp_path / "IMAGES")
    (tmp_path / "DICOMDIR").write_bytes(path.read_bytes())
    assert [files.path for files in found(tmp_path)] == ["IMAGES"]
