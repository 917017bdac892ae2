"""Contours of RT structures (DICOM RT Structure Set), filled on the voxel grid of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ImageError
from dlif_core.ingest.label_grid import ImageGrid
from dlif_core.shown import LONGEST_NAME

Array = NDArray[np.float64]

_PLANAR = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
#: Structures that hold others by their meaning: the outline of the body.
_OUTLINES = ("EXTERNAL",)
#: How far points of a contour may be from its plane, and planes of one structure from each other to be one [slices].
_FLAT, _SAME = 0.1, 1e-3


def filled_contours(dataset: Any, image: ImageGrid, where: str) -> tuple[NDArray[np.int32], dict[int, str]]:
    """Fill the closed contours of RT structures.

    A voxel belongs to a structure if its centre lies within an odd number of its contours, in the plane of contours
    that is nearest to its slice, at most half their distance away. Points and open contours hold no voxel, and the
    outline of the body (``EXTERNAL``) is left out.

    Parameters
    ----------
    dataset
        The RT Structure Set.
    image
        The image.
    where
        The file, for messages.

    Returns
    -------
    Number of the structure (ROI Number) of each voxel, shape (z, y, x), 0 outside, and names by number.

    Raises
    ------
    ImageError
        If there is no closed contour, contours don't lie in slices of the image, or structures overlap.
    """
    names = {
        int(item.ROINumber): str(item.get("ROIName", ""))[:LONGEST_NAME] for item in dataset.StructureSetROISequence
    }
    labels = np.zeros(image.shape[1:], np.int32)
    found = {}
    for number, contours in _structures(dataset, image).items():
        inside = _filled(_planes(contours, names[number], where), image.shape[1:])
        _require_apart(labels[inside], names, number, where)
        labels[inside] = number
        found[number] = names[number]
    if not found:
        raise ImageError("the RT structures hold no closed contours.", where=where, hint="Export contours of regions.")
    return labels, found


def _structures(dataset: Any, image: ImageGrid) -> dict[int, list[Array]]:
    """Closed contours of each structure as voxel indices (x, y, z), shape (points, 3)."""
    to_index = np.linalg.inv(image.affine) @ np.diag([-1.0, -1.0, 1.0, 1.0])
    outlines = {
        int(item.ReferencedROINumber)
        for item in dataset.get("RTROIObservationsSequence", ())
        if item.get("RTROIInterpretedType") in _OUTLINES
    }
    found: dict[int, list[Array]] = {}
    for item in dataset.get("ROIContourSequence", ()):
        for contour in item.get("ContourSequence", ()):
            number = int(item.ReferencedROINumber)
            if contour.get("ContourGeometricType") in _PLANAR and number not in outlines:
                points = np.array(contour.ContourData, float).reshape(-1, 3)
                found.setdefault(number, []).append(points @ to_index[:3, :3].T + to_index[:3, 3])
    return found


def _planes(contours: Sequence[Array], name: str, where: str) -> dict[float, list[Array]]:
    """Contours of a structure in the plane (x, y) by their slice, which needs not be a whole number."""
    planes: dict[float, list[Array]] = {}
    for contour in contours:
        slice_ = float(contour[:, 2].mean())
        if np.abs(contour[:, 2] - slice_).max() > _FLAT:
            raise ImageError(
                f"contours of {name!r} don't lie in slices of the image.",
                where=where,
                hint="Draw them on slices of the PET image, or write the regions as a label image.",
            )
        key = next((other for other in planes if abs(other - slice_) < _SAME), slice_)
        planes.setdefault(key, []).append(contour[:, :2])
    return planes


def _filled(planes: Mapping[float, Sequence[Array]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    inside = np.zeros(shape, bool)
    places = np.array(sorted(planes))
    distance = min((after - before for before, after in pairwise(places)), default=1.0)
    for number in range(shape[0]):
        nearest = float(places[np.abs(places - number).argmin()])
        if abs(nearest - number) <= 0.5 * distance + _SAME:
            for contour in planes[nearest]:
                _toggle(inside[number], contour)
    return inside


def _toggle(plane: NDArray[np.bool_], contour: Array) -> None:
    """Turn every voxel whose centre lies within a contour, by the number of edges to its right."""
    x, y = np.arange(plane.shape[1]), np.arange(plane.shape[0])
    for (x0, y0), (x1, y1) in _edges(contour):
        rows = np.flatnonzero((y0 > y) != (y1 > y))
        crossing = x0 + (y[rows] - y0) * (x1 - x0) / (y1 - y0) if len(rows) else rows
        plane[rows] ^= x < crossing[:, None]


def _edges(contour: Array) -> Iterator[tuple[Array, Array]]:
    return zip(contour, np.roll(contour, -1, axis=0), strict=True)


def _require_apart(taken: NDArray[np.int32], names: Mapping[int, str], number: int, where: str) -> None:
    others = [names[int(other)] for other in np.unique(taken) if other]
    if others:
        raise ImageError(
            f"the structure {names[number]!r} overlaps with {', '.join(map(repr, others))}.",
            where=where,
            hint="Export structures that do not overlap, or write the regions as masks, which may.",
        )
