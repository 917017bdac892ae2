"""The frames of a series: planes in order of time, and of place within a frame; every slice is accounted for.

Planes of one frame began at one time, last as long and count as one time. Where the files give all planes one time, the
number of each image tells its frame.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import FrameTimingError, ImageError
from dlif_core.ingest.dicom.clocks import DAY
from dlif_core.ingest.dicom.planes import Plane

#: Differences of places within a slice [mm], and of gaps between slices, that are rounding.
_PLACE, _GAP = 0.02, 0.01
#: Slices of all times over those of one time from which the bed must have moved; beds overlap.
_BEDS = 1.5
_MOST_NAMED = 3
_COPY = "Copy the series again from the scanner or archive, with all its images, each once."


@dataclass(frozen=True, eq=False)
class FramesOfPlanes:
    """Planes in the order of frames and slices.

    Attributes
    ----------
    planes
        Planes of each frame, along the normal of the slices.
    affine
        Shape (4, 4), voxel index (x, y, z) to mm in RAS axes.
    """

    planes: tuple[tuple[Plane, ...], ...]
    affine: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, z, y, x)."""
        return (len(self.planes), len(self.planes[0]), *self.planes[0][0].shape)


def arranged(
    planes: Sequence[Plane], where: str, slices: int | None = None, frames: int | None = None
) -> FramesOfPlanes:
    """Put planes into frames.

    Parameters
    ----------
    planes
        All planes of a series.
    where
        The series, for messages.
    slices, frames
        Counts of slices of a frame and of frames that the files state; None where they don't.

    Raises
    ------
    FrameTimingError
        If there is one frame only, parts of the body were measured at different times, or frames are missing.
    ImageError
        If slices are missing, double, unevenly apart, or of different grids.
    """
    _require_one_grid(planes, where)
    slices = None if slices == len(planes) else slices
    grouped = _grouped(_across_midnight(planes), where, slices, frames)
    ordered = [tuple(sorted(group, key=lambda one: one.height)) for group in grouped]
    _require_slices(ordered, where, slices)
    if frames is not None and len(ordered) < frames:
        raise FrameTimingError(
            f"the files hold {len(ordered)} of the {frames} frames that they state.", where=where, hint=_COPY
        )
    if len(ordered) == 1:
        raise FrameTimingError(
            "the series is static: it has one frame.", where=where, hint="Reconstruct it as a dynamic series."
        )
    return FramesOfPlanes(tuple(ordered), _affine(ordered[0], where))


def _require_one_grid(planes: Sequence[Plane], where: str) -> None:
    first = planes[0]
    for one in planes:
        apart = np.abs(np.subtract(one.orientation, first.orientation)).max()
        if one.shape != first.shape or apart > 1e-3 or not np.allclose(one.spacing, first.spacing, rtol=1e-3):
            raise ImageError(
                f"images differ in size, direction or spacing: {_grid(first)} and {_grid(one)}.",
                where=where,
                hint="Put images of one reconstruction into a series.",
            )


def _grid(one: Plane) -> str:
    return f"{one.shape[0]} × {one.shape[1]} pixels of {one.spacing[0]:g} × {one.spacing[1]:g} mm"


def _across_midnight(planes: Sequence[Plane]) -> Sequence[Plane]:
    """The planes, with those after midnight a day later where the files don't count the day; no scan lasts 12 h."""
    starts = [one.start for one in planes if one.start is not None]
    if not starts or max(starts) - min(starts) <= DAY / 2 or len({start // DAY for start in starts}) > 1:
        return planes
    early = max(starts) - DAY / 2
    return [
        replace(one, start=one.start + DAY) if one.start is not None and one.start < early else one for one in planes
    ]


def _grouped(planes: Sequence[Plane], where: str, slices: int | None, frames: int | None) -> list[list[Plane]]:
    """Planes of each frame, in order of time."""
    by_time = _groups(planes, _time)
    if len(by_time) > 1:
        _require_one_bed(by_time, where)
        return by_time
    times = max(Counter(_slot(one) for one in planes).values())
    if times == 1:
        return by_time
    return _by_number(planes, slices, frames) or by_time


def _groups(planes: Sequence[Plane], key: Callable[[Plane], Hashable]) -> list[list[Plane]]:
    groups: dict[Hashable, list[Plane]] = defaultdict(list)
    for one in planes:
        groups[key(one)].append(one)
    return [groups[name] for name in sorted(groups)]  # type: ignore[type-var]


def _time(one: Plane) -> tuple[float, float, float]:
    """Times of a plane in whole milliseconds, by which the planes of a frame belong together."""
    return (
        round(1000 * (one.began or 0.0)),
        round(1000 * (one.reference or 0.0)),
        round(1000 * (one.duration or 0.0)),
    )


def _slot(one: Plane) -> int:
    """Place of a slice in steps of rounding."""
    return round(one.height / _PLACE)


def _by_number(planes: Sequence[Plane], slices: int | None, frames: int | None) -> list[list[Plane]]:
    """Frames by the numbers of the images: one for each frame, or counted through all slices of all frames."""
    numbers = [one.order for one in planes]
    if None in numbers:
        return []
    if len(set(numbers)) < len(numbers):
        return _groups(planes, lambda one: one.order)
    each = slices or (len(planes) // frames if frames else 0)
    if not each or len(planes) % each:
        return []
    ordered = sorted(planes, key=lambda one: one.order or 0.0)
    return [ordered[at : at + each] for at in range(0, len(ordered), each)]


def _require_one_bed(groups: Sequence[Sequence[Plane]], where: str) -> None:
    """Refuse scans of which each time holds another part of the body."""
    everywhere = {_slot(one) for group in groups for one in group}
    typical = np.median([len({_slot(one) for one in group}) for group in groups])
    if len(everywhere) >= _BEDS * typical:
        raise FrameTimingError(
            "slices of one frame were measured at different times: the scan has several bed positions, or the bed "
            "moved.",
            where=where,
            hint="dlif needs frames of one bed position; reconstruct one bed as a dynamic series.",
        )


def _require_slices(frames: Sequence[Sequence[Plane]], where: str, slices: int | None) -> None:
    """Refuse frames with double, missing or unevenly spaced slices, and tell how many of which frame."""
    double = {number: count for number, frame in enumerate(frames, 1) if (count := _double(frame))}
    if double:
        raise ImageError(f"slices are there twice: {_told(double)}.", where=where, hint=_COPY)
    places = _places(frames)
    expected = max(slices or 0, len(places))
    missing = {number: expected - len(frame) for number, frame in enumerate(frames, 1) if len(frame) < expected}
    if missing:
        raise ImageError(f"slices are missing: {_told(missing)}, of {expected} each.", where=where, hint=_COPY)
    _require_even(places, where)


def _double(frame: Sequence[Plane]) -> int:
    heights = np.array([one.height for one in frame])
    return int(np.sum(np.diff(heights) < _PLACE))


def _places(frames: Sequence[Sequence[Plane]]) -> NDArray[np.float64]:
    """Heights at which any frame has a slice."""
    heights = np.sort(np.array([one.height for frame in frames for one in frame]))
    return np.asarray(heights[np.concatenate([[True], np.diff(heights) >= _PLACE])])


def _require_even(places: NDArray[np.float64], where: str) -> None:
    gaps = np.diff(places)
    if len(gaps) < 2:
        return
    usual = float(np.median(gaps))
    uneven = np.flatnonzero(np.abs(gaps - usual) > _PLACE + _GAP * usual)
    if len(uneven):
        raise ImageError(
            f"{len(uneven)} of the {len(gaps)} gaps between slices differ from the others, in every frame: slices "
            f"{uneven[0] + 1} and {uneven[0] + 2} are {gaps[uneven[0]]:g} mm apart, most {usual:g} mm.",
            where=where,
            hint=_COPY,
        )


def _told(counts: dict[int, int]) -> str:
    named = [f"{count} of frame {number}" for number, count in list(counts.items())[:_MOST_NAMED]]
    rest = len(counts) - len(named)
    return ", ".join(named) + (f" and some of {rest} other frames" if rest else "")


def _affine(frame: Sequence[Plane], where: str) -> NDArray[np.float64]:
    """Affine from voxels (column, row, slice) to RAS; DICOM's own axes are left, back, head."""
    first, last = frame[0], frame[-1]
    step = np.array(first.normal) * first.thickness
    if len(frame) > 1:
        step = np.subtract(last.position, first.position) / (len(frame) - 1)
        aside = step - np.dot(step, first.normal) * np.array(first.normal)
        if np.linalg.norm(aside) > _PLACE + _GAP * np.linalg.norm(step):
            raise ImageError("slices are shifted against each other.", where=where, hint="Resample the scan.")
    elif not first.thickness:
        raise ImageError("the thickness of the only slice is missing.", where=where, hint=_COPY)
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.orientation[:3]) * first.spacing[1]
    affine[:3, 1] = np.array(first.orientation[3:]) * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)
