"""Damaged, truncated and compressed files: the right result, or an error that names the file, and nothing else."""

import builtins
import io
import os
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dlif_core.errors import DlifError, ImageError, InputError
from dlif_core.ingest import ScanSource
from dlif_core.ingest.described import SeriesOptions
from dlif_core.ingest.dicom.headers import full_header
from tests.unit.ingest.dicom.reading import READER, described, described_scan, found
from tests.unit.ingest.dicom.series import ACTIVITY, enhanced, pmod, write_series

WRITERS: dict[str, Callable[[Path], Any]] = {"slices": write_series, "enhanced": enhanced, "pmod": pmod}


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_other_transfer_syntaxes_are_read(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    for path in write_series(tmp_path):
        dataset = pydicom.dcmread(path)
        if syntax == RLELossless:
            dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=True)
    np.testing.assert_array_equal(described(tmp_path).image, ACTIVITY.astype(np.float32))


def test_big_endian_is_read(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()

    write_series(tmp_path, edit)
    np.testing.assert_array_equal(described(tmp_path).image, ACTIVITY.astype(np.float32))


def test_a_compression_without_decoder_says_what_to_install(tmp_path: Path) -> None:
    syntaxes = (JPEGLosslessSV1, JPEGLSLossless, HTJ2KLossless)
    syntax = next((one for one in syntaxes if not pydicom.pixels.get_decoder(one).is_available), None)
    if syntax is None:
        pytest.skip("decoders of all compressions are installed")

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xf7" + bytes(60)])

    write_series(tmp_path, edit)
    with pytest.raises(ImageError, match=r"nothing is installed that decodes.*Lossless") as fault:
        described(tmp_path)
    assert "pylibjpeg" in fault.value.hint
    assert fault.value.where.endswith(".dcm")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, kept: float) -> None:
    written = WRITERS[name](tmp_path / "pet")
    path = written[0] if isinstance(written, list) else written
    (files,) = found(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=path.name):
        described_scan(files)


def outcome(root: Path, files: Any) -> str:
    """What becomes of a scan; warnings and exceptions that are none of dlif's fail the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            listed = READER.find(ScanSource(str(root), SeriesOptions()))
            READER.geometry(files)
            read = described_scan(files)
        except DlifError as fault:
            return _kind(fault, str(root))
        assert all(isinstance(one.scan_id, str) for one in listed)
        assert read.image.ndim == 4
        return "read"


def _kind(fault: DlifError, place: str) -> str:
    assert fault.message
    assert place in f"{fault.where} {fault.message}"
    return type(fault).__name__


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with one or several changes, of those that happen on disks and of those that are worse."""
    spoilt = bytearray(content)
    header = max(content.find(b"\xe0\x7f\x10\x00"), 200)
    figures = [at for at in range(132, header) if chr(content[at]) in "0123456789."]
    if rng.random() < 0.5:
        for at in rng.choice(figures, int(rng.integers(1, 8))):
            spoilt[at] = int(rng.choice(np.frombuffer(b"0123456789.-eE\\ ", np.uint8)))
        return bytes(spoilt)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(132, header))
        kind = rng.integers(5)
        if kind == 0:
            spoilt[at] = int(rng.integers(256))
        elif kind == 1:
            spoilt[at : at + 4] = rng.bytes(4)
        elif kind == 2:
            del spoilt[at : at + int(rng.integers(1, 20))]
        elif kind == 3:
            spoilt[at:at] = rng.bytes(int(rng.integers(1, 20)))
        else:
            del spoilt[int(rng.integers(132, len(spoilt))) :]
            break
    return bytes(spoilt)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_mutations_are_refused_or_read(tmp_path: Path, name: str) -> None:
    """120 mutations of each kind of file."""
    written = WRITERS[name](tmp_path / "pet")
    path = written[0] if isinstance(written, list) else written
    (files,) = found(tmp_path)
    content, rng = path.read_bytes(), np.random.default_rng(19)
    outcomes: Counter[str] = Counter()
    for _ in range(120):
        path.write_bytes(mutated(content, rng))
        outcomes[outcome(tmp_path, files)] += 1
    assert sum(count for kind, count in outcomes.items() if kind != "read") > 20


VALUES: dict[str, list[Any]] = {
    "PixelSpacing": ["", "1", "0\\0", "-1\\1", "nan\\1"],
    "ImagePositionPatient": ["", "1\\2", "1e300\\0\\0"],
    "ImageOrientationPatient": ["", "1\\0\\0", "0\\0\\0\\0\\0\\0", "1\\0\\0\\1\\0\\0"],
    "RescaleSlope": ["", "nan", "inf", "x"],
    "AcquisitionTime": ["", "25:00", "noon", "99"],
    "ActualFrameDuration": ["", "-5", "x"],
    "FrameReferenceTime": ["", "x"],
    "ImageIndex": ["", "0", "-1", "x"],
    "NumberOfSlices": ["0", "9999"],
    "NumberOfTimeSlices": ["0", "9999"],
    "NumberOfFrames": ["0", "-1", "999999999", "x"],
    "DecayFactor": ["", "0", "-1"],
    "SeriesType": ["", "DYNAMIC\\IMAGE\\X"],
    "Units": ["", "Jane Doe"],
}


@pytest.mark.parametrize(("keyword", "value"), [(key, value) for key, values in VALUES.items() for value in values])
def test_odd_values_are_refused_or_read(tmp_path: Path, keyword: str, value: str) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        tag = pydicom.datadict.tag_for_keyword(keyword)
        assert tag is not None
        dataset.pop(tag, None)
        dataset._dict[pydicom.tag.Tag(tag)] = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag(tag),
            pydicom.datadict.dictionary_VR(tag),
            len(value),
            (value + " " * (len(value) % 2)).encode(),
            0,
            False,
            True,
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_series(tmp_path / "pet", edit)
    (files,) = found(tmp_path)
    assert outcome(tmp_path, files)


def test_each_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_series(tmp_path / "pet")
    (files,) = found(tmp_path)
    seen: Counter[str] = Counter()
    opening = io.open

    def counted(file: Any, *args: Any, **options: Any) -> Any:
        if isinstance(file, str | os.PathLike):
            seen[str(file)] += 1
        return opening(file, *args, **options)

    monkeypatch.setattr(builtins, "open", counted)
    monkeypatch.setattr(io, "open", counted)
    described_scan(files)
    assert {path: seen[str(path)] for path in paths} == dict.fromkeys(paths, 1)


@pytest.mark.parametrize("name", WRITERS)
def test_a_slice_at_a_time_is_in_memory(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices that are read wait on disk: none is larger than a slice, and none is asked for twice."""
    from dlif_core.ingest.dicom import pixels

    sizes: list[int] = []
    scaled = pixels._scaled

    def watched(*arguments: Any) -> Any:
        for values in scaled(*arguments):
            sizes.append(values.size)
            yield values

    monkeypatch.setattr(pixels, "_scaled", watched)
    WRITERS[name](tmp_path)
    described(tmp_path)
    assert sizes == [ACTIVITY[0, 0].size] * ACTIVITY.shape[0] * ACTIVITY.shape[1]


def test_pointers_say_that_the_content_is_to_be_fetched(tmp_path: Path) -> None:
    path, *_ = write_series(tmp_path / "pet")
    (files,) = found(tmp_path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(InputError, match="git-lfs"):
        described_scan(files)


def test_pydicoms_own_files_are_refused_or_read(tmp_path: Path) -> None:
    """The files that pydicom brings for its tests: other modalities, damaged files, every compression."""
    folder = Path(pydicom.data.data_manager.DATA_ROOT) / "test_files"
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    assert len(paths) > 50
    assert found(folder) is not None
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                with fsspec.filesystem("file").open(str(path)) as stream:
                    full_header(stream, str(path))
                for files in READER.find(ScanSource(str(path), SeriesOptions())):
                    described_scan(files)
            except DlifError as fault:
                _kind(fault, path.name)


def test_pydicoms_images_are_decoded_as_pydicom_does(tmp_path: Path) -> None:
    """An image that others made, as all slices of a series: RLE, and 16 bits in other orders."""
    for number, name in enumerate(("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm")):
        source = pydicom.dcmread(pydicom.data.get_testdata_file(name, download=False))
        stored = source.pixel_array
        folder = tmp_path / str(number)

        def edit(dataset: Dataset, frame: int, z: int, source: Dataset = source) -> None:
            for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
                setattr(dataset, keyword, source[keyword].value)
            dataset.file_meta.TransferSyntaxUID = source.file_meta.TransferSyntaxUID
            dataset.PixelData = source.PixelData
            if source.file_meta.TransferSyntaxUID.is_compressed:
                dataset["PixelData"].VR = "OB"
                dataset["PixelData"].is_undefined_length = True
            dataset.RescaleSlope = 2

        write_series(folder, edit)
        read = described(folder)
        np.testing.assert_array_equal(read.image, np.broadcast_to(2.0 * stored, read.image.shape))
