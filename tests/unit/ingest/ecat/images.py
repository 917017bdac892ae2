"""ECAT 7 files of the phantom."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from nibabel.ecat import hdr_dtype, subhdr_dtype

from tests.unit.ingest.phantom import DURATION, HALF_LIFE, SECRETS, START, VOXEL_SIZE, decay_factors, stored

BLOCK = 512
MAIN = {
    "magic_number": b"MATRIX72v",
    "sw_version": 72,
    "file_type": 7,
    "scan_start_time": 1_500_000_000,
    "dose_start_time": 1_500_000_000,
    "isotope_name": b"F-18",
    "isotope_halflife": HALF_LIFE,
    "radiopharmaceutical": b"FDG",
    "ecat_calibration_factor": 4.0,
    "patient_id": SECRETS[0].encode(),
    "patient_name": SECRETS[1].encode(),
    "study_description": SECRETS[2].encode(),
    "patient_weight": 70.0,
    "patient_orientation": 3,
    "num_frames": 3,
    "num_gates": 1,
    "data_units": b"Bq/cc",
    "dosage": 3.7e8,
}
#: Scale of each frame; the phantom holds whole numbers of it.
SCALES = (1.0, 0.5, 1.0)


def ecat(
    signs: tuple[int, int, int] = (-1, -1, -1),
    order: Literal["<", ">"] = ">",
    frames: tuple[int, ...] = (1, 2, 3),
    identifiers: tuple[int, ...] | None = None,
    subheader: dict[str, Any] | None = None,
    **main: Any,
) -> bytes:
    """A file whose frames lie in it in the order of `frames`."""
    header = np.zeros(1, hdr_dtype.newbyteorder(order))
    for name, value in {**MAIN, **main}.items():
        header[name] = value
    calibration = {**MAIN, **main}["ecat_calibration_factor"]
    voxels = stored(signs)
    factors = decay_factors()
    blocks, listed, place = b"", [], 3
    for number in frames:
        i = number - 1
        scale = SCALES[i]
        pixels = (voxels[i] / scale).astype(f"{order}i4").tobytes()
        pixels += bytes(-len(pixels) % BLOCK)
        sub = np.zeros(1, subhdr_dtype.newbyteorder(order))
        values = {
            "data_type": 7,
            "x_dimension": 6,
            "y_dimension": 5,
            "z_dimension": 4,
            "scale_factor": scale / calibration,
            "frame_start_time": 1000 * START[i],
            "frame_duration": 1000 * DURATION[i],
            "decay_corr_fctr": factors[i],
            "corrections_applied": 512,
        }
        values |= {f"{axis}_pixel_size": size / 10 for axis, size in zip("xyz", VOXEL_SIZE, strict=True)}
        for name, value in {**values, **(subheader or {})}.items():
            sub[name] = value
        blocks += sub.tobytes().ljust(BLOCK, b"\0") + pixels
        end = place + len(pixels) // BLOCK
        identifier = number | 1 << 16 | 1 << 24 if identifiers is None else identifiers[i]
        listed.append((identifier, place, end, 1))
        place = end + 1
    directory = np.zeros((32, 4), f"{order}i4")
    directory[0] = 31 - len(listed), 2, 0, len(listed)
    directory[1 : 1 + len(listed)] = listed
    return header.tobytes().ljust(BLOCK, b"\0") + directory.tobytes() + blocks


def write_ecat(path: Path, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ecat(**changes))
    return path
