"""Anatomy of a simulated mouse: organs as ellipsoids and tubes in millimetres.

Axes follow NIfTI (RAS+): x to the right, y ventral, z towards the head; the origin lies between heart and lungs.
Shapes are painted in order, so a later one covers an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from dlif_core.phantom.span import Span

Array = NDArray[np.float64]

#: Organs in the order of their labels, which start at 1; 0 is outside the body.
ORGANS = (
    "muscle",
    "marrow",
    "lung",
    "liver",
    "stomach",
    "spleen",
    "gut",
    "kidney",
    "renal_pelvis",
    "bladder",
    "brain",
    "harderian_gland",
    "brown_fat",
    "tumour",
    "vena_cava",
    "aorta",
    "right_ventricle",
    "myocardium",
    "left_ventricle",
)

#: Organs that move with the heart beat.
HEART = ("right_ventricle", "myocardium", "left_ventricle")

#: Organs that hold nothing but blood.
BLOOD_POOLS = ("vena_cava", "aorta", "right_ventricle", "left_ventricle")

#: Organs that hold nothing but urine.
URINE = ("renal_pelvis", "bladder")

# Organs that are displaced together with another
_COMPANIONS = {"renal_pelvis": "kidney", "right_ventricle": "left_ventricle", "myocardium": "left_ventricle"}

# The trunk and what runs along it stay where they are
_FIXED = ("muscle", "marrow", "vena_cava", "aorta")


@dataclass(frozen=True)
class AnatomyRanges:
    """Ranges from which anatomies are drawn at random.

    Attributes
    ----------
    size
        Linear size of each organ relative to its usual one.
    trunk
        Semi-axis of the trunk across the body [mm].
    tumour
        Radius [mm]; 0 for an animal without tumour.
    vena_cava, aorta
        Radius [mm].
    wall
        Thickness of the left-ventricular wall [mm].
    rotation, shift
        Pose: angle about each axis [degrees], displacement along each axis [mm].
    tilt
        Rotation of the heart's axis within the body, about x and y [degrees].
    position
        Displacement of each organ within the body along each axis [mm].
    """

    size: Span = Span((0.9, 1.1))
    trunk: Span = Span((11.0, 12.0))
    tumour: Span = Span((2.0, 4.0))
    vena_cava: Span = Span((0.6, 0.8))
    aorta: Span = Span((0.4, 0.5))
    wall: Span = Span((1.0, 1.0))
    rotation: Span = Span((-8.0, 8.0))
    shift: Span = Span((-2.0, 2.0))
    tilt: Span = Span((0.0, 0.0))
    position: Span = Span((0.0, 0.0))


#: Organ sizes ±10 %, pose ±2 mm and ±8°.
STANDARD = AnatomyRanges()


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """A rotated ellipsoid.

    Attributes
    ----------
    organ
        One of `ORGANS`.
    centre, semi_axes
        Shape (3,), x, y, z [mm]; the semi-axes before rotation.
    rotation
        Shape (3, 3); its columns are the directions of the semi-axes.
    """

    organ: str
    centre: Array
    semi_axes: Array
    rotation: Array

    @property
    def volume(self) -> float:
        """Volume [mm³]."""
        return float(4.0 / 3.0 * np.pi * np.prod(self.semi_axes))

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper corner of the box that encloses it [mm]."""
        reach = np.linalg.norm(self.rotation * self.semi_axes, axis=1)
        return self.centre - reach, self.centre + reach

    def contains(self, x: Any, y: Any, z: Any) -> Any:
        """Whether points are inside; x, y and z are broadcast against each other [mm]."""
        dx, dy, dz = (axis - float(c) for axis, c in zip((x, y, z), self.centre, strict=True))
        directions = self.rotation.T / self.semi_axes[:, None]
        return sum((float(a) * dx + float(b) * dy + float(c) * dz) ** 2 for a, b, c in directions) <= 1.0

    def placed(self, scale: float, rotation: Array, shift: Array) -> Ellipsoid:
        """The same shape scaled about the origin, then rotated, then shifted."""
        return replace(
            self,
            centre=rotation @ (scale * self.centre) + shift,
            semi_axes=scale * self.semi_axes,
            rotation=rotation @ self.rotation,
        )

    def varied(self, factor: float, offset: Array) -> Ellipsoid:
        """The same shape grown about its own centre and displaced [mm]."""
        return replace(self, centre=self.centre + offset, semi_axes=factor * self.semi_axes)


@dataclass(frozen=True, eq=False)
class Tube:
    """A straight cylinder between two points.

    Attributes
    ----------
    organ
        One of `ORGANS`.
    start, end
        Ends of its axis, shape (3,), x, y, z [mm].
    radius
        Radius [mm].
    """

    organ: str
    start: Array
    end: Array
    radius: float

    @property
    def volume(self) -> float:
        """Volume [mm³]."""
        return float(np.pi * self.radius**2 * np.linalg.norm(self.end - self.start))

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper corner of a box that encloses it [mm]."""
        return np.minimum(self.start, self.end) - self.radius, np.maximum(self.start, self.end) + self.radius

    def contains(self, x: Any, y: Any, z: Any) -> Any:
        """Whether points are inside; x, y and z are broadcast against each other [mm]."""
        length = float(np.linalg.norm(self.end - self.start))
        axis = (self.end - self.start) / length
        dx, dy, dz = (value - float(s) for value, s in zip((x, y, z), self.start, strict=True))
        along = float(axis[0]) * dx + float(axis[1]) * dy + float(axis[2]) * dz
        inside = dx**2 + dy**2 + dz**2 - along**2 <= self.radius**2
        return inside & (along >= 0.0) & (along <= length)

    def placed(self, scale: float, rotation: Array, shift: Array) -> Tube:
        """The same shape scaled about the origin, then rotated, then shifted."""
        start, end = (rotation @ (scale * point) + shift for point in (self.start, self.end))
        return replace(self, start=start, end=end, radius=scale * self.radius)

    def varied(self, factor: float, offset: Array) -> Tube:
        """The same shape made thicker and displaced [mm]."""
        return replace(self, start=self.start + offset, end=self.end + offset, radius=factor * self.radius)


Shape = Ellipsoid | Tube


def draw_anatomy(
    rng: np.random.Generator,
    scale: float = 1.0,
    ranges: AnatomyRanges = STANDARD,
    proportions: Mapping[str, float] | None = None,
) -> tuple[Shape, ...]:
    """Draw the anatomy of one mouse.

    Parameters
    ----------
    rng
        Source of randomness.
    scale
        Linear size relative to a mouse of 22 g.
    ranges
        Ranges of sizes and pose.
    proportions
        Linear size of organs relative to the body; 1 for organs that are not named.

    Returns
    -------
    Shapes in painting order [mm].
    """
    placement = rng.spawn(1)[0]
    shapes = (
        *_trunk(rng, ranges),
        *_abdomen(rng, ranges),
        *_head(rng, ranges),
        *_tumour(rng, ranges),
        *_vessels(rng, ranges),
        *_heart(rng, placement, ranges),
    )
    return posed(displaced(shapes, placement, ranges, proportions or {}), rng, scale, ranges)


def displaced(
    shapes: tuple[Shape, ...], rng: np.random.Generator, ranges: AnatomyRanges, proportions: Mapping[str, float]
) -> tuple[Shape, ...]:
    """The shapes with organs resized and moved within the body; parts of one organ move together."""
    offsets = {organ: _triple(ranges.position, rng) for organ in ORGANS}
    offsets |= {organ: np.zeros(3) for organ in _FIXED}
    return tuple(
        shape.varied(proportions.get(shape.organ, 1.0), offsets[_COMPANIONS.get(shape.organ, shape.organ)])
        for shape in shapes
    )


def posed(
    shapes: tuple[Shape, ...], rng: np.random.Generator, scale: float, ranges: AnatomyRanges
) -> tuple[Shape, ...]:
    """The shapes scaled, rotated and shifted as one body."""
    rotation = Rotation.from_euler("xyz", _triple(ranges.rotation, rng), degrees=True).as_matrix()
    shift = _triple(ranges.shift, rng)
    return tuple(shape.placed(scale, rotation, shift) for shape in shapes)


def organ_volume(shapes: tuple[Shape, ...], organ: str) -> float:
    """Volume of an organ's shapes [mm³], not counting what later shapes cover."""
    return sum(shape.volume for shape in shapes if shape.organ == organ)


def ellipsoid(organ: str, centre: ArrayLike, semi_axes: ArrayLike, size: float = 1.0) -> Ellipsoid:
    """An ellipsoid along the body axes, its semi-axes multiplied by `size` [mm]."""
    return Ellipsoid(organ, np.array(centre, float), size * np.array(semi_axes, float), np.eye(3))


def tube(organ: str, start: ArrayLike, end: ArrayLike, radius: float) -> Tube:
    """A cylinder between two points [mm]."""
    return Tube(organ, np.array(start, float), np.array(end, float), radius)


def pair(organ: str, centre: ArrayLike, semi_axes: ArrayLike, size: float) -> tuple[Ellipsoid, Ellipsoid]:
    """The organ on both sides of the body; `centre` is that of the right one."""
    mirrored = np.array(centre, float) * [-1, 1, 1]
    return ellipsoid(organ, centre, semi_axes, size), ellipsoid(organ, mirrored, semi_axes, size)


def heart(centre: ArrayLike, cavity: ArrayLike, wall: float, size: float, tilt: Array) -> tuple[Shape, ...]:
    """Both ventricles along one axis.

    Parameters
    ----------
    centre
        Centre of the left ventricle [mm].
    cavity
        Semi-axes of the left ventricle, the last along the axis [mm].
    wall
        Thickness of its wall [mm].
    size
        Factor on all lengths.
    tilt
        Rotation matrix whose last column is the axis, from the base towards the left, the belly and the tail.
    """
    centre, cavity = np.array(centre, float), np.array(cavity, float)
    beside = centre + tilt @ (size * cavity * [3.1 / 1.8, 0.3 / 1.8, 0.4 / 2.9])
    right = size * cavity * [1.0 / 1.8, 2.0 / 1.8, 2.5 / 2.9]
    return (
        Ellipsoid("right_ventricle", beside, right, tilt),
        Ellipsoid("myocardium", centre, size * (cavity + wall), tilt),
        Ellipsoid("left_ventricle", centre, size * cavity, tilt),
    )


def heart_axis(rng: np.random.Generator, ranges: AnatomyRanges) -> Array:
    """Rotation matrix of the heart."""
    about = np.array([25.0 + ranges.tilt.draw(rng), 35.0 + ranges.tilt.draw(rng)])
    return np.asarray(Rotation.from_euler("xy", about, degrees=True).as_matrix())


def _triple(span: Span, rng: np.random.Generator) -> Array:
    return np.array([span.draw(rng) for _ in range(3)])


def _trunk(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    across = ranges.trunk.draw(rng)
    return (
        ellipsoid("muscle", (0, 0, -3), (across, across, 40)),
        tube("marrow", (0, -7.5, -30), (0, -6.5, 12), 0.9 * ranges.size.draw(rng)),
        *pair("lung", (4.6, -0.5, 0.5), (3.5, 4, 6), ranges.size.draw(rng)),
        ellipsoid("brown_fat", (0, -8.6, 6.5), (3.5, 1.3, 2.5), ranges.size.draw(rng)),
    )


def _abdomen(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    kidneys = ranges.size.draw(rng)
    return (
        ellipsoid("liver", (1, 2, -12.5), (8, 6, 6), ranges.size.draw(rng)),
        ellipsoid("stomach", (-5.5, 2, -17), (3, 3, 3.5), ranges.size.draw(rng)),
        ellipsoid("gut", (0, 3.5, -25.5), (7, 4.5, 5.5), ranges.size.draw(rng)),
        ellipsoid("spleen", (-7.8, -2.5, -18), (1.2, 1.5, 4), ranges.size.draw(rng)),
        *pair("kidney", (5, -4.5, -20), (2.5, 2.5, 4.5), kidneys),
        *pair("renal_pelvis", (4.4, -4.5, -20), (0.8, 0.8, 1.5), kidneys),
        ellipsoid("bladder", (0, 3.5, -34), (2.5, 2.5, 2.5), ranges.size.draw(rng)),
    )


def _head(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    return (
        ellipsoid("brain", (0, -1.5, 20), (5, 4, 7), ranges.size.draw(rng)),
        *pair("harderian_gland", (4.0, 1.0, 26.5), (1.2, 1.2, 1.2), ranges.size.draw(rng)),
    )


def _tumour(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    """Draw a tumour below the skin of one shoulder, or none."""
    side = rng.choice([-1.0, 1.0])
    radius = ranges.tumour.draw(rng)
    return (ellipsoid("tumour", (7.5 * side, -1, 10), (1, 1, 1), radius),) if radius > 0 else ()


def _vessels(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    aorta = ranges.aorta.draw(rng)
    return (
        tube("vena_cava", (1.2, -4.2, -28), (1.6, -0.6, 2), ranges.vena_cava.draw(rng)),
        tube("aorta", (-0.7, -4.6, -28), (-0.7, -4.6, 4), aorta),
        tube("aorta", (-0.7, -4.6, 4), (-0.2, 0.5, 4), aorta),
    )


def _heart(rng: np.random.Generator, placement: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    size = ranges.size.draw(rng)
    wall, axis = ranges.wall.draw(placement), heart_axis(placement, ranges)
    return heart((-0.8, 1.8, -0.5), (1.8, 1.8, 2.9), wall, size, axis)
