"""Readers of formats that are read by way of PET-BIDS, on a format made for the test."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dlif_core.errors import FrameTimingError, InputError, UnitError
from dlif_core.ingest import ImageGeometry, IngestedScan, ScanFiles, ScanSource, open_scan
from dlif_core.ingest.bids.writing import write_image
from dlif_core.ingest.conversion import ConvertingReader
from dlif_core.ingest.described import DescribedScan, DescribedTable, SeriesOptions
from dlif_core.ingest.registry import READERS
from dlif_core.ingest.series_files import files_below, named_scans
from dlif_core.study.config import load_study

IMAGE = 300.0 + 100.0 * np.random.default_rng(0).random((3, 4, 5, 6), dtype=np.float32)
AFFINE = np.array([[-2.0, 0, 0, 5], [0, 1.5, 0, -3], [0, 0, 3.0, 7], [0, 0, 0, 1]])
FIELDS = {
    "TracerName": "FDG",
    "TracerRadionuclide": "F18",
    "Units": "kBq/mL",
    "InjectedRadioactivity": 10.0,
    "InjectedRadioactivityUnits": "MBq",
    "BodyWeight": 22.0,
    "BodyWeightUnits": "g",
    "Species": "mouse",
    "TimeZero": "10:00:00",
    "ScanStart": 0,
    "InjectionStart": 0,
    "FrameTimesStart": [0, 60, 600],
    "FrameDuration": [60, 540, 3000],
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0,
}
BLOOD = DescribedTable(
    {"time": [0.0, 60.0, 600.0], "whole_blood_radioactivity": [100.0, float("nan"), 300.0]},
    {"time": {"Units": "s"}, "whole_blood_radioactivity": {"Units": "kBq/mL"}},
    "blood.txt",
)


class Array:
    shape = IMAGE.shape
    affine = AFFINE

    def fill(self, target: np.ndarray) -> None:
        target[...] = IMAGE


class JsonSeries:
    """A file ``*.series`` holds fields beside those above."""

    name, title, version, looks_for, options = "series", "Series", 1, "*.series", SeriesOptions

    def recognises(self, uri: str) -> bool:
        return bool(files_below(uri, lambda name: name.endswith(".series")))

    def find(self, source: ScanSource) -> list[ScanFiles]:
        below = files_below(source.uri, lambda name: name.endswith(".series"))
        return named_scans(source, self.name, {path: {"image": (uri,)} for path, uri in below.items()})

    @contextmanager
    def describe(self, files: ScanFiles) -> Iterator[DescribedScan]:
        (uri,) = files.role("image")
        yield DescribedScan(FIELDS | json.loads(Path(uri).read_text()), uri, Array(), {"manual": BLOOD})

    def geometry(self, files: ScanFiles) -> ImageGeometry:
        return ImageGeometry(IMAGE.shape, (3.0, 1.5, 2.0))


@pytest.fixture
def reader() -> Iterator[ConvertingReader]:
    made = ConvertingReader(JsonSeries())
    READERS.register(made)
    yield made
    READERS.unregister(made.name)


def write(root: Path, name: str, **fields: object) -> Path:
    path = root / f"{name}.series"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(fields))
    return path


def only(reader: ConvertingReader, root: Path, table: str = "") -> ScanFiles:
    (files,) = reader.find(ScanSource(str(root), SeriesOptions(table=table)))
    return files


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.items():
            yield from texts(list(one))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts(one)


def test_a_scan_is_what_its_description_says(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path, "mouse 1")
    files = only(reader, tmp_path)
    assert (files.scan_id, files.subject, files.path) == ("sub-mouse1", "sub-mouse1", "mouse 1.series")
    with open_scan(files) as read:
        assert np.array_equal(read.scan.activity[...], 1000.0 * IMAGE)
        assert np.allclose(read.scan.affine, AFFINE)
        assert read.scan.timing.start.tolist() == [0, 60, 600]
        assert read.scan.acquisition.injected_activity == 10e6
        assert read.scan.acquisition.body_weight == pytest.approx(0.022)
        assert read.scan.acquisition.species == "mouse"
        assert read.blood[0].whole_blood[[0, 2]].tolist() == [1e5, 3e5]
        assert np.isnan(read.blood[0].whole_blood[1])


def test_nothing_names_a_temporary_file(reader: ConvertingReader, tmp_path: Path) -> None:
    source = write(tmp_path, "mouse", InjectedRadioactivity="n/a", ImageDecayCorrected="n/a")
    with open_scan(only(reader, tmp_path)) as read:
        assert not [text for text in texts(told(read)) if "dlif-" in text]
        assert read.scan.regions.source == str(source)
        assert read.blood[0].source == "blood.txt"
        assert any(finding.where.startswith(str(source)) for finding in read.findings)


def told(read: IngestedScan) -> list[object]:
    return [
        read.scan.regions.source,
        [one.source for one in read.blood],
        [[finding.message, finding.where] for finding in read.findings],
        dict(read.provenance),
        dict(read.places),
    ]


def test_a_fault_names_the_source(reader: ConvertingReader, tmp_path: Path) -> None:
    source = write(tmp_path, "mouse", FrameDuration=[60, 540])
    with pytest.raises(FrameTimingError) as fault, open_scan(only(reader, tmp_path)):
        pass
    assert fault.value.where.startswith(str(source))
    assert "dlif-" not in str(fault.value)


def test_the_table_of_scans_names_and_supplements(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path / "data", "day1/a")
    write(tmp_path / "data", "day2/a")
    table = tmp_path / "scans.tsv"
    table.write_text(
        "source\tparticipant_id\tsession_id\tInjectedRadioactivity\tInjectedRadioactivityUnits\tFrameTimesStart\n"
        "day1/*\tm01\tone\t12.5\tMBq\tn/a\n"
        "day2/a.series\tm01\ttwo\tn/a\tn/a\t0 60 700\n"
    )
    one, two = reader.find(ScanSource(str(tmp_path / "data"), SeriesOptions(table=str(table))))
    assert (one.scan_id, two.scan_id) == ("sub-m01_ses-one", "sub-m01_ses-two")
    assert str(table) in one.inputs().values()
    with open_scan(one) as read:
        assert read.scan.acquisition.injected_activity == 12.5e6
        assert any("InjectedRadioactivity" in finding.message for finding in read.findings)
    with open_scan(two) as read:
        assert read.scan.timing.start.tolist() == [0, 60, 700]


def test_a_file_is_a_source_of_its_own_scan(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path, "other")
    source = write(tmp_path, "mouse")
    (files,) = reader.find(ScanSource(str(source), SeriesOptions()))
    assert (files.path, files.root) == ("mouse.series", str(tmp_path))
    with open_scan(files) as read:
        assert read.blood


def test_scans_of_one_name_are_told_apart_by_their_folders(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path, "day1/pet")
    write(tmp_path, "day2/pet")
    assert [files.scan_id for files in reader.find(ScanSource(str(tmp_path), SeriesOptions()))] == [
        "sub-day1pet",
        "sub-day2pet",
    ]


def test_files_in_a_dataset_of_pet_bids_are_left_to_its_reader(reader: ConvertingReader, tmp_path: Path) -> None:
    write(tmp_path, "sub-01/pet/mouse")
    assert not reader.recognises(str(tmp_path))
    assert reader.recognises(str(tmp_path / "sub-01"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("source\tInjectedRadioctivity\na\t3\n", "InjectedRadioactivity"),
        ("file\tTracerName\na\tFDG\n", "'source' is missing"),
        ("source\tTracerName\n*\tFDG\nmouse*\tFDG\n", "2 rows"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(
    reader: ConvertingReader, tmp_path: Path, content: str, message: str
) -> None:
    write(tmp_path, "mouse")
    table = tmp_path / "scans.tsv"
    table.write_text(content)
    with pytest.raises(InputError, match=message):
        only(reader, tmp_path, str(table))


def test_a_written_image_is_read_alike_by_nibabel(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a_pet.nii", Array(), compressed=True)
    image = nib.load(path)
    assert path.name == "a_pet.nii.gz"
    assert not (tmp_path / "a_pet.nii").exists()
    assert np.array_equal(np.asarray(image.dataobj).T, IMAGE)
    assert np.allclose(image.affine, AFFINE)
    assert nib.aff2axcodes(image.affine) == ("L", "A", "S")


def test_a_table_of_a_study_lies_beside_the_study_file(reader: ConvertingReader, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("name: a\ndata: {uri: data, format: series, table: scans.tsv, blood: b.yaml}\noutput: out\n")
    config = load_study(study)
    assert config.data.options == SeriesOptions(table=str(tmp_path / "scans.tsv"), blood=str(tmp_path / "b.yaml"))


@pytest.mark.parametrize(
    ("columns", "cells", "told"),
    [
        ("InjectedRadioactivity\tInjectedRadioactivityUnits", "10000\tkBq", ""),
        ("BodyWeight\tBodyWeightUnits", "0.022\tkg", ""),
        ("TracerRadionuclide", "18F", ""),
        ("Units", "kBq/ml", ""),
        ("InjectedRadioactivity\tInjectedRadioactivityUnits", "12\tMBq", "10 MBq, the table of scans 12 MBq"),
        ("TracerName", "FDOPA", "state TracerName as another value"),
    ],
)
def test_what_the_table_states_otherwise_is_told(
    reader: ConvertingReader, tmp_path: Path, columns: str, cells: str, told: str
) -> None:
    write(tmp_path / "data", "mouse")
    table = tmp_path / "scans.tsv"
    table.write_text(f"source\t{columns}\nmouse.series\t{cells}\n")
    with open_scan(only(reader, tmp_path / "data", str(table))) as read:
        found = [finding.message for finding in read.findings if finding.check == "stated-twice"]
    assert [told in message for message in found] == ([True] if told else [])


@pytest.mark.parametrize("column", ["InjectedRadioactivity", "BodyWeight"])
def test_a_number_of_the_table_needs_its_own_unit(reader: ConvertingReader, tmp_path: Path, column: str) -> None:
    write(tmp_path / "data", "mouse")
    table = tmp_path / "scans.tsv"
    table.write_text(f"source\t{column}\nmouse.series\t12\n")
    with (
        pytest.raises(UnitError, match=f"states {column} without {column}Units"),
        open_scan(only(reader, tmp_path / "data", str(table))),
    ):
        pass
