"""Reading scans into the store: a compressed NIfTI image against gunzip, and a DICOM series of many files.

The image is read, checked and written into the store as in a study. Against it stand `gunzip` into a file and the same
bytes written with the same shards, in the same run. Of the DICOM series it is counted how often each file is opened to
list the scans, and to read one.

    python benchmarks/reading.py [--megabytes 264] [--slices 10000]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_FRAMES = 40
_OPENED: Counter[str] = Counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=264, help="size of the compressed image")
    parser.add_argument("--slices", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        nifti(Path(name), options.megabytes)
    with tempfile.TemporaryDirectory() as name:
        dicom(Path(name), options.slices)


def nifti(folder: Path, megabytes: int) -> None:
    """Time of reading an image, as a ratio to that of unpacking and writing it, and the memory that it takes."""
    from dlif_core.ingest import find_scans, open_scan
    from dlif_core.study.source import write_source

    image = write_image(folder / "bids" / "sub-01" / "pet", megabytes)
    print(f"{image.stat().st_size / 1e6:.0f} MB compressed", flush=True)
    for repeat in range(2):
        before = peak_megabytes()
        with timed() as plain:
            unpacked = folder / "unpacked.nii"
            with unpacked.open("wb") as sink:
                subprocess.run(["gunzip", "-c", str(image)], check=True, stdout=sink)
            header = 352
            frames = np.memmap(unpacked, "<f4", "r", offset=header).reshape(_FRAMES, *_grid(unpacked, header))
            with staged(folder / f"plain{repeat}") as staging:
                write_shards(staging, frames)
            del frames
            unpacked.unlink()
        with timed() as read, staged(folder / f"read{repeat}") as staging:
            (files,) = find_scans(str(folder / "bids"))
            with open_scan(files) as ingested:
                write_source(staging, ingested)
        print(
            f"read, checked and stored {read[0]:.1f} s; gunzip and the same shards {plain[0]:.1f} s: "
            f"ratio {read[0] / plain[0]:.2f}; peak memory {before:.0f} -> {peak_megabytes():.0f} MB",
            flush=True,
        )


def write_image(folder: Path, megabytes: int) -> Path:
    """A noisy image whose compressed size is about so many megabytes, with its sidecar."""
    import gzip
    import json

    import nibabel as nib

    edge = round((megabytes * 1e6 / 3.6 / _FRAMES) ** (1 / 3))
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    header: Any = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((edge, edge, edge, _FRAMES))
    header.set_sform(np.diag([1.0, 1.0, 1.0, 1.0]), code="scanner")
    header.set_xyzt_units("mm", "sec")
    header["vox_offset"] = 352
    path = folder / "sub-01_pet.nii.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.binaryblock + b"\0\0\0\0")
        for _ in range(_FRAMES):
            file.write((2e5 * (1.0 + 0.3 * rng.standard_normal((edge,) * 3, dtype=np.float32))).tobytes())
    duration = [60.0] * _FRAMES
    sidecar = {
        "TracerName": "FDG",
        "TracerRadionuclide": "F18",
        "Units": "Bq/mL",
        "TimeZero": "10:00:00",
        "ScanStart": 0,
        "InjectionStart": 0,
        "FrameTimesStart": np.cumsum([0.0, *duration[:-1]]).tolist(),
        "FrameDuration": duration,
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
    }
    (folder / "sub-01_pet.json").write_text(json.dumps(sidecar))
    return path


def _grid(path: Path, header: int) -> tuple[int, int, int]:
    edge = round(((path.stat().st_size - header) / 4 / _FRAMES) ** (1 / 3))
    return edge, edge, edge


@contextmanager
def staged(folder: Path) -> Iterator[Any]:
    """A product that is being written in a new store."""
    from dlif_core.store import create_store

    yield create_store(str(folder)).stage("scans/sub-01.zarr/source")


def write_shards(staging: Any, image: Any) -> None:
    """The image in the shards of the store, and nothing else."""
    from dlif_core.store import blocks, image_chunking
    from dlif_core.store.arrays import write_shard

    chunks, shards = image_chunking(image.shape)
    dims = ("frame", "z", "y", "x")
    staging.create_array("activity", shape=image.shape, chunks=chunks, shards=shards, dims=dims, attrs={})
    for block in blocks(image.shape, shards):
        write_shard(staging.uri, "activity", block, np.asarray(image[block]))


def dicom(folder: Path, slices: int) -> None:
    """Time of listing and of reading a series, and how often its files are opened."""
    from dlif_core.ingest import find_scans, open_scan

    sys.addaudithook(_count)
    frames = max(2, slices // 100)
    write_series(folder, frames, slices // frames)
    _OPENED.clear()
    with timed() as listed:
        (files,) = find_scans(str(folder))
    print(f"{slices} DICOM files: listed in {listed[0]:.1f} s, {_opens()}", flush=True)
    _OPENED.clear()
    with timed() as read, open_scan(files, accept=("scan-too-short",)) as ingested:
        shape = ingested.scan.activity.shape if ingested.scan.activity is not None else None
    print(f"read as {shape} in {read[0]:.1f} s, {_opens()}; peak memory {peak_megabytes():.0f} MB", flush=True)


def write_series(folder: Path, frames: int, slices: int, edge: int = 64) -> None:
    """A dynamic series of small slices, each in a file."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

    series, study = generate_uid(), generate_uid()
    pixels = (1000 + np.arange(edge * edge) % 97).astype("<u2").tobytes()
    for frame in range(frames):
        for number in range(slices):
            one = pydicom.Dataset()
            one.SOPClassUID = PositronEmissionTomographyImageStorage
            one.SOPInstanceUID = generate_uid()
            one.SeriesInstanceUID, one.StudyInstanceUID = series, study
            one.Modality, one.Units, one.DecayCorrection = "PT", "BQML", "START"
            one.SeriesType, one.CorrectedImage = ["DYNAMIC", "IMAGE"], ["DECY", "ATTN"]
            one.Manufacturer = "dlif"
            one.SeriesDate = one.AcquisitionDate = "20260302"
            seconds = 36000 + 60 * frame
            one.SeriesTime = "100000"
            one.AcquisitionTime = time.strftime("%H%M%S", time.gmtime(seconds))
            one.ActualFrameDuration, one.FrameReferenceTime = 60_000, 60_000.0 * frame + 30_000.0
            one.NumberOfSlices, one.NumberOfTimeSlices = slices, frames
            one.ImageIndex = frame * slices + number + 1
            one.Rows = one.Columns = edge
            one.PixelSpacing, one.SliceThickness = [1.0, 1.0], 1.0
            one.ImagePositionPatient, one.ImageOrientationPatient = [0.0, 0.0, float(number)], [1, 0, 0, 0, 1, 0]
            one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
            one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
            one.RescaleSlope, one.RescaleIntercept = 100.0 + frame, 0.0
            drug = pydicom.Dataset()
            drug.RadionuclideHalfLife, drug.RadionuclideTotalDose = 6586.2, 1e7
            drug.RadiopharmaceuticalStartTime = "100000"
            one.RadiopharmaceuticalInformationSequence = [drug]
            one.PatientWeight = 0.025
            one.PixelData = pixels
            one.file_meta = pydicom.dataset.FileMetaDataset()
            one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            one.save_as(folder / f"{frame:04}_{number:04}.dcm", enforce_file_format=True)


def _count(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and str(arguments[0]).endswith(".dcm"):
        _OPENED[str(arguments[0])] += 1


def _opens() -> str:
    return f"every file opened {min(_OPENED.values(), default=0)} to {max(_OPENED.values(), default=0)} times"


@contextmanager
def timed() -> Iterator[list[float]]:
    """Seconds that the block takes, in a list of one number when it is over."""
    begin, seconds = time.perf_counter(), [0.0]
    yield seconds
    seconds[0] = time.perf_counter() - begin


def peak_megabytes() -> float:
    """Largest memory of this process until now [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
