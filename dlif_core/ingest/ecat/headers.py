"""Headers of an ECAT 7 file: main header, directory of matrices, and the subheader of each frame.

A file is made of blocks of 512 bytes: the main header, then the directory, which lists a matrix for each frame by an
identifier and its first and last block. A matrix begins with a block of subheader; voxels follow. The names and places
of the fields are those that nibabel has them under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.ecat import hdr_dtype, subhdr_dtype

from dlif_core.errors import ImageError
from dlif_core.shown import counted

BLOCK = 512
MAGIC = b"MATRIX7"

#: Directories hold 31 matrices a block; more than this many blocks are of no scan.
_MOST_BLOCKS, _IN_BLOCK = 64, 31
#: File types that are volumes of voxels, of 8 and of 16 bits.
_VOLUMES = (6, 7)
_FILE_TYPES = {1: "a 2D sinogram", 3: "an attenuation", 4: "a normalisation", 5: "a polar map", 8: "a projection"}
_FILE_TYPES |= {9: "a projection", 11: "a 3D sinogram", 12: "a 3D sinogram", 13: "a normalisation", 14: "a sinogram"}
#: Types of numbers by code; the VAX wrote whole numbers in little-endian order.
_TYPES = {1: "u1", 2: "<i2", 3: "<i4", 5: "f4", 6: "i2", 7: "i4"}
#: Statuses of matrices that are there; others were deleted.
_EXISTS = (1, 2)
_EXPORT = "Export the image again as an ECAT 7 volume, or as DICOM or NIfTI."

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, eq=False)
class EcatHeaders:
    """Headers of a file.

    Attributes
    ----------
    main
        Fields of the main header by the name that nibabel gives them.
    frames
        Fields of the subheader of each frame, in the order of the frames.
    offsets
        Byte at which the voxels of each frame begin.
    stored_type
        Type of the numbers.
    """

    main: Any
    frames: tuple[Any, ...]
    offsets: tuple[int, ...]
    stored_type: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, z, y, x)."""
        first = self.frames[0]
        depth, height, width = (int(first[f"{axis}_dimension"]) for axis in "zyx")
        return len(self.frames), depth, height, width

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths along x, y, z [mm]; the file has them in cm."""
        x, y, z = (10.0 * float(self.frames[0][f"{axis}_pixel_size"]) for axis in "xyz")
        return x, y, z


def read_headers(read: Read, where: str) -> EcatHeaders:
    """Read the headers of a file.

    Parameters
    ----------
    read
        Reads a number of bytes from a place in the file; fewer where it ends.
    where
        The file, for messages.

    Raises
    ------
    ImageError
        If it is no ECAT 7 file, no volume of voxels, damaged, or of several beds or gates.
    """
    start = _whole(read, 0, BLOCK, where)
    if not start.startswith(MAGIC):
        raise ImageError(
            "this is no ECAT 7 file; ECAT 6 and other files are not read.",
            where=where,
            hint="Convert it to ECAT 7, DICOM or NIfTI with a program that knows it, such as XMedCon.",
        )
    order = _byte_order(start)
    main = _record(start, hdr_dtype, order)
    _require_volume(int(main["file_type"]), where)
    matrices = _in_order_of_frames(list(_matrices(read, order, where)), where)
    blocks = [_whole(read, (block - 1) * BLOCK, BLOCK, where) for _, block in matrices]
    frames = tuple(_record(block, subhdr_dtype, order) for block in blocks)
    return EcatHeaders(main, frames, tuple(block * BLOCK for _, block in matrices), _type_of(frames, order, where))


def _whole(read: Read, place: int, length: int, where: str) -> bytes:
    found = read(place, length)
    if len(found) < length:
        raise ImageError(
            f"the file is truncated: a header should lie at bytes {place} to {place + length}.",
            where=where,
            hint="Fetch or export it again.",
        )
    return found


def _byte_order(start: bytes) -> str:
    """Order in which a known type of file results; nearly all files are big-endian."""
    little, big = (int(_record(start, hdr_dtype, order)["file_type"]) for order in ("<", ">"))
    return "<" if little <= max(*_FILE_TYPES, *_VOLUMES) < big else ">"


def _record(block: bytes, fields: np.dtype[Any], order: str) -> Any:
    """The fields of a header; numpy swaps the bytes of all."""
    ordered: Any = fields.newbyteorder(">" if order == ">" else "<")
    return np.frombuffer(block, ordered, 1)[0]


def _require_volume(kind: int, where: str) -> None:
    if kind not in _VOLUMES:
        named = _FILE_TYPES.get(kind, f"of type {kind}")
        raise ImageError(f"the file is {named}, not a volume of voxels.", where=where, hint=_EXPORT)


def _matrices(read: Read, order: str, where: str) -> Iterator[tuple[int, int]]:
    """Identifier and first block of every matrix that is not deleted."""
    block, seen = 2, set[int]()
    while block >= 2 and block not in seen:
        seen.add(block)
        listed = np.frombuffer(_whole(read, (block - 1) * BLOCK, BLOCK, where), f"{order}i4").reshape(-1, 4)
        free, block, _, used = (int(value) for value in listed[0])
        if not 0 <= used <= _IN_BLOCK or free + used != _IN_BLOCK or len(seen) > _MOST_BLOCKS:
            raise ImageError("the directory of its frames is damaged.", where=where, hint="Fetch or export it again.")
        for identifier, first, _, status in listed[1 : used + 1]:
            if status in _EXISTS:
                yield int(identifier), int(first)


def _in_order_of_frames(matrices: list[tuple[int, int]], where: str) -> list[tuple[int, int]]:
    """Number of the frame and first block of each matrix; an identifier holds frame, bed and gate in its bits."""
    for shift, bits, what in ((12, 0xF, "bed"), (24, 0x3F, "gate")):
        positions = {identifier >> shift & bits for identifier, _ in matrices}
        if len(positions) > 1:
            raise ImageError(
                f"the file holds {counted(len(positions), what)}s.",
                where=where,
                hint=f"Export an image of one {what}: dlif reads one volume for each frame.",
            )
    frames = sorted((identifier & 0x1FF, block) for identifier, block in matrices)
    numbers = [number for number, _ in frames]
    if not frames or len(set(numbers)) < len(numbers) or min(block for _, block in frames) < 2:
        raise ImageError(
            "the directory of its frames lists none, or one twice.", where=where, hint="Fetch or export it again."
        )
    return frames


def _type_of(frames: tuple[Any, ...], order: str, where: str) -> np.dtype[Any]:
    layouts = {
        tuple(int(frame[name]) for name in ("data_type", "x_dimension", "y_dimension", "z_dimension"))
        for frame in frames
    }
    if len(layouts) > 1:
        raise ImageError("its frames differ in size or type of numbers.", where=where, hint=_EXPORT)
    code = layouts.pop()[0]
    if code not in _TYPES:
        kind = "floats of the VAX" if code == 4 else f"numbers of type {code}"
        raise ImageError(f"the voxels are {kind}, which are not read.", where=where, hint=_EXPORT)
    kind = _TYPES[code]
    return np.dtype(kind if kind.startswith("<") else f"{order}{kind}")
