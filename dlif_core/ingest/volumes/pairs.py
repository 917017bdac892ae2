"""Pairs of a header ``.hdr`` and voxels ``.img``: Analyze 7.5 and NIfTI in two files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from dlif_core.checks import Finding
from dlif_core.checks.metadata import IMAGE_HEADER
from dlif_core.errors import ImageError
from dlif_core.ingest.local_files import first_bytes, local_file
from dlif_core.ingest.nifti_header import NiftiHeader, parse_header
from dlif_core.ingest.stored_volumes import StoredVolumes, affine_of, require_shape, require_voxel_size

HEADER_BYTES = 348
_MAGIC, _OFFSET = slice(344, 348), slice(108, 112)
#: Places of fields of Analyze 7.5: lengths, type of numbers, edges of voxels; first byte of voxels and factor of SPM.
_DIM, _TYPE, _PIXDIM, _VOX_OFFSET, _FACTOR = 40, 70, 76, 108, 112
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8"}
_CONVERT = "Convert the pair to one .nii.gz."


def is_pair_header(uri: str) -> bool:
    """Whether a file begins as a header of Analyze or NIfTI does: with its length."""
    try:
        start = first_bytes(uri, 4)
    except (ImageError, OSError, ValueError):
        return False
    return start in (struct.pack("<i", HEADER_BYTES), struct.pack(">i", HEADER_BYTES))


def read_pair_header(uri: str) -> tuple[NiftiHeader, bool]:
    """Read a header, and whether it is one of Analyze, which states no orientation.

    Raises
    ------
    MissingInputError
        If it is not there.
    ImageError
        If it is neither, or a field is impossible.
    """
    block = first_bytes(uri, HEADER_BYTES)
    if len(block) < HEADER_BYTES or not is_pair_header(uri):
        raise ImageError("this is no header of Analyze or NIfTI.", where=uri, hint="Check what the file is.")
    if not block[_MAGIC].startswith((b"ni1", b"n+1")):
        return _analyze(block, uri), True
    order = "<" if block.startswith(struct.pack("<i", HEADER_BYTES)) else ">"
    offset = struct.unpack(f"{order}f", block[_OFFSET])[0]
    as_one = bytearray(block)
    as_one[_MAGIC], as_one[_OFFSET] = b"n+1\0", struct.pack(f"{order}f", 352.0)
    return replace(parse_header(bytes(as_one), uri), offset=_whole_offset(offset, uri)), False


def _whole_offset(offset: float, uri: str) -> int:
    if not (0 <= offset < 2.0**40 and float(offset).is_integer()):
        raise ImageError(f"its header says that voxels begin at byte {offset:g}.", where=uri, hint=_CONVERT)
    return int(offset)


def _analyze(block: bytes, uri: str) -> NiftiHeader:
    order = "<" if block.startswith(struct.pack("<i", HEADER_BYTES)) else ">"

    def read(kind: str, place: int) -> tuple[Any, ...]:
        return struct.unpack_from(f"{order}{kind}", block, place)

    rank, width, height, depth, frames = read("5h", _DIM)
    kind = _TYPES.get(read("h", _TYPE)[0])
    if rank not in (3, 4) or kind is None:
        raise ImageError("its header gives no image of 3 or 4 dimensions in known numbers.", where=uri, hint=_CONVERT)
    shape = (width, height, depth, frames if rank == 4 else 1)
    require_shape(shape[::-1], uri)
    sizes = [abs(float(size)) for size in read("3f", _PIXDIM + 4)]
    require_voxel_size(sizes, uri)
    factor = float(read("f", _FACTOR)[0])
    return NiftiHeader(
        shape=shape,
        stored_type=np.dtype(f"{order}{kind}"),
        offset=_whole_offset(read("f", _VOX_OFFSET)[0], uri),
        slope=factor if np.isfinite(factor) and factor > 0 else 1.0,
        intercept=0.0,
        affine=affine_of(shape[::-1], sizes, (-1, 1, 1)),
        raw=b"",
        warnings=(
            "An Analyze image states no orientation; x is taken to run from right to left, y to the front, z to the "
            "head. Look at a scan whose sides you know.",
        ),
    )


@contextmanager
def open_pair(header_uri: str, image_uri: str, findings: list[Finding]) -> Iterator[StoredVolumes]:
    """Open a pair of files; its image can be read until the context ends.

    Raises
    ------
    MissingInputError
        If a file is not there.
    ImageError
        If a header is impossible, or the voxels are not complete.
    """
    header, _ = read_pair_header(header_uri)
    if header.intercept:
        raise ImageError("its header adds a number to the voxels (scl_inter).", where=header_uri, hint=_CONVERT)
    findings += [IMAGE_HEADER.found(warning, where=header_uri) for warning in header.warnings]
    width, height, depth, frames = header.shape
    shape = frames, depth, height, width
    length = width * height * depth * header.stored_type.itemsize
    with local_file(image_uri) as path:
        offsets = [header.offset + frame * length for frame in range(frames)]
        scales = [header.slope] * frames
        yield StoredVolumes(path, image_uri, header.stored_type, shape, header.affine, offsets, scales)
