"""Nothing that a person may have typed leaves the reader: names, numbers, dates of birth, remarks, private elements."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from dlif_core.errors import DlifError
from dlif_core.ingest import IngestedScan, ScanFiles, open_scan
from tests.unit.ingest.dicom.reading import READER, found
from tests.unit.ingest.dicom.series import enhanced, pmod, write_series

MARK = "ZQXMARK"
#: Types of text, and what may stand there at most.
TEXTS = {"LO": 64, "SH": 16, "ST": 64, "LT": 64, "UT": 64, "UC": 64, "PN": 64}
#: Elements without which the files are no series; they hold no text that anybody types.
GROUPS = (0x8, 0x10, 0x18, 0x20, 0x32, 0x40, 0x54)
KEPT = {"CodeValue", "CodingSchemeDesignator"}


def planted(dataset: Dataset, depth: int = 0) -> None:
    """Put a mark into every element of text, those that aren't there yet and private ones included, at every depth."""
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                planted(item, depth + 1)
        elif element.VR in TEXTS and not element.tag.is_private and element.keyword not in KEPT:
            element.value = MARK
    for tag, (kind, many, _, _, keyword) in pydicom._dicom_dict.DicomDictionary.items():
        typed = keyword and kind in TEXTS and many in ("1", "1-n") and tag >> 16 in GROUPS
        if typed and tag not in dataset and keyword not in KEPT:
            dataset.add_new(tag, kind, MARK)
    block = dataset.private_block(0x0011, MARK, create=True)
    block.add_new(0x01, "LO", MARK)
    nested = Dataset()
    nested.PatientName, nested.PatientComments = MARK, MARK
    block.add_new(0x02, "SQ", [nested])
    dataset.PatientID, dataset.DeidentificationMethod = MARK, MARK
    if depth == 0:
        dataset.PatientBirthDate, dataset.PatientAge, dataset.PatientSex = "19210203", "103Y", "F"
        dataset.RequestAttributesSequence = [nested]
        dataset.StudyDate, dataset.ContentDate = "19210203", "19210203"


def told(value: Any) -> Iterator[str]:
    """Every text in plain values."""
    yield json.dumps(value, default=str)


def everything(files: ScanFiles, read: IngestedScan) -> str:
    """All that a scan holds as text."""
    acquisition = read.scan.acquisition
    return "\n".join(
        [
            repr(files),
            repr(acquisition),
            repr(read.scan.regions.names),
            *(str(finding) + repr(finding) for finding in read.findings),
            *told(dict(read.provenance)),
            *told(dict(read.places)),
            repr(read.timeline),
            repr(read.header),
        ]
    )


def require_clean(text: str) -> None:
    assert MARK not in text
    for trace in ("19210203", "1921-02-03", "103Y", "2024-05-06", "20240506"):
        assert trace not in text


@pytest.mark.parametrize("form", ["slices", "enhanced", "pmod"])
def test_no_mark_leaves_the_reader(tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "mouse"
    if form == "slices":
        write_series(folder, lambda dataset, frame, z: planted(dataset))
    else:
        (enhanced if form == "enhanced" else pmod)(folder, planted)
    (files,) = found(tmp_path)
    with READER.described(files) as scan:
        assert scan.fields["InjectedRadioactivity"] == 10e6
        require_clean(json.dumps(dict(scan.fields)) + repr(scan.findings) + scan.source)
    with open_scan(files) as read:
        require_clean(everything(files, read))
        assert read.scan.acquisition.tracer == ""
    require_clean(caplog.text)


def unit(dataset: Dataset) -> None:
    dataset.Units = MARK


def modality(dataset: Dataset) -> None:
    dataset.Modality = MARK


def suv_of_what(dataset: Dataset) -> None:
    dataset.Units, dataset.SUVType = "GML", MARK


def times(dataset: Dataset) -> None:
    dataset.AcquisitionTime = dataset.SeriesTime = dataset.DecayCorrection = MARK


def numbers(dataset: Dataset) -> None:
    dataset._dict[pydicom.tag.Tag("RescaleSlope")] = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag("RescaleSlope"), "DS", 8, MARK.encode() + b" ", 0, False, True
    )


@pytest.mark.parametrize("edit", [unit, modality, suv_of_what, times, numbers])
def test_no_mark_stands_in_an_error(tmp_path: Path, edit: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def both(dataset: Dataset, frame: int, z: int) -> None:
        planted(dataset)
        edit(dataset)

    with pydicom.config.disable_value_validation():
        write_series(tmp_path / "mouse", lambda dataset, frame, z: planted(dataset))
        (files,) = found(tmp_path)
        for path in (tmp_path / "mouse").iterdir():
            path.unlink()
        write_series(tmp_path / "mouse", both)
    said = ""
    try:
        with open_scan(files) as read:
            said = everything(files, read)
    except DlifError as fault:
        chain: BaseException | None = fault
        while chain is not None:
            said += f"{chain!r} {chain} "
            chain = chain.__cause__
    assert said
    require_clean(said + caplog.text)


@pytest.mark.slow
def test_damaged_files_quote_nothing(tmp_path: Path) -> None:
    path = enhanced(tmp_path / "mouse", planted)
    (files,) = found(tmp_path)
    content = path.read_bytes()
    for kept in range(200, len(content), len(content) // 60):
        path.write_bytes(content[:kept])
        with pytest.raises(DlifError) as fault, READER.described(files):
            pass
        require_clean(f"{fault.value!r} {fault.value}")
