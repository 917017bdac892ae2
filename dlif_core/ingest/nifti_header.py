"""The header of a NIfTI image, checked field by field before any voxel is read."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ImageError
from dlif_core.foreign_faults import without_quotations

Array = NDArray[np.float64]

#: Longest header [bytes]: that of NIfTI-2.
HEADER_BYTES = 540

_CONVERT = "Convert the image again, or correct the field in the header."

#: Header fields that are kept: shape, type and place of the voxels. All others may hold text.
_KEPT = (
    *("sizeof_hdr", "magic", "eol_check", "dim_info", "dim", "datatype", "bitpix", "pixdim", "xyzt_units"),
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z"),
)

#: Unit of length by the lowest bits of ``xyzt_units``, with its length in mm.
_LENGTH_UNITS = {0: ("unknown", 1.0), 1: ("meter", 1e3), 2: ("mm", 1.0), 3: ("micron", 1e-3)}

#: Edges of a voxel that an image can have [mm].
_SMALLEST, _LARGEST = 1e-3, 1e3
#: Determinant of an affine with edges of length one below which axes fall together.
_FLAT = 1e-6
#: Share by which two statements of a voxel size may differ, because headers hold them in float32 and round.
_ROUNDING = 0.01

#: Starts of files that are often called images.
_OTHER_FORMATS = {
    b"\x1f\x8b": "a gzip file, so the image is compressed twice",
    b"MATRIX7": "an ECAT 7 file",
    b"\x89HDF": "an HDF5 file, such as MINC 2",
    b"CDF": "a MINC 1 file",
    b"\0\0\0\1": "an MGH file of FreeSurfer",
    b"NRRD": "an NRRD file",
    b"PK": "a zip file",
    b"<": "a web page",
    b"{": "a JSON file",
}


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What a header says of the voxels that follow it.

    Attributes
    ----------
    shape
        (x, y, z, frames).
    stored_type
        Type of the numbers in the file, with its byte order.
    offset
        First byte of the voxels.
    slope, intercept
        What turns stored numbers into values: ``slope * stored + intercept``.
    affine
        Shape (4, 4), voxel index (x, y, z) to mm.
    raw
        Bytes of the header, the fields empty that may hold text, and those of offset and scale.
    warnings
        What the header leaves open or states twice, with what was taken.
    """

    shape: tuple[int, ...]
    stored_type: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    affine: Array
    raw: bytes
    warnings: tuple[str, ...]

    @property
    def frame_bytes(self) -> int:
        """Length of one frame in the file [bytes]."""
        return math.prod(self.shape[:3]) * self.stored_type.itemsize

    @property
    def end(self) -> int:
        """Length of the file up to the last voxel [bytes]."""
        return self.offset + self.shape[3] * self.frame_bytes

    @property
    def voxel_size(self) -> tuple[float, ...]:
        """Edge lengths of a voxel along x, y, z [mm]."""
        return tuple(float(edge) for edge in _edges(self.affine))


def parse_header(block: bytes, uri: str) -> NiftiHeader:
    """Read and check a header.

    Parameters
    ----------
    block
        First bytes of the uncompressed file, `HEADER_BYTES` of them if it has so many.
    uri
        The file, for messages.

    Raises
    ------
    ImageError
        If it is no header of NIfTI-1 or NIfTI-2 in one file, or a field is impossible; the message names the field.
    """
    header = _header(block, uri)
    warnings: list[str] = []
    shape = _shape(header, uri)
    slope, intercept = _scale(header, uri, warnings)
    return NiftiHeader(
        shape=shape,
        stored_type=_number_type(header, uri),
        offset=_offset(header, uri),
        slope=slope,
        intercept=intercept,
        affine=_affine(header, shape, uri, warnings),
        raw=_without_text(header),
        warnings=tuple(warnings),
    )


def _header(block: bytes, uri: str) -> Any:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    kinds: dict[int, Any] = {348: Nifti1Header, HEADER_BYTES: Nifti2Header}
    sizes = {order: struct.unpack(f"{order}i", block[:4].ljust(4, b"\0"))[0] for order in "<>"}
    order = next((order for order, size in sizes.items() if size in kinds), "")
    if not order:
        _refuse(f"it has no NIfTI header; {described(block)}", uri, "Convert it to NIfTI, or fetch it again.")
    size = sizes[order]
    if len(block) < size:
        _refuse(f"its header is truncated: {len(block)} bytes of {size}", uri, "Convert or fetch the image again.")
    header = kinds[size](block[:size], endianness=order, check=False)
    magic = header["magic"].item()
    if magic in (b"ni1", b"ni2"):
        _refuse("its header is that of a pair of files, .hdr and .img", uri, "Convert the pair to one .nii.gz.")
    if magic != {348: b"n+1", HEADER_BYTES: b"n+2"}[size]:
        _refuse(
            f"its header has the mark {magic!r}, not that of NIfTI; an ANALYZE image states no orientation",
            uri,
            "Convert it to NIfTI with the orientation that it was acquired in.",
        )
    return header


def described(block: bytes) -> str:
    """Say what a file is that begins with such bytes; of its content no more is told."""
    if block[128:132] == b"DICM":
        return "it is a DICOM file"
    known = next((what for start, what in _OTHER_FORMATS.items() if block.lstrip(b"\t\n\r ").startswith(start)), "")
    return f"it is {known}" if known else f"it begins with the bytes {block[:4].hex(' ')}"


def _shape(header: Any, uri: str) -> tuple[int, ...]:
    """Return (x, y, z, frames); an image of three dimensions is one frame."""
    rank = int(header["dim"][0])
    if not 1 <= rank <= 7:
        _refuse(f"its header says dim[0] = {rank}; an image has 3 or 4 dimensions", uri)
    shape = tuple(int(length) for length in header["dim"][1 : rank + 1])
    if min(shape) < 1:
        _refuse(f"its header gives dimensions of {' × '.join(map(str, shape))} voxels, in the field dim", uri)
    if rank < 3 or math.prod(shape[4:]) != 1:
        _refuse(
            f"the image has shape {shape}; a dynamic image has four dimensions (x, y, z, frame)",
            uri,
            "Merge the frames into one 4D image.",
        )
    return (*shape, 1)[:4]


def _number_type(header: Any, uri: str) -> np.dtype[Any]:
    from nibabel.spatialimages import HeaderDataError

    try:
        kind: np.dtype[Any] = header.get_data_dtype()
    except (HeaderDataError, KeyError):
        _refuse(f"its header gives an unknown type of numbers, datatype = {int(header['datatype'])}", uri)
    if kind.kind not in "iuf":
        _refuse(
            f"the image holds values of type {kind}", uri, "Convert it to integers with scale, or to floating point."
        )
    return kind


def _offset(header: Any, uri: str) -> int:
    offset, least = float(header["vox_offset"]), len(header.binaryblock) + 4
    if not (least <= offset < 2.0**63 and offset.is_integer()):
        _refuse(f"its header says that voxels begin at byte {offset:g} (vox_offset); at least {least} is needed", uri)
    return int(offset)


def _scale(header: Any, uri: str, warnings: list[str]) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0 or NaN means none, as in the definition of NIfTI."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if math.isinf(slope):
        _refuse(f"its header says scl_slope = {slope}", uri, "Set scl_slope to the factor of the values, or to 1.")
    if slope == 0.0 or math.isnan(slope):
        if math.isfinite(intercept) and intercept != 0.0:
            warnings.append(f"The image header gives scl_inter {intercept:g} without scl_slope; it is not applied.")
        return 1.0, 0.0
    if not math.isfinite(intercept):
        _refuse(
            f"its header says scl_slope = {slope:g}, but scl_inter = {intercept}",
            uri,
            "Set scl_inter to 0, or to the value that is to be added.",
        )
    return slope, intercept


def _affine(header: Any, shape: tuple[int, ...], uri: str, warnings: list[str]) -> Array:
    unit, millimetres = _length_unit(header, uri)
    if unit == "unknown":
        warnings.append("The image header gives no unit of length; mm is assumed, as BIDS asks for.")
    placed = np.array(_placed(header, shape, uri, warnings), dtype=float)
    placed[:3] *= millimetres
    if not np.isfinite(placed).all():
        _refuse("the affine holds values that are not finite", uri, _CORRECT_PLACE)
    edges = _edges(placed)
    if not ((edges >= _SMALLEST) & (edges <= _LARGEST)).all():
        _refuse(f"voxels of {_listed(edges)} mm are not possible (unit of length: {unit})", uri, _CORRECT_PLACE)
    if abs(np.linalg.det(placed[:3, :3] / edges)) < _FLAT:
        _refuse("the affine is not invertible", uri, _CORRECT_PLACE)
    return placed


_CORRECT_PLACE = "Correct the voxel sizes and orientation in the header (pixdim, sform, qform, xyzt_units)."


def _length_unit(header: Any, uri: str) -> tuple[str, float]:
    code = int(header["xyzt_units"]) & 7
    if code not in _LENGTH_UNITS:
        _refuse(f"its header gives an unknown unit of length, {code} in xyzt_units", uri)
    return _LENGTH_UNITS[code]


def _placed(header: Any, shape: tuple[int, ...], uri: str, warnings: list[str]) -> Array:
    """Return the affine in the header's unit: the sform, else the qform, else voxel sizes alone."""
    by_s, by_q = int(header["sform_code"]), int(header["qform_code"])
    if not by_s and not by_q:
        warnings.append(
            "The image header states no orientation (sform_code and qform_code are 0); "
            "x is taken to run from right to left, y to the front, z to the head."
        )
        return np.asarray(header.get_base_affine())
    if not by_s:
        return _qform(header, uri)
    sform = np.asarray(header.get_sform())
    if np.isfinite(sform).all():
        warnings.extend(_contradictions(header, sform, shape, uri) if by_q else _other_sizes(header, sform))
    return sform


def _qform(header: Any, uri: str) -> Array:
    from nibabel.spatialimages import HeaderDataError

    signed = header.copy()
    if header["pixdim"][0] == 0:
        signed["pixdim"][0] = 1  # as the definition of NIfTI asks for
    try:
        return np.asarray(signed.get_qform())
    except (HeaderDataError, ValueError) as fault:
        raise ImageError(
            f"its qform can't be read: {without_quotations(str(fault))}.", where=uri, hint=_CORRECT_PLACE
        ) from fault


def _contradictions(header: Any, sform: Array, shape: tuple[int, ...], uri: str) -> list[str]:
    """Say where sform and qform differ; they may name two spaces, but not two voxel sizes or two left sides."""
    try:
        qform = _qform(header, uri)
    except ImageError:
        qform = np.full((4, 4), np.nan)
    if not np.isfinite(qform).all():
        return ["The qform of the image header can't be read; the sform is used."]
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        return ["The sform and the qform of the image header swap left and right; the sform is used."]
    if not np.allclose(_edges(sform), _edges(qform), rtol=_ROUNDING):
        return [_two_sizes("qform", _edges(qform), _edges(sform))]
    corners = np.array(np.meshgrid(*((0, length - 1) for length in shape[:3]), [1])).reshape(4, -1)
    apart = float(np.linalg.norm((sform - qform) @ corners, axis=0).max())
    if header["sform_code"] == header["qform_code"] and apart > _edges(sform).max():
        return [f"The sform and the qform of the image header place voxels up to {apart:.3g} apart; the sform is used."]
    return []


def _other_sizes(header: Any, sform: Array) -> list[str]:
    sizes = np.asarray(header["pixdim"][1:4], dtype=float)
    stated = np.isfinite(sizes).all() and (sizes > 0).all()
    if not stated or np.allclose(_edges(sform), sizes, rtol=_ROUNDING):
        return []
    return [_two_sizes("pixdim", sizes, _edges(sform))]


def _two_sizes(name: str, sizes: Array, used: Array) -> str:
    return (
        f"The image header gives voxels of {_listed(sizes)} by {name}, of {_listed(used)} by its sform; "
        "the sform is used."
    )


def _edges(affine: Array) -> Array:
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0))


def _listed(lengths: Array) -> str:
    return " × ".join(f"{length:.4g}" for length in lengths)


def _without_text(header: Any) -> bytes:
    """The header with the fields that are kept alone, and no scale: the stored image has none."""
    blank = header.copy()
    for name in set(header.keys()) - set(_KEPT):
        blank[name] = np.zeros_like(blank[name])
    blank["scl_slope"], blank["scl_inter"] = np.nan, np.nan
    return bytes(blank.binaryblock)


def _refuse(fault: str, uri: str, hint: str = _CONVERT) -> NoReturn:
    raise ImageError(f"{fault}.", where=uri, hint=hint)
