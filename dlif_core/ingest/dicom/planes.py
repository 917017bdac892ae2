"""The planes that a file holds: each is one slice of one frame, with its place, its time and its scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlif_core.errors import ImageError
from dlif_core.ingest.dicom.clocks import acquired
from dlif_core.ingest.dicom.headers import Facts, number, numbers

_EXPORT = "Export the series again as DICOM PET images."
#: More rows or columns than any image of PET has.
_LARGEST = 4096


@dataclass(frozen=True)
class Plane:
    """One slice of one frame.

    Attributes
    ----------
    file, index
        Number of the file in the scan, and of the image in the file.
    shape
        Rows and columns.
    position
        Centre of the first pixel, in the patient's coordinates of DICOM (left, back, head) [mm].
    orientation
        Direction in which the columns are counted, then that in which the rows are.
    spacing
        Distance of rows, and of columns [mm].
    thickness
        Thickness of the slice [mm]; zero where it isn't stated.
    slope, intercept
        What turns stored numbers into the unit of the series.
    start
        Moment at which its acquisition began, see `dlif_core.ingest.dicom.clocks`; None where it isn't stated.
    offset
        Time from there on after which it really began [s]; None where the start is that.
    duration
        Duration of the acquisition [s]; None where it isn't stated.
    reference
        Time that it counts as, from the time of the series [s]; None where it isn't stated.
    decay_factor
        Factor by which it was corrected for decay; None where it isn't stated.
    order
        Number of the image in the series or of its frame; None where it isn't stated.
    """

    file: int
    index: int
    shape: tuple[int, int]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    thickness: float
    slope: float
    intercept: float
    start: float | None
    offset: float | None
    duration: float | None
    reference: float | None
    decay_factor: float | None
    order: float | None

    @property
    def began(self) -> float | None:
        """Start with the offset, as a moment, or from an unknown moment; None where neither is stated."""
        return None if self.start is None and self.offset is None else (self.start or 0.0) + (self.offset or 0.0)

    @property
    def normal(self) -> tuple[float, ...]:
        """Unit vector at right angles to the slice, of right-handed axes."""
        return tuple(np.cross(self.orientation[:3], self.orientation[3:]))

    @property
    def height(self) -> float:
        """Place of the slice along its normal [mm]."""
        return float(np.dot(self.position, self.normal))


def plane(facts: Facts, uri: str, file: int, index: int) -> Plane:
    """The plane of an image by its elements.

    Raises
    ------
    ImageError
        If they don't say where it lies, or how its numbers are scaled.
    """
    position = _stated(facts, "ImagePositionPatient", 3, uri)
    slope, intercept = _scale(facts, uri)
    return Plane(
        file=file,
        index=index,
        shape=_shape(facts, uri),
        position=position,
        orientation=directions(_stated(facts, "ImageOrientationPatient", 6, uri), uri),
        spacing=_spacing(facts, uri),
        thickness=abs(number(facts, "SpacingBetweenSlices") or number(facts, "SliceThickness") or 0.0),
        slope=slope,
        intercept=intercept,
        start=acquired(facts),
        offset=None,
        duration=_seconds(facts, "FrameAcquisitionDuration", "ActualFrameDuration"),
        reference=_seconds(facts, "FrameReferenceTime"),
        decay_factor=number(facts, "DecayFactor"),
        order=number(facts, "TemporalPositionIndex") or number(facts, "ImageIndex"),
    )


def directions(stated: tuple[float, ...], uri: str) -> tuple[float, ...]:
    """Directions of columns and rows as unit vectors.

    Raises
    ------
    ImageError
        If they aren't at right angles.
    """
    axes = np.reshape(stated, (2, 3))
    length = np.linalg.norm(axes, axis=1)
    if np.any(np.abs(length - 1) > 0.01) or abs(float(axes[0] @ axes[1])) > 0.01:
        raise ImageError("ImageOrientationPatient holds no two axes at right angles.", where=uri, hint=_EXPORT)
    return tuple(float(value) for value in (axes / length[:, None]).ravel())


def _shape(facts: Facts, uri: str) -> tuple[int, int]:
    rows, columns = (int(_stated(facts, keyword, 1, uri)[0]) for keyword in ("Rows", "Columns"))
    if not (0 < rows <= _LARGEST and 0 < columns <= _LARGEST):
        raise ImageError(f"the image has {rows} × {columns} pixels.", where=uri, hint=_EXPORT)
    return rows, columns


def _spacing(facts: Facts, uri: str) -> tuple[float, float]:
    rows, columns = _stated(facts, "PixelSpacing", 2, uri)
    if min(rows, columns) <= 0:
        raise ImageError(f"PixelSpacing is {rows:g} and {columns:g} mm.", where=uri, hint=_EXPORT)
    return rows, columns


def _scale(facts: Facts, uri: str) -> tuple[float, float]:
    """Slope and intercept; that of the real world counts before that of the modality, and Philips' own goes with it."""
    slope, intercept = number(facts, "RealWorldValueSlope"), number(facts, "RealWorldValueIntercept")
    if slope is None:
        slope, intercept = number(facts, "RescaleSlope"), number(facts, "RescaleIntercept")
    if slope is None or slope == 0:
        raise ImageError(
            f"RescaleSlope, which turns stored numbers into activity, is {'zero' if slope == 0 else 'missing'}.",
            where=uri,
            hint=_EXPORT,
        )
    own = number(facts, "PhilipsActivityFactor") if facts.get("Units") == "CNTS" else None
    return (slope * (own or 1.0), (intercept or 0.0) * (own or 1.0))


def _seconds(facts: Facts, *keywords: str) -> float | None:
    """The first of some elements in ms, in s."""
    found = next((value for keyword in keywords if (value := number(facts, keyword)) is not None), None)
    return None if found is None else found / 1000.0


def _stated(facts: Facts, keyword: str, count: int, uri: str) -> tuple[float, ...]:
    found = numbers(facts, keyword, count)
    if found is None:
        raise ImageError(f"{keyword} is missing, or no {count} numbers.", where=uri, hint=_EXPORT)
    return found
