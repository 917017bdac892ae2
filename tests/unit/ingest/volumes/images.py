"""Plain images of the phantom, with tables of frames and fields beside them."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy.io import netcdf_file

from tests.unit.ingest.phantom import DURATION, SECRETS, START, VOXEL_SIZE, stored

FIELDS = {
    "TracerName": "FDG",
    "TracerRadionuclide": "F18",
    "Units": "Bq/mL",
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0,
    "PatientName": SECRETS[0],
}
FRAMES = "start [s]\tend [s]\n" + "".join(f"{a}\t{a + b}\n" for a, b in zip(START, DURATION, strict=True))


def affine(signs: tuple[int, int, int]) -> np.ndarray:
    made = np.diag([*(sign * size for sign, size in zip(signs, VOXEL_SIZE, strict=True)), 1.0])
    made[:3, 3] = 7.0, -3.0, 5.0
    return made


def write_beside(
    path: Path, stem: str, frames: str | None = FRAMES, ending: str = "_frames.tsv", **fields: Any
) -> None:
    (path.parent / f"{stem}.json").write_text(json.dumps(FIELDS | fields))
    if frames is not None:
        (path.parent / f"{stem}{ending}").write_text(frames)


def write_nifti(path: Path, signs: tuple[int, int, int] = (-1, 1, 1), **beside: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(stored(signs).T, affine(signs))
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = SECRETS[1].encode()
    nib.save(image, path)
    write_beside(path, path.name.split(".")[0], **beside)
    return path


def write_analyze(path: Path, signs: tuple[int, int, int] = (-1, 1, 1), factor: float = 0.0, **beside: Any) -> Path:
    """A header ``.hdr`` of Analyze 7.5 with its voxels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = nib.Spm99AnalyzeHeader(endianness=">")
    header.set_data_shape((6, 5, 4, 3))
    header.set_data_dtype(np.float32)
    header["pixdim"][1:4] = VOXEL_SIZE
    header["scl_slope"] = factor
    header["db_name"] = SECRETS[2].encode()
    path.write_bytes(header.binaryblock)
    path.with_suffix(".img").write_bytes((stored(signs) / (factor or 1)).astype(">f4").tobytes())
    write_beside(path, path.stem, **beside)
    return path


def write_minc(path: Path, *, times: bool = True, **beside: Any) -> Path:
    """MINC 1: integers, scaled by a least and a largest value of each frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    activity = stored((1, 1, 1))
    with netcdf_file(path, "w") as file:
        for name, length, step in (
            ("time", 3, 0),
            ("zspace", 4, VOXEL_SIZE[2]),
            ("yspace", 5, VOXEL_SIZE[1]),
            ("xspace", 6, VOXEL_SIZE[0]),
        ):
            file.createDimension(name, length)
            if name != "time":
                space: Any = file.createVariable(name, "i", ())
                space.step, space.start, space.spacing = float(step), 2.0, "regular__"
        names = ("time", "zspace", "yspace", "xspace")
        if times:
            for name, values in (("time", START), ("time-width", DURATION)):
                file.createVariable(name, "d", ("time",))[:] = values
        image: Any = file.createVariable("image", "h", names)
        image.signtype, image.valid_range = "signed__", np.array([0.0, 32000.0])
        least, largest = activity.min((1, 2, 3)), activity.max((1, 2, 3))
        for name, values in (("image-max", largest), ("image-min", least)):
            file.createVariable(name, "d", ("time",))[:] = values
        for frame in range(3):
            image[frame] = np.round(32000 * (activity[frame] - least[frame]) / (largest[frame] - least[frame]))
    write_beside(path, path.name.split(".")[0], **{"frames": None, **beside})
    return path
