"""Inveon images of the phantom."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.ingest.phantom import ACTIVITY, DURATION, HALF_LIFE, SECRETS, START, VOXEL_SIZE, decay_factors, stored

TYPES = {1: "u1", 2: "<i2", 3: "<i4", 4: "<f4", 5: ">f4", 6: ">i2", 7: ">i4"}
SCAN: dict[str, Any] = {
    "version": "001.910",
    "model": 5000,
    "modality": 0,
    "file_type": 5,
    "acquisition_mode": 3,
    "total_frames": 3,
    "isotope": "F-18",
    "isotope_half_life": HALF_LIFE,
    "isotope_branching_fraction": 0.5,
    "data_type": 4,
    "data_order": 1,
    "x_dimension": 6,
    "y_dimension": 5,
    "z_dimension": 4,
    "w_dimension": 1,
    "pixel_size": VOXEL_SIZE[0] / 10,
    "pixel_size_x": VOXEL_SIZE[0],
    "pixel_size_y": VOXEL_SIZE[1],
    "pixel_size_z": VOXEL_SIZE[2],
    "decay_correction_applied": 1,
    "calibration_units": 2,
    "calibration_factor": 4.0,
    "investigator": SECRETS[0],
    "subject_identifier": SECRETS[1],
    "study": SECRETS[2],
    "scan_time": "Tue Mar 03 10:00:00 2009",
    "injection_time": "Tue Mar 03 10:00:00 2009",
    "injected_compound": "FDG",
    "dose_units": 2,
    "dose": 10.0,
    "subject_orientation": 3,
    "subject_weight_units": 1,
    "subject_weight": 25.0,
}


def header(order: tuple[int, ...] = (0, 1, 2), frame: dict[str, Any] | None = None, **scan: Any) -> str:
    entries = {name: value for name, value in {**SCAN, **scan}.items() if value is not None}
    length = ACTIVITY[0].size * np.dtype(TYPES.get(entries["data_type"], "f4")).itemsize
    lines = ["#", "# Header file for data file (text)", *(f"{name} {value}" for name, value in entries.items())]
    lines.append("end_of_header")
    factors = decay_factors()
    for place, number in enumerate(order):
        values = {
            "frame": number,
            "event_type": 4,
            "gate": 0,
            "bed": 0,
            "data_file_pointer": f"0 {place * length}",
            "frame_start": START[number],
            "frame_duration": DURATION[number],
            "scale_factor": 0.125 * (1 + number),
            "deadtime_correction": 1.02,
            "decay_correction": factors[number],
        }
        lines += [f"{name} {value}" for name, value in {**values, **(frame or {})}.items()]
        lines.append("end_of_header")
    return "\n".join(lines) + "\n"


def voxels(signs: tuple[int, int, int], data_type: int = 4, order: tuple[int, ...] = (0, 1, 2)) -> bytes:
    """The frames in their order in the file; scale × calibration / branching fraction is 1, 2 and 3."""
    image = stored(signs)
    return b"".join((image[number] / (1 + number)).astype(TYPES[data_type]).tobytes() for number in order)


def write_inveon(
    path: Path, signs: tuple[int, int, int] = (1, -1, 1), order: tuple[int, ...] = (0, 1, 2), **changes: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(voxels(signs, changes.get("data_type", 4), order))
    path.with_name(f"{path.name}.hdr").write_text(header(order, **changes))
    return path
