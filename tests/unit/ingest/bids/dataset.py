"""A small PET-BIDS dataset with known values, for the tests of ingest."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

START = [0.0, 10.0, 30.0, 60.0]
DURATION = [10.0, 20.0, 30.0, 120.0]
AFFINE = np.array([[-2.0, 0, 0, 10], [0, 3.0, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1]])
SIDECAR: dict[str, Any] = {
    "TracerName": "FDG",
    "TracerRadionuclide": "F18",
    "Units": "kBq/mL",
    "TimeZero": "10:00:00",
    "ScanStart": 0,
    "InjectionStart": 0,
    "FrameTimesStart": START,
    "FrameDuration": DURATION,
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0,
    "InjectedRadioactivity": 10.0,
    "InjectedRadioactivityUnits": "MBq",
}
BLOOD = {
    "time": {"Units": "s"},
    "whole_blood_radioactivity": {"Units": "kBq/mL"},
    "plasma_radioactivity": {"Units": "Bq/mL"},
    "metabolite_parent_fraction": {"Units": "unitless"},
}
BLOOD_TABLE = (
    "time\twhole_blood_radioactivity\tplasma_radioactivity\tmetabolite_parent_fraction\n"
    "0\t0\t0\tn/a\n30\t2.5\t3000\t0.9\n20\t1.5\tn/a\t0.95\n"
)


def write(path: Path, content: str | dict[str, Any]) -> Path:
    """Write text or JSON, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def voxels(shape: tuple[int, ...] = (3, 4, 5, 4)) -> np.ndarray:
    """Different values in every voxel, in NIfTI order (x, y, z, frame), that int16 holds."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def write_image(path: Path, values: np.ndarray, slope: float = 1.0, affine: np.ndarray = AFFINE) -> Path:
    """Write a NIfTI image with lengths in mm and private free text in its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, affine, dtype=values.dtype)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"Jane Doe 1970-01-01"
    image.header.set_slope_inter(slope, 0)
    nibabel.save(image, path)
    return path


def make_dataset(root: Path, sidecar: dict[str, Any] | None = None, image: np.ndarray | None = None) -> Path:
    """One scan with image, arterial blood and weight in grams; returns the folder of its PET files."""
    pet = root / "sub-01" / "pet"
    write(pet / "sub-01_pet.json", SIDECAR | (sidecar or {}))
    write_image(pet / "sub-01_pet.nii.gz", voxels() if image is None else image, slope=0.5)
    write(pet / "sub-01_recording-manual_blood.tsv", BLOOD_TABLE)
    write(pet / "sub-01_recording-manual_blood.json", BLOOD)
    write(root / "participants.tsv", "participant_id\tname\tspecies\tweight\nsub-01\tJane Doe\tmus musculus\t22\n")
    write(root / "participants.json", {"weight": {"Units": "g"}})
    return pet


def write_curves(root: Path, table: str, name: str = "sub-01_desc-seg_tacs.tsv") -> Path:
    """A table of region curves below derivatives."""
    return write(root / "derivatives" / "extract" / "sub-01" / name, table)


def curve_table(**regions: list[float]) -> str:
    """Text of a table of region curves on the scan's frames."""
    end = np.array(START) + DURATION
    rows = zip(START, end, *regions.values(), strict=True)
    lines = ["\t".join(["frame_start", "frame_end", *regions]), *("\t".join(map(str, row)) for row in rows)]
    return "\n".join(lines) + "\n"
