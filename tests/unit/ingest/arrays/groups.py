"""The phantom as a Zarr group that xarray writes."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tests.unit.ingest.phantom import ACTIVITY, DURATION, HALF_LIFE, START, VOXEL_SIZE


def write_group(
    path: Path, *, version: int = 3, dims: tuple[str, ...] = ("frame", "z", "y", "x"), **attrs: Any
) -> Path:
    """Write the phantom, the first voxel at (-5, 7, 11) mm."""
    corner = (-5.0, 7.0, 11.0)
    axes = {
        dim: first + step * np.arange(count)
        for dim, first, step, count in zip("xyz", corner, VOXEL_SIZE, ACTIVITY.shape[:0:-1], strict=True)
    }
    image = xr.DataArray(
        ACTIVITY,
        dims=("frame", "z", "y", "x"),
        coords={"frame_start": ("frame", list(START)), "frame_duration": ("frame", list(DURATION)), **axes},
        attrs={"units": "Bq/mL"},
    ).transpose(*dims)
    fields = {
        "TracerName": "FDG",
        "TracerRadionuclide": "F18",
        "RadionuclideHalfLife": HALF_LIFE,
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "TimeZero": "10:00:00",
        "ScanStart": 0,
        "InjectionStart": 0,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    image.to_dataset(name="pet").assign_attrs(**(fields | attrs)).to_zarr(path, zarr_format=version, consolidated=False)
    return path
