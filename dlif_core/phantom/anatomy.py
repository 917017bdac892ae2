"""Anatomy of a simulated mouse: organs as ellipsoids and tubes in millimetres.

Axes follow NIfTI (RAS+): x to the right, y ventral, z towards the head; the origin lies between heart and lungs.
Shapes are painted in order, so a later one covers an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

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

#: Thickness of the left-ventricular wall [mm].
WALL_THICKNESS = 1.0


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
        """Whether points lie inside; x, y and z are broadcast against each other [mm]."""
        dx, dy, dz = (axis - float(c) for axis, c in zip((x, y, z), self.centre, strict=True))
        directions = self.rotation.T / self.semi_axes[:, None]
        return sum((float(a) * dx + float(b) * dy + float(c) * dz) ** 2 for a, b, c in directions) <= 1.0

    def placed(self, scale: float, turn: Array, shift: Array) -> Ellipsoid:
        """The same shape scaled about the origin, then turned, then shifted."""
        return replace(
            self,
            centre=turn @ (scale * self.centre) + shift,
            semi_axes=scale * self.semi_axes,
            rotation=turn @ self.rotation,
        )


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
        """Whether points lie inside; x, y and z are broadcast against each other [mm]."""
        length = float(np.linalg.norm(self.end - self.start))
        axis = (self.end - self.start) / length
        dx, dy, dz = (value - float(s) for value, s in zip((x, y, z), self.start, strict=True))
        along = float(axis[0]) * dx + float(axis[1]) * dy + float(axis[2]) * dz
        inside = dx**2 + dy**2 + dz**2 - along**2 <= self.radius**2
        return inside & (along >= 0.0) & (along <= length)

    def placed(self, scale: float, turn: Array, shift: Array) -> Tube:
        """The same shape scaled about the origin, then turned, then shifted."""
        start, end = (turn @ (scale * point) + shift for point in (self.start, self.end))
        return replace(self, start=start, end=end, radius=scale * self.radius)


Shape = Ellipsoid | Tube


def draw_anatomy(rng: np.random.Generator, scale: float = 1.0) -> tuple[Shape, ...]:
    """Draw the anatomy of one mouse: organ sizes ±10 %, pose ±2 mm and ±8°.

    Parameters
    ----------
    rng
        Source of randomness.
    scale
        Linear size relative to a mouse of 22 g.

    Returns
    -------
    Shapes in painting order [mm].
    """
    shapes = (*_trunk(rng), *_abdomen(rng), *_head(rng), _tumour(rng), *_vessels(rng), *_heart(rng))
    turn = Rotation.from_euler("xyz", rng.uniform(-8.0, 8.0, 3), degrees=True).as_matrix()
    shift = rng.uniform(-2.0, 2.0, 3)
    return tuple(shape.placed(scale, turn, shift) for shape in shapes)


def organ_volume(shapes: tuple[Shape, ...], organ: str) -> float:
    """Volume of an organ's shapes [mm³], not counting what later shapes cover."""
    return sum(shape.volume for shape in shapes if shape.organ == organ)


def _ellipsoid(organ: str, centre: ArrayLike, semi_axes: ArrayLike, size: float) -> Ellipsoid:
    return Ellipsoid(organ, np.array(centre, float), size * np.array(semi_axes, float), np.eye(3))


def _tube(organ: str, start: ArrayLike, end: ArrayLike, radius: float) -> Tube:
    return Tube(organ, np.array(start, float), np.array(end, float), radius)


def _pair(organ: str, centre: ArrayLike, semi_axes: ArrayLike, size: float) -> tuple[Ellipsoid, Ellipsoid]:
    """The organ on both sides of the body; `centre` is that of the right one."""
    mirrored = np.array(centre, float) * [-1, 1, 1]
    return _ellipsoid(organ, centre, semi_axes, size), _ellipsoid(organ, mirrored, semi_axes, size)


def _size(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.9, 1.1))


def _trunk(rng: np.random.Generator) -> tuple[Shape, ...]:
    across = rng.uniform(11.0, 12.0)
    return (
        _ellipsoid("muscle", (0, 0, -3), (across, across, 40), 1.0),
        _tube("marrow", (0, -7.5, -30), (0, -6.5, 12), 0.9 * _size(rng)),
        *_pair("lung", (4.6, -0.5, 0.5), (3.5, 4, 6), _size(rng)),
        _ellipsoid("brown_fat", (0, -8.6, 6.5), (3.5, 1.3, 2.5), _size(rng)),
    )


def _abdomen(rng: np.random.Generator) -> tuple[Shape, ...]:
    kidneys = _size(rng)
    return (
        _ellipsoid("liver", (1, 2, -12.5), (8, 6, 6), _size(rng)),
        _ellipsoid("stomach", (-5.5, 2, -17), (3, 3, 3.5), _size(rng)),
        _ellipsoid("gut", (0, 3.5, -25.5), (7, 4.5, 5.5), _size(rng)),
        _ellipsoid("spleen", (-7.8, -2.5, -18), (1.2, 1.5, 4), _size(rng)),
        *_pair("kidney", (5, -4.5, -20), (2.5, 2.5, 4.5), kidneys),
        *_pair("renal_pelvis", (4.4, -4.5, -20), (0.8, 0.8, 1.5), kidneys),
        _ellipsoid("bladder", (0, 3.5, -34), (2.5, 2.5, 2.5), _size(rng)),
    )


def _head(rng: np.random.Generator) -> tuple[Shape, ...]:
    return (
        _ellipsoid("brain", (0, -1.5, 20), (5, 4, 7), _size(rng)),
        *_pair("harderian_gland", (4.0, 1.0, 26.5), (1.2, 1.2, 1.2), _size(rng)),
    )


def _tumour(rng: np.random.Generator) -> Ellipsoid:
    """Below the skin of one shoulder, radius 2 to 4 mm."""
    side = rng.choice([-1.0, 1.0])
    return _ellipsoid("tumour", (7.5 * side, -1, 10), (1, 1, 1), rng.uniform(2.0, 4.0))


def _vessels(rng: np.random.Generator) -> tuple[Shape, ...]:
    aorta = rng.uniform(0.4, 0.5)
    return (
        _tube("vena_cava", (1.2, -4.2, -28), (1.6, -0.6, 2), rng.uniform(0.6, 0.8)),
        _tube("aorta", (-0.7, -4.6, -28), (-0.7, -4.6, 4), aorta),
        _tube("aorta", (-0.7, -4.6, 4), (-0.2, 0.5, 4), aorta),
    )


def _heart(rng: np.random.Generator) -> tuple[Shape, ...]:
    """Both ventricles along one axis that points from the base towards the left, the belly and the tail."""
    size = _size(rng)
    tilt = Rotation.from_euler("xy", [25, 35], degrees=True).as_matrix()
    centre = np.array([-0.8, 1.8, -0.5])
    cavity = np.array([1.8, 1.8, 2.9])
    beside = centre + tilt @ (size * np.array([3.1, 0.3, 0.4]))
    return (
        Ellipsoid("right_ventricle", beside, size * np.array([1.0, 2.0, 2.5]), tilt),
        Ellipsoid("myocardium", centre, size * (cavity + WALL_THICKNESS), tilt),
        Ellipsoid("left_ventricle", centre, size * cavity, tilt),
    )
