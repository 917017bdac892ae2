"""Shapes of organs: ellipsoids and tubes in millimetres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


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
