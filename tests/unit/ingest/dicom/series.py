"""Dynamic series written with pydicom from one small phantom, which isn't symmetric in any direction."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

FRAMES, SLICES, ROWS, COLUMNS = 3, 4, 5, 6
START, DURATION = np.array([0.0, 60.0, 180.0]), np.array([60.0, 120.0, 1800.0])
HALF_LIFE = 6586.2
BEGAN = datetime(2024, 5, 6, 10, 0, 0)
PET, ENHANCED = "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130"

#: Stored numbers and slopes, shapes (frames, z, y, x) and (frames, z).
STORED = np.random.default_rng(1).integers(1000, 30000, (FRAMES, SLICES, ROWS, COLUMNS)).astype(np.int16)
SLOPES = 0.25 * (1 + np.arange(FRAMES * SLICES).reshape(FRAMES, SLICES))
ACTIVITY = STORED * SLOPES[:, :, None, None]

TRANSVERSE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SPACING, GAP, CORNER = (2.5, 1.5), 3.0, (-11.0, -22.0, 33.0)

Edit = Callable[[Dataset, int, int], None]


def decay_factors(reference: float = 0.0) -> np.ndarray:
    """Factors that correct frames for decay to a time [s from the first frame], shape (frames,)."""
    rate = np.log(2) / HALF_LIFE
    return np.asarray(np.exp(rate * (START - reference)) * rate * DURATION / -np.expm1(-rate * DURATION))


def clock(seconds: float) -> dict[str, str]:
    """Date and time so many seconds after the first frame began."""
    at = BEGAN + timedelta(seconds=seconds)
    return {"date": at.strftime("%Y%m%d"), "time": at.strftime("%H%M%S.%f"), "both": at.strftime("%Y%m%d%H%M%S.%f")}


def position(z: int, orientation: tuple[float, ...] = TRANSVERSE) -> list[float]:
    """Corner of a slice [mm]."""
    normal = np.cross(orientation[:3], orientation[3:])
    return [float(value) for value in np.array(CORNER) + GAP * z * normal]


def common(uid: str, number: int = 1) -> Dataset:
    """What all files of a series have in common."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = PET
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), uid
    dataset.SeriesNumber, dataset.Modality = number, "PT"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Doe^Jane", "MRN-12345", "19700101"
    dataset.SeriesDescription = "PET of Jane Doe"
    dataset.SeriesType, dataset.Units, dataset.DecayCorrection = ["DYNAMIC", "IMAGE"], "BQML", "START"
    dataset.CorrectedImage = ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"]
    dataset.SeriesDate, dataset.SeriesTime = clock(0)["date"], clock(0)["time"]
    dataset.NumberOfSlices, dataset.NumberOfTimeSlices = SLICES, FRAMES
    dataset.Manufacturer, dataset.ManufacturerModelName = "SIEMENS", "Biograph64_mCT"
    dataset.ReconstructionMethod = "PSF+TOF 3i21s"
    dataset.PatientWeight = 0.025
    dataset.RadiopharmaceuticalInformationSequence = [injection()]
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelSpacing, dataset.SliceThickness = list(SPACING), GAP
    dataset.ImageOrientationPatient = list(TRANSVERSE)
    return dataset


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def injection() -> Dataset:
    """The injection, at the start of the first frame."""
    item = Dataset()
    item.Radiopharmaceutical = "FDG -- fluorodeoxyglucose"
    item.RadiopharmaceuticalStartTime = clock(0)["time"]
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = 10e6, HALF_LIFE
    item.RadionuclideCodeSequence = [code("C-111A1", "SRT", "^18^Fluorine")]
    return item


def one_slice(dataset: Dataset, frame: int, z: int) -> None:
    """Give a file the place, times and values of a slice."""
    dataset.ImagePositionPatient = position(z, tuple(map(float, dataset.ImageOrientationPatient)))
    dataset.AcquisitionDate, dataset.AcquisitionTime = clock(START[frame])["date"], clock(START[frame])["time"]
    dataset.ActualFrameDuration = int(1000 * DURATION[frame])
    dataset.FrameReferenceTime = 1000 * (START[frame] + DURATION[frame] / 2)
    dataset.ImageIndex = dataset.InstanceNumber = frame * SLICES + z + 1
    dataset.DecayFactor = f"{decay_factors()[frame]:.8g}"
    dataset.RescaleSlope, dataset.RescaleIntercept = f"{SLOPES[frame, z]:.6g}", 0
    dataset.PixelData = STORED[frame, z].tobytes()


def save(dataset: Dataset, path: Path) -> Path:
    """Write a file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path, edit: Edit | None = None, number: int = 1, ending: str = ".dcm", **fields: Any
) -> list[Path]:
    """Write a series of one file for each slice, in no order that tells anything.

    Parameters
    ----------
    folder
        The folder.
    edit
        Changes a file, of a frame and a slice.
    number
        Number of the series.
    ending
        Ending of the names.
    fields
        Elements that all files have.
    """
    uid, written = generate_uid(), []
    shuffled = np.random.default_rng(number).permutation(FRAMES * SLICES)
    for name, place in enumerate(shuffled):
        frame, z = divmod(int(place), SLICES)
        dataset = common(uid, number)
        for keyword, value in fields.items():
            setattr(dataset, keyword, value)
        one_slice(dataset, frame, z)
        if edit is not None:
            edit(dataset, frame, z)
        if "PixelData" in dataset:
            written.append(save(dataset, folder / f"{number}_{name:04d}{ending}"))
    return written


def enhanced(folder: Path, edit: Callable[[Dataset], None] | None = None) -> Path:
    """Write the phantom as one file of Enhanced PET."""
    dataset = common(generate_uid())
    for keyword in (
        "Units",
        "PixelSpacing",
        "SliceThickness",
        "ImageOrientationPatient",
        "DecayCorrection",
        "SeriesType",
    ):
        delattr(dataset, keyword)
    dataset.SOPClassUID, dataset.NumberOfFrames = ENHANCED, FRAMES * SLICES
    dataset.DecayCorrected, dataset.DecayCorrectionDateTime = "YES", clock(0)["both"]
    dataset.AcquisitionDateTime = clock(0)["both"]
    dataset.SharedFunctionalGroupsSequence = [_shared()]
    dataset.PerFrameFunctionalGroupsSequence = [_group(*divmod(i, SLICES)) for i in range(FRAMES * SLICES)]
    dataset.PixelData = STORED.tobytes()
    if edit is not None:
        edit(dataset)
    return save(dataset, folder / "enhanced.dcm")


def _shared() -> Dataset:
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(SPACING), GAP
    orientation.ImageOrientationPatient = list(TRANSVERSE)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    return shared


def _group(frame: int, z: int) -> Dataset:
    group, content, place, values = Dataset(), Dataset(), Dataset(), Dataset()
    content.FrameAcquisitionDateTime = clock(START[frame])["both"]
    content.FrameAcquisitionDuration = 1000.0 * DURATION[frame]
    content.TemporalPositionIndex = frame + 1
    place.ImagePositionPatient = position(z)
    values.RealWorldValueSlope, values.RealWorldValueIntercept = float(SLOPES[frame, z]), 0.0
    values.MeasurementUnitsCodeSequence = [code("Bq/ml", "UCUM", "Becquerels/milliliter")]
    group.FrameContentSequence, group.PlanePositionSequence = [content], [place]
    group.RealWorldValueMappingSequence = [values]
    return group


def pmod(folder: Path, edit: Callable[[Dataset], None] | None = None) -> Path:
    """Write the phantom as PMOD does, as one file whose private elements hold times and slopes."""
    dataset = common(generate_uid())
    dataset.NumberOfFrames = FRAMES * SLICES
    dataset.AcquisitionDate, dataset.AcquisitionTime = clock(0)["date"], clock(0)["time"]
    dataset.ImagePositionPatient, dataset.RescaleSlope, dataset.RescaleIntercept = position(0), 1, 0
    block = dataset.private_block(0x0055, "PMOD_1", create=True)
    block.add_new(0x01, "FD", START.tolist())
    block.add_new(0x02, "FD", [value for z in range(SLICES) for value in position(z)])
    block.add_new(0x04, "FD", (1000 * DURATION).tolist())
    block.add_new(0x05, "FD", SLOPES[:, 0].tolist())
    dataset.PixelData = STORED.tobytes()
    if edit is not None:
        edit(dataset)
    return save(dataset, folder / "pmod.dcm")
