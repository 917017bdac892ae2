"""MINC 1 images: NetCDF files whose numbers are scaled by a least and a largest value of each frame or plane.

nibabel reads no frames of different lengths, so the files are read here; where it reads them, numbers are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ImageError
from dlif_core.foreign_faults import without_quotations
from dlif_core.ingest.local_files import local_file
from dlif_core.ingest.stored_volumes import require_shape

Array = NDArray[np.float64]

_NETCDF, _HDF5 = b"CDF", b"\x89HDF"
_SPACES = ("zspace", "yspace", "xspace")
_COSINES = {"xspace": (1.0, 0.0, 0.0), "yspace": (0.0, 1.0, 0.0), "zspace": (0.0, 0.0, 1.0)}
_SECONDS = ("", "s", "sec", "second", "seconds")
_CONVERT = "Convert it to NIfTI with mnc2nii."


@dataclass(frozen=True, eq=False)
class MincSeries:
    """A dynamic image in MINC.

    Attributes
    ----------
    where
        The file.
    shape
        (frames, z, y, x).
    affine
        Shape (4, 4), voxel index (x, y, z) to mm, RAS.
    times
        ``FrameTimesStart`` and ``FrameDuration``, where the file has them.
    """

    where: str
    shape: tuple[int, int, int, int]
    affine: Array
    times: dict[str, list[float]]
    _stored: NDArray[Any]
    _range: tuple[float, float] | None
    _least: Array
    _largest: Array

    def fill(self, target: NDArray[np.float32]) -> None:
        """Read all voxels, a plane at a time."""
        frames, depth, *_ = self.shape
        for frame in range(frames):
            for plane in range(depth):
                with np.errstate(over="ignore"):
                    target[frame, plane] = self._plane(frame, plane)
            if not np.isfinite(target[frame]).all():
                raise ImageError("the image holds values that are not finite.", where=self.where, hint=_CONVERT)

    def _plane(self, frame: int, plane: int) -> Array:
        place = (frame, plane) if self._stored.ndim == 4 else (plane,)
        values: Array = np.asarray(self._stored[place], dtype=np.float64)
        if self._range is None:
            return values
        low, high = self._range
        least, largest = (float(bound[place[: bound.ndim]]) for bound in (self._least, self._largest))
        with np.errstate(over="ignore", invalid="ignore"):
            return least + (np.clip(values, low, high) - low) * ((largest - least) / (high - low))


@contextmanager
def open_minc(uri: str) -> Iterator[MincSeries]:
    """Open an image; it can be read until the context ends.

    Raises
    ------
    MissingInputError
        If it is not there.
    ImageError
        If it is damaged, MINC 2, or its axes are in another order than time, z, y, x.
    """
    with local_file(uri) as path:
        try:
            image = _read(path, uri)
        except ImageError:
            raise
        except Exception as fault:  # the parser of NetCDF raises whatever damaged headers lead to
            told = without_quotations(str(fault)) or type(fault).__name__
            raise ImageError(f"this is no MINC image, or damaged ({told}).", where=uri, hint=_CONVERT) from fault
        yield image


def _read(path: Path, uri: str) -> MincSeries:
    _require_netcdf(path, uri)
    from scipy.io import netcdf_file

    with netcdf_file(str(path), "r", mmap=False) as file:
        variables = dict(file.variables)
    image = variables["image"]
    if image.dimensions not in (_SPACES, ("time", *_SPACES)):
        raise ImageError("its axes are not time, z, y, x.", where=uri, hint=f"{_CONVERT} Reorder its axes.")
    stored = _with_sign(image)
    lengths = tuple(int(length) for length in stored.shape)
    frames, depth, height, width = lengths if len(lengths) == 4 else (1, *lengths)
    require_shape((frames, depth, height, width), uri)
    least, largest = (np.asarray(variables[name].data, dtype=float) for name in ("image-min", "image-max"))
    leading = (lengths[: least.ndim], lengths[: largest.ndim])
    if (least.shape, largest.shape) != leading or max(least.ndim, largest.ndim) > len(lengths) - 2:
        raise ImageError("image-min and image-max are not of its frames or planes.", where=uri, hint=_CONVERT)
    return MincSeries(
        where=uri,
        shape=(frames, depth, height, width),
        affine=_affine(variables, uri),
        times=_times(variables, frames),
        _stored=stored,
        _range=_range(image, stored, uri),
        _least=least,
        _largest=largest,
    )


def _require_netcdf(path: Path, uri: str) -> None:
    with path.open("rb") as file:
        start = file.read(4)
    if start == _HDF5:
        hint = f"{_CONVERT} Or make MINC 1 of it with mincconvert."
        raise ImageError("MINC 2 is not read.", where=uri, hint=hint)
    if not start.startswith(_NETCDF):
        raise ImageError("this is no MINC image.", where=uri, hint="Check what the file is.")


def _text(variable: Any, name: str) -> str:
    value = getattr(variable, name, b"")
    return value.decode("latin-1").strip("\0 ").lower() if isinstance(value, bytes) else ""


def _with_sign(image: Any) -> NDArray[Any]:
    """The numbers of the image; NetCDF states no sign, MINC does."""
    data: NDArray[Any] = image.data
    if data.dtype.kind == "f":
        return data
    default = "unsigned" if data.dtype.itemsize == 1 else "signed__"
    kind = "u" if (_text(image, "signtype") or default) == "unsigned" else "i"
    return data.view(np.dtype(f"{data.dtype.byteorder}{kind}{data.dtype.itemsize}"))


def _range(image: Any, stored: NDArray[Any], uri: str) -> tuple[float, float] | None:
    """Range of the numbers that stands for that from image-min to image-max; None for floating numbers."""
    if stored.dtype.kind == "f":
        return None
    limits = np.iinfo(stored.dtype)
    stated = getattr(image, "valid_range", None)
    found = (limits.min, limits.max) if stated is None else np.asarray(stated, dtype=float).ravel().tolist()
    if len(found) != 2 or not limits.min <= min(found) < max(found) <= limits.max:
        raise ImageError("its valid_range is not one of its numbers.", where=uri, hint=_CONVERT)
    return float(min(found)), float(max(found))


def _affine(variables: dict[str, Any], uri: str) -> Array:
    affine = np.eye(4)
    cosines = np.zeros((3, 3))
    starts = np.zeros(3)
    for column, name in enumerate(_SPACES[::-1]):
        space = variables.get(name)
        if space is not None and _text(space, "spacing") == "irregular":
            raise ImageError("its planes are not equally far apart.", where=uri, hint="Resample it to equal distances.")
        cosines[:, column] = getattr(space, "direction_cosines", _COSINES[name])
        affine[:3, column] = cosines[:, column] * float(getattr(space, "step", 1.0))
        starts[column] = float(getattr(space, "start", 0.0))
    affine[:3, 3] = cosines @ starts
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ImageError("its steps and directions give no orientation.", where=uri, hint=_CONVERT)
    return affine


def _times(variables: dict[str, Any], frames: int) -> dict[str, list[float]]:
    """Start and width of each frame [s]; nothing where the file doesn't have them, or in another unit."""
    if not {"time", "time-width"} <= variables.keys() or _text(variables["time"], "units") not in _SECONDS:
        return {}
    start, width = (np.asarray(variables[name].data, dtype=float).ravel() for name in ("time", "time-width"))
    if len(start) != frames or len(width) != frames or not np.isfinite([*start, *width]).all():
        return {}
    return {"FrameTimesStart": start.tolist(), "FrameDuration": width.tolist()}
