"""Large vessels, drawn along curved centre lines through the body of the atlas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.spatial import cKDTree

from dlif_core.phantom.atlas.heart import HeartSize, aortic_valve, left_centre, right_atrium
from dlif_core.phantom.atlas.labels import CODE, Atlas, Labels
from dlif_core.phantom.span import Span

Array = NDArray[np.float64]
Point = tuple[float, float, float]

# Points that a vessel passes, x, y, z from the centre of the heart [mm]
_CAUDAL: tuple[Point, ...] = (
    (1.4, -4.2, -32.0),
    (1.7, -5.0, -27.0),
    (2.0, -5.8, -23.0),
    (2.4, -6.2, -19.0),
    (2.6, -6.0, -15.0),
    (2.6, -5.2, -11.0),
    (2.5, -4.2, -7.0),
    (2.7, -3.2, -3.5),
    (2.9, -2.8, -1.0),
    (2.8, -2.1, 1.5),
)
_ILIAC: tuple[Point, ...] = ((1.4, -4.2, -32.0), (2.2, -3.6, -34.5), (4.0, -3.0, -38.0))
_OTHER_ILIAC: tuple[Point, ...] = ((1.4, -4.2, -32.0), (0.2, -3.6, -34.5), (-2.0, -3.0, -38.0))
_CRANIAL: tuple[Point, ...] = ((2.9, 0.0, 14.0), (2.5, -0.5, 10.0), (2.0, -1.1, 6.5))
_LEFT_CRANIAL: tuple[Point, ...] = (
    (-2.7, 0.0, 14.0),
    (-2.4, -0.6, 10.0),
    (-2.4, -1.5, 6.0),
    (-1.6, -2.6, 2.6),
    (0.4, -2.5, 1.6),
)
_ARCH: tuple[Point, ...] = ((0.1, -0.7, 4.6), (0.0, -1.3, 6.1), (-0.7, -2.4, 6.4), (-0.9, -3.6, 5.0))
_DESCENDING: tuple[Point, ...] = (
    (-0.7, -4.5, 2.5),
    (-0.3, -5.6, -1.0),
    (0.3, -7.0, -5.0),
    (0.8, -8.2, -9.0),
    (1.1, -8.3, -13.0),
    (1.1, -7.8, -17.0),
    (0.8, -6.6, -22.0),
    (0.7, -5.4, -27.0),
    (0.9, -4.6, -32.0),
)
_CAROTID: tuple[Point, ...] = ((0.0, -1.3, 6.1), (1.0, -1.0, 8.5), (1.5, -0.9, 12.0), (1.8, -0.9, 16.0))
_LEFT_CAROTID: tuple[Point, ...] = ((-0.7, -2.4, 6.4), (-1.2, -1.2, 8.5), (-1.5, -0.9, 12.0), (-1.8, -0.9, 16.0))
_PORTAL: tuple[Point, ...] = ((-3.5, -2.6, -20.0), (-1.4, -3.2, -16.5), (0.6, -3.2, -13.0), (1.6, -2.0, -10.0))

_ILIAC_PART = 0.7  # radius of the iliac veins relative to the vena cava that they join
_WANDER = 0.25  # displacement of the points of an animal's vessels, standard deviation [mm]
_SPACING = 0.1  # distance of the points from which a vessel is painted [mm]


@dataclass(frozen=True)
class VesselRanges:
    """Radii from which the vessels of an animal are drawn [mm]."""

    caudal: Span = Span((0.5, 0.9))
    cranial: Span = Span((0.35, 0.6))
    aorta: Span = Span((0.35, 0.55))
    portal: Span = Span((0.35, 0.55))
    carotid: Span = Span((0.2, 0.3))

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw the radius of every vessel."""
        radii = {name: getattr(self, name).draw(rng) for name in ("caudal", "cranial", "aorta", "portal", "carotid")}
        return radii | {"iliac": _ILIAC_PART * radii["caudal"]}


@dataclass(frozen=True, eq=False)
class Vessel:
    """One vessel.

    Attributes
    ----------
    part
        Painted part that it belongs to.
    line
        Points along its axis, close to each other, shape (points, 3), x, y, z [mm].
    radius
        [mm].
    """

    part: str
    line: Array
    radius: float


def draw_vessels(rng: np.random.Generator, radii: Mapping[str, float], size: HeartSize) -> tuple[Vessel, ...]:
    """Vessels of an animal.

    Parameters
    ----------
    rng
        Source of randomness of their courses.
    radii
        Result of `VesselRanges.draw`, in the axes of the atlas.
    size
        Size of the heart in which they begin or end.
    """
    courses = _courses(size)
    moved = {point: rng.normal(0.0, _WANDER, 3) for _, _, points, _ in courses for point in points}
    vessels = []
    for part, radius, points, end in courses:
        free = [np.add(point, moved[point]) for point in points]
        fixed = [] if end is None else [end]
        vessels.append(Vessel(part, centre_line([*fixed, *free[::-1]]), radii[radius]))
    return tuple(vessels)


def centre_line(points: list[Array]) -> Array:
    """Points close to each other on a smooth curve through the given points, shape (n, 3) [mm]."""
    nodes = np.stack(points)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(nodes, axis=0), axis=1))])
    spline = make_interp_spline(length, nodes, k=min(3, len(nodes) - 1))
    return np.asarray(spline(np.linspace(0.0, length[-1], int(length[-1] / _SPACING) + 2)))


def paint_vessel(codes: Labels, atlas: Atlas, vessel: Vessel) -> None:
    """Paint a vessel over codes in the axes of the atlas; only the left ventricle stays as it is."""
    reach = vessel.radius + atlas.spacing
    index = vessel.line[:, ::-1] / atlas.spacing + atlas.heart
    low = np.floor(index.min(axis=0) - reach / atlas.spacing).astype(int).clip(0)
    high = np.minimum(np.ceil(index.max(axis=0) + reach / atlas.spacing).astype(int) + 1, codes.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    voxels = np.stack(np.meshgrid(*(np.arange(side.start, side.stop) for side in box), indexing="ij"), axis=-1)
    distance, _ = cKDTree(index).query(voxels, distance_upper_bound=reach / atlas.spacing)
    inside = (distance * atlas.spacing <= vessel.radius) & (codes[box] != CODE["left_ventricle"])
    codes[box][inside] = CODE[vessel.part]


def _courses(size: HeartSize) -> list[tuple[str, str, tuple[Point, ...], Array | None]]:
    """Part, name of the radius, points and fixed end of every vessel; what comes later covers what was before."""
    valve, atrium = aortic_valve(size), right_atrium()
    return [
        ("vena_cava", "caudal", _CAUDAL, atrium),
        ("vena_cava", "iliac", _ILIAC, None),
        ("vena_cava", "iliac", _OTHER_ILIAC, None),
        ("portal_vein", "portal", _PORTAL, None),
        ("cranial_vena_cava", "cranial", _CRANIAL, atrium),
        ("cranial_vena_cava", "cranial", _LEFT_CRANIAL, atrium),
        ("aorta", "carotid", _CAROTID, None),
        ("aorta", "carotid", _LEFT_CAROTID, None),
        ("aorta", "aorta", (*_DESCENDING[::-1], *_ARCH[::-1]), 0.5 * (valve + left_centre())),
    ]
