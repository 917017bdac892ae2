"""Dynamic images whose frames lie as plain arrays of numbers in one file, for formats with a header of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ImageError
from dlif_core.ingest.reader import ImageGeometry
from dlif_core.ingest.uris import FETCH_AGAIN

Array = NDArray[np.float64]

#: Numbers of voxels along an axis, and of frames, that no scanner has.
LONGEST_AXIS = 2**15 - 1

#: Signs of x, y, z towards right, front and head by the position of the patient (head or feet first, supine or prone)
#: in images whose axes are those of the scanner as CTI, Siemens and STIR store them: seen from the bed, from left to
#: right, from top to bottom, and from deep in the scanner outwards. The other positions are turns of HFS.
SCANNER_AXES = {"HFS": (-1, -1, -1), "HFP": (1, 1, -1), "FFS": (1, -1, 1), "FFP": (-1, 1, 1)}


@dataclass(frozen=True, eq=False)
class StoredVolumes:
    """A dynamic image in one local file, read plane by plane.

    Attributes
    ----------
    path
        Local, uncompressed file.
    where
        The file that it is of, for messages.
    stored_type
        Type of the numbers in the file, with their byte order.
    shape
        (frames, z, y, x); x varies fastest in the file.
    affine
        Shape (4, 4), voxel index (x, y, z) to mm, RAS.
    offsets
        Byte at which each frame begins.
    scales
        Factor of each frame from the numbers in the file to the unit of the image.
    """

    path: Path
    where: str
    stored_type: np.dtype[Any]
    shape: tuple[int, int, int, int]
    affine: Array
    offsets: Sequence[int]
    scales: Sequence[float]

    def __post_init__(self) -> None:
        require_shape(self.shape, self.where)
        size, needed = self.path.stat().st_size, self.frame_bytes
        for frame, offset in enumerate(self.offsets, start=1):
            if offset < 0 or offset + needed > size:
                raise ImageError(
                    f"the image is truncated, or its header is wrong: frame {frame} lies at bytes {offset} to "
                    f"{offset + needed} of a file of {size}.",
                    where=self.where,
                    hint=FETCH_AGAIN,
                )
        places = sorted(self.offsets)
        if any(later - earlier < needed for earlier, later in itertools.pairwise(places)):
            raise ImageError(
                "its header places two frames into the same bytes.", where=self.where, hint="Export the image again."
            )

    @property
    def frame_bytes(self) -> int:
        """Length of a frame in the file [bytes]."""
        _, depth, height, width = self.shape
        return depth * height * width * self.stored_type.itemsize

    def fill(self, target: NDArray[np.float32]) -> None:
        """Read all voxels, a plane at a time."""
        _, depth, height, width = self.shape
        with self.path.open("rb") as file:
            for frame, (offset, scale) in enumerate(zip(self.offsets, self.scales, strict=True)):
                file.seek(offset)
                for z in range(depth):
                    plane = np.fromfile(file, self.stored_type, height * width)
                    target[frame, z] = _scaled(plane, scale, self.where).reshape(height, width)


def _scaled(plane: NDArray[Any], scale: float, where: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (plane.astype(np.float64) * scale).astype(np.float32)
    if not np.isfinite(scaled).all():
        raise ImageError(
            "the image holds values that are not finite (NaN or infinite).",
            where=where,
            hint="Reconstruct or convert it again; check type of numbers and scale in its header.",
        )
    return scaled


def require_shape(shape: Sequence[int], where: str) -> None:
    """Refuse an image with an axis that is empty or longer than that of any scanner.

    Raises
    ------
    ImageError
        If it has one.
    """
    if any(not 1 <= length <= LONGEST_AXIS for length in shape):
        raise ImageError(
            f"the header announces an image of {' x '.join(map(str, shape[::-1]))} (x, y, z, frames).",
            where=where,
            hint="Correct the header, or export the image again.",
        )


def affine_of(shape: Sequence[int], voxel_size: Sequence[float], signs: Sequence[int]) -> Array:
    """Affine of an image whose centre is at the origin and whose axes are those of the scanner.

    Parameters
    ----------
    shape
        (frames, z, y, x).
    voxel_size
        Edge lengths along x, y, z [mm].
    signs
        1 for each of x, y, z whose index rises to the right, the front or the head, and -1 for each whose index falls.
    """
    affine = np.eye(4)
    for axis, (length, size, sign) in enumerate(zip(shape[:0:-1], voxel_size, signs, strict=True)):
        affine[axis, axis] = sign * size
        affine[axis, 3] = -sign * size * (length - 1) / 2
    return affine


def require_voxel_size(voxel_size: Sequence[float], where: str) -> None:
    """Refuse edge lengths [mm] that no voxel has.

    Raises
    ------
    ImageError
        If one is not between 0.001 and 1000 mm.
    """
    if not all(1e-3 <= size <= 1e3 for size in voxel_size):
        raise ImageError(
            f"the header announces voxels of {' x '.join(f'{size:g}' for size in voxel_size)} mm.",
            where=where,
            hint="Correct the size of the voxels in the header.",
        )


def geometry_of(shape: Sequence[int], voxel_size: Sequence[float]) -> ImageGeometry:
    """Grid of an image from its shape (frames, z, y, x) and the edge lengths along x, y, z [mm]."""
    return ImageGeometry(tuple(shape), tuple(float(size) for size in voxel_size[::-1]))
