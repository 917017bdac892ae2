"""What the header of an Interfile image says: its layout in the data file, and fields of PET-BIDS."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from dlif_core.checks import Finding
from dlif_core.checks.metadata import IMAGE_HEADER, TIME_AXIS
from dlif_core.errors import ImageError
from dlif_core.ingest.interfile.header import InterfileHeader
from dlif_core.ingest.stored_volumes import SCANNER_AXES
from dlif_core.units import is_unit

#: Letter of numpy for a format of numbers, and its usual length [bytes].
_FORMATS = {
    "signed integer": ("i", 0),
    "unsigned integer": ("u", 0),
    "short float": ("f", 4),
    "float": ("f", 4),
    "long float": ("f", 8),
}
_LENGTHS = {"i": (1, 2, 4), "u": (1, 2, 4), "f": (4, 8)}
_BLOCK = 2048
_SCALES = ("image scaling factor", "data rescale slope")
_NO_LETTERS = re.compile(r"[^A-Z]")
_ORDERS = {"LITTLEENDIAN": "<", "BIGENDIAN": ">"}
_SCALE = ("scaling factor (mm/pixel)", "scale factor (mm/pixel)")
_NOT_TRANSVERSE = ("coronal", "sagittal", "other")
_EXPORT = "Export it as whole or floating numbers of 1 to 8 bytes."


def shape_of(header: InterfileHeader) -> tuple[int, int, int, int]:
    """(frames, z, y, x).

    Raises
    ------
    ImageError
        If a length is missing or no whole number.
    """
    width, height = (header.whole("matrix size", index=axis) for axis in (1, 2))
    depth = header.whole("matrix size", index=3) if header.text("matrix size", index=3) else None
    return header.frames, header.whole("number of slices") if depth is None else depth, height, width


def voxel_size_of(header: InterfileHeader) -> tuple[float, float, float]:
    """Edge lengths along x, y, z [mm]; the distance of slices may be stated in pixels.

    Raises
    ------
    ImageError
        If one is missing or no number.
    """
    x, y = (header.require(*_SCALE, index=axis) for axis in (1, 2))
    z = header.value(*_SCALE, index=3)
    if z is None:
        z = x * header.require("centre-centre slice separation (pixels)", "slice thickness (pixels)")
    return x, y, z


def type_of(header: InterfileHeader, findings: list[Finding]) -> np.dtype[Any]:
    """Type of the numbers; big-endian where the header doesn't state the order, as Interfile has it.

    Raises
    ------
    ImageError
        If the format is unknown or not of that length.
    """
    letter, usual = _FORMATS.get(header.text("number format").lower(), ("", 0))
    stated = header.value("number of bytes per pixel")
    length = usual if stated is None else stated
    if length not in _LENGTHS.get(letter, ()):
        raise ImageError(
            "the format of the numbers is missing, unknown or not of its length.",
            where=f"{header.where}, keys `number format` and `number of bytes per pixel`",
            hint=_EXPORT,
        )
    stated_order = header.text("imagedata byte order", "image data byte order").upper()
    order = _NO_LETTERS.sub("", stated_order)
    if order and order not in _ORDERS and length > 1:
        raise ImageError(
            "the byte order is neither LITTLEENDIAN nor BIGENDIAN.",
            where=f"{header.where}, key `imagedata byte order`",
            hint="Correct the header.",
        )
    if not order and length > 1:
        message = "The byte order is not stated; BIGENDIAN is assumed, as Interfile has it."
        findings.append(IMAGE_HEADER.found(message, where=f"{header.where}, key `imagedata byte order`"))
    return np.dtype(f"{_ORDERS.get(order, '>')}{letter}{int(length)}")


def offsets_of(header: InterfileHeader, frames: int, frame_bytes: int) -> list[int]:
    """Byte at which each frame begins in the data file; frames without an offset of their own follow each other.

    Raises
    ------
    ImageError
        If an offset is no whole number.
    """
    stated = header.text("data offset in bytes")
    first = header.whole("data offset in bytes") if stated else int(_BLOCK * (header.value("data starting block") or 0))
    name = "data offset in bytes"
    indexed = [header.whole(name, index=n) if header.text(name, index=n) else None for n in range(1, frames + 1)]
    start = first if indexed[0] is None else indexed[0]
    return [start + n * frame_bytes if offset is None else offset for n, offset in enumerate(indexed)]


def scales_of(header: InterfileHeader, frames: int) -> list[float]:
    """Factor of each frame from the numbers in the file.

    Raises
    ------
    ImageError
        If a factor is not above zero, factors contradict each other, or there is an offset.
    """
    stated = [found for name in _SCALES if (found := _stated_scales(header, name, frames))]
    if any(found != stated[0] for found in stated):
        raise _not_one_scale(header, f"`{_SCALES[0]}` and `{_SCALES[1]}` are two factors.")
    scales = stated[0] if stated else [1.0] * frames
    whole = header.text("quantification units")
    factor = header.value("quantification units") if whole and not is_unit(whole) else None
    if factor is not None and set(scales) == {1.0}:
        scales = [factor] * frames
    elif factor not in (None, 1.0) and set(scales) != {factor}:
        raise _not_one_scale(header, "`quantification units` and `image scaling factor` are two factors.")
    if header.value("data rescale offset"):
        raise _not_one_scale(header, "there is a `data rescale offset`.")
    if not all(np.isfinite(scale) and scale > 0 for scale in scales):
        raise _not_one_scale(header, "the scale of a frame is not a number above zero.")
    return scales


def _stated_scales(header: InterfileHeader, name: str, frames: int) -> list[float]:
    """The factor of each frame under a key, or that of all; nothing where the key isn't there."""
    whole = header.value(name)
    found = [header.of_frame(name, number, frames) for number in range(1, frames + 1)]
    known = [value for value in found if value is not None]
    if whole is None and 0 < len(known) < frames:
        raise _not_one_scale(header, f"`{name}` is stated for {len(known)} of {frames} frames.")
    filled = [whole if value is None else value for value in found]
    return [value for value in filled if value is not None]


def _not_one_scale(header: InterfileHeader, message: str) -> ImageError:
    return ImageError(message, where=header.where, hint="Export the image with one factor for each frame.")


def signs_of(header: InterfileHeader, findings: list[Finding]) -> tuple[int, int, int]:
    """Directions of the axes by the position of the patient, as STIR has them.

    Raises
    ------
    ImageError
        If the slices are not transverse.
    """
    if header.text("slice orientation").lower() in _NOT_TRANSVERSE:
        raise ImageError("the slices are not transverse.", where=header.where, hint="Export transverse slices.")
    first = {"head_in": "HF", "feet_in": "FF"}.get(header.text("patient orientation").lower().replace(" ", "_"), "")
    side = {"supine": "S", "prone": "P"}.get(header.text("patient rotation").lower(), "")
    if first and side:
        message = "Left, right, head and feet are taken as STIR writes them."
    else:
        message = "The header doesn't say how the patient lay; head first and supine is taken, with axes as in STIR."
    where = f"{header.where}, keys `patient orientation` and `patient rotation`"
    findings.append(IMAGE_HEADER.found(message, where=where))
    return SCANNER_AXES[first + side if first and side else "HFS"]


def fields_of(header: InterfileHeader, findings: list[Finding]) -> dict[str, Any]:
    """Fields of the sidecar: times, unit, nuclide, tracer and decay correction; names, dates and remarks never.

    Raises
    ------
    ImageError
        If a key that should hold a number holds something else.
    """
    stated = header.text("quantification units", "image units")
    tracer = header.text("radiopharmaceutical", "radiopharmaceutical name")
    fields: dict[str, Any] = {
        "TracerName": tracer,
        "TracerRadionuclide": header.text("isotope name", "radionuclide name") or header.text("isotope name", index=1),
        "RadionuclideHalfLife": header.value("isotope gamma halflife (sec)", "radionuclide halflife (sec)"),
        "Units": stated if is_unit(stated) else "",
        "ImageDecayCorrectionTime": 0.0,
    }
    fields |= _times(header, findings) | _decay(header)
    return {name: value for name, value in fields.items() if value not in ("", None)}


def _times(header: InterfileHeader, findings: list[Finding]) -> dict[str, Any]:
    """Frames of the header; where it states durations alone, frames follow each other from time zero."""
    frames = range(1, header.frames + 1)
    starts = [header.of_frame("image relative start time (sec)", frame, len(frames)) for frame in frames]
    durations = [header.of_frame("image duration (sec)", frame, len(frames)) for frame in frames]
    if None in durations:
        return {}
    if all(start is None for start in starts):
        starts = [0.0, *np.cumsum([duration or 0.0 for duration in durations])[:-1].tolist()]
        message = "The header states durations alone; the frames follow each other from time zero."
        findings.append(TIME_AXIS.found(message, where=f"{header.where}, key `image relative start time (sec)`"))
    return {"FrameDuration": durations} | ({} if None in starts else {"FrameTimesStart": starts})


def _decay(header: InterfileHeader) -> dict[str, Any]:
    stated = header.text("decay corrected").lower()
    applied = header.text("applied corrections", "corrections applied").lower()
    if stated or applied:
        return {"ImageDecayCorrected": stated in ("y", "yes", "true", "1") or "decay" in applied}
    return {}
