"""Dynamic series that PMOD exports: its private elements hold the times and slopes of frames and the places of slices.

The images of a file are the slices of the first frame, then those of the second, and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dlif_core.errors import ImageError
from dlif_core.ingest.dicom.headers import DicomHeader, number, numbers
from dlif_core.ingest.dicom.planes import Plane, directions, plane

_HINT = "Export the scan from PMOD again."


def pmod_planes(header: DicomHeader, file: int) -> list[Plane]:
    """Planes of a file that PMOD wrote.

    Raises
    ------
    ImageError
        If its vectors don't fit its images.
    """
    images, starts = len(header.frames), numbers(header.facts, "PmodStarts") or ()
    slices, left = divmod(images, len(starts))
    if left:
        raise ImageError(
            f"the file has {images} images, and times of {len(starts)} frames.", where=header.uri, hint=_HINT
        )
    durations = _of_frames(header, "PmodDurations", images, slices)
    slopes = _of_frames(header, "PmodSlopes", images, slices)
    first = plane(_first(header, slices, slopes(0)), header.uri, file, 0)
    return [
        replace(
            first,
            index=index,
            position=_place(header, index, slices),
            orientation=_orientation(header, index, slices) or first.orientation,
            slope=_slope(first.slope, slopes(index)),
            offset=starts[index // slices],
            duration=first.duration if (stated := durations(index)) is None else stated / 1000.0,
            reference=None,
            order=float(index // slices),
        )
        for index in range(images)
    ]


def states_places(header: DicomHeader) -> bool:
    """Whether a vector of PMOD states the place of every slice; else they are counted from the first."""
    values, starts = numbers(header.facts, "PmodPositions"), numbers(header.facts, "PmodStarts") or (0.0,)
    images = len(header.frames)
    return values is not None and len(values) in (3 * images, 3 * images // len(starts))


def _first(header: DicomHeader, slices: int, slope: float | None) -> dict[str, object]:
    """Elements of the first image, with what only the vectors state."""
    facts: dict[str, object] = {**header.facts, "ImagePositionPatient": _place(header, 0, slices)}
    orientation = _orientation(header, 0, slices)
    if orientation is not None:
        facts["ImageOrientationPatient"] = orientation
    if slope is not None:
        facts["RescaleSlope"] = (slope,)
    return facts


def _slope(of_file: float, of_frame: float | None) -> float:
    return of_file if of_frame is None else of_frame


def _of_frames(header: DicomHeader, name: str, images: int, slices: int) -> Callable[[int], float | None]:
    """What a vector holds for an image: it has a number for each frame, or for each image."""
    values = numbers(header.facts, name)
    if values is None:
        return lambda index: None
    if len(values) == images:
        return lambda index: values[index]
    if len(values) * slices != images:
        raise ImageError(
            f"a vector of PMOD has {len(values)} numbers for {images // slices} frames.", where=header.uri, hint=_HINT
        )
    return lambda index: values[index // slices]


def _place(header: DicomHeader, index: int, slices: int) -> tuple[float, ...]:
    """Position of an image: as the vector states it for each slice, or counted from the first."""
    values = numbers(header.facts, "PmodPositions")
    if values is not None and states_places(header):
        at = 3 * (index % slices if len(values) == 3 * slices else index)
        return values[at : at + 3]
    position = numbers(header.facts, "ImagePositionPatient", 3)
    axes = numbers(header.facts, "ImageOrientationPatient", 6)
    gap = number(header.facts, "SpacingBetweenSlices") or number(header.facts, "SliceThickness")
    if position is None or axes is None or not gap:
        raise ImageError("the places of the slices are missing.", where=header.uri, hint=_HINT)
    x, y, z, u, v, w = directions(axes, header.uri)
    normal = (y * w - z * v, z * u - x * w, x * v - y * u)
    return tuple(value + gap * (index % slices) * along for value, along in zip(position, normal, strict=True))


def _orientation(header: DicomHeader, index: int, slices: int) -> tuple[float, ...] | None:
    values = numbers(header.facts, "PmodOrientations")
    if values is None or len(values) not in (6, 6 * slices, 6 * len(header.frames)):
        return None
    at = 6 * (index if len(values) == 6 * len(header.frames) else index % slices if len(values) > 6 else 0)
    return directions(values[at : at + 6], header.uri)
