"""Interfile images of the phantom, in the manner of STIR."""

from pathlib import Path
from typing import Any

from tests.unit.ingest.phantom import DURATION, HALF_LIFE, SECRETS, START, VOXEL_SIZE, stored

KEYS: dict[str, Any] = {
    "imaging modality": "PT",
    "version of keys": "3.3",
    "patient name": SECRETS[0],
    "patient ID": SECRETS[1],
    "GENERAL DATA": "",
    "patient orientation": "head_in",
    "patient rotation": "supine",
    "!type of data": "PET",
    "imagedata byte order": "LITTLEENDIAN",
    "!PET data type": "Image",
    "process status": "Reconstructed",
    "radiopharmaceutical": "FDG",
    "isotope name": "^18^Fluorine",
    "radionuclide halflife (sec)": HALF_LIFE,
    "applied corrections": "{attenuation correction, decay correction}",
    "number format": "float",
    "!number of bytes per pixel": 4,
    "number of dimensions": 3,
    "matrix axis label [1]": "x",
    "!matrix size [1]": 6,
    "!matrix size [2]": 5,
    "!matrix size [3]": 4,
    "scaling factor (mm/pixel) [1]": VOXEL_SIZE[0],
    "scaling factor (mm/pixel) [2]": VOXEL_SIZE[1],
    "scaling factor (mm/pixel) [3]": VOXEL_SIZE[2],
    "number of time frames": 3,
    "quantification units": "Bq/ml",
}


def header(name: str, **changes: Any) -> str:
    """A header; a change with the value None leaves its key out."""
    frames = {f"image relative start time (sec)[{n}]": start for n, start in enumerate(START, 1)}
    frames |= {f"image duration (sec)[{n}]": duration for n, duration in enumerate(DURATION, 1)}
    frames |= {f"image scaling factor[{n}]": n for n in (1, 2, 3)}
    frames |= {f"data offset in bytes[{n}]": 64 + 480 * (n - 1) for n in (1, 2, 3)}
    keys = {"name of data file": name, **KEYS, **frames, **changes}
    lines = [f"{key} := {value}" for key, value in keys.items() if value is not None]
    return "\n".join(["!INTERFILE  :=", "; a comment := nothing", *lines, "!END OF INTERFILE :="]) + "\n"


def write_interfile(
    path: Path, signs: tuple[int, int, int] = (-1, -1, -1), kind: str = "<f4", data: str = "", **changes: Any
) -> Path:
    """A header, and a file of voxels beside it that begins with 64 other bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = path.parent / (data or f"{path.stem}.v")
    image.parent.mkdir(parents=True, exist_ok=True)
    frames = [(frame / n).astype(kind).tobytes() for n, frame in enumerate(stored(signs), start=1)]
    image.write_bytes(bytes(64) + b"".join(frames))
    path.write_text(header(data or image.name, **changes))
    return path
