"""Chambers of the heart, carved into its label.

The left ventricle is an ellipsoid within a wall of its own; the right one is what lies beside that wall, on the right,
under a thin free wall; the atria are ellipsoids at the base.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from dlif_core.phantom.atlas.labels import CODE, Atlas, Labels, Mask

Array = NDArray[np.float64]

# x, y, z in the axes of the atlas, from the centre of the heart [mm]
_AXIS = (0.22, -0.08, 0.97)  # from apex to base
_LEFT_CENTRE = (-1.05, 0.0, -0.75)
_ATRIA = {"right_atrium": (2.1, -0.7, 3.4), "left_atrium": (-1.4, -1.3, 3.6)}
_ATRIUM_SEMI_AXES = (1.4, 1.3, 1.4)
_REACH = (7.0, 6.0, 7.0)  # half the box around the heart, z, y, x [mm]

_SLENDERNESS = 1.45  # long over short semi-axis of the left ventricle
_FREE_WALL = 0.4  # of the right ventricle [mm]
_RIGHT_BASE = 3.0  # height of its valve above the heart's centre, along the axis [mm]


@dataclass(frozen=True)
class HeartSize:
    """Sizes in the axes of the atlas.

    Attributes
    ----------
    cavity
        Volume of the left ventricle [mm³].
    wall
        Thickness of its wall [mm].
    right
        Largest volume of the right ventricle [mm³]; it is less where the heart has no room for it.
    atria
        Linear size of the atria relative to the usual one.
    """

    cavity: float = 35.0
    wall: float = 1.0
    right: float = 30.0
    atria: float = 1.0

    @property
    def short_axis(self) -> float:
        """Short semi-axis of the left ventricle [mm]."""
        return float(np.cbrt(self.cavity * 3.0 / (4.0 * np.pi * _SLENDERNESS)))

    @property
    def long_axis(self) -> float:
        """Long semi-axis of the left ventricle [mm]."""
        return _SLENDERNESS * self.short_axis


def left_centre() -> Array:
    """Centre of the left ventricle, x, y, z [mm]."""
    return np.array(_LEFT_CENTRE)


def right_atrium() -> Array:
    """Centre of the right atrium, x, y, z [mm]."""
    return np.array(_ATRIA["right_atrium"])


def aortic_valve(size: HeartSize) -> Array:
    """Where the aorta leaves the left ventricle, x, y, z [mm]."""
    return left_centre() + 0.8 * size.long_axis * _unit(_AXIS)


def carve_heart(codes: Labels, atlas: Atlas, size: HeartSize) -> None:
    """Carve chambers into painted codes.

    Parameters
    ----------
    codes
        Painted codes in the axes of `atlas`; are overwritten.
    atlas
        Gives the outline of the heart.
    size
        Sizes.
    """
    box = _box(atlas)
    x, y, z = _positions(atlas, box)
    outline, view = atlas.codes[box] == CODE["myocardium"], codes[box]
    wall = _from_left(x, y, z, size, size.wall)
    for name, centre in _ATRIA.items():
        semi_axes = size.atria * np.array(_ATRIUM_SEMI_AXES)
        view[_ellipsoid(x, y, z, np.array(centre), semi_axes) & (wall > 1.0)] = CODE[name]
    view[wall <= 1.0] = CODE["myocardium"]
    beside = _beside(x, y, z, outline, atlas.spacing) & (wall > 1.0)
    view[_nearest(beside, wall, size.right / atlas.spacing**3)] = CODE["right_ventricle"]
    view[_from_left(x, y, z, size, 0.0) <= 1.0] = CODE["left_ventricle"]


def _beside(x: Array, y: Array, z: Array, outline: Mask, spacing: float) -> Mask:
    """The heart within its free wall, on the right of the left ventricle and under the valve."""
    within = distance_transform_edt(outline) * spacing > _FREE_WALL
    height = np.tensordot(_unit(_AXIS), np.stack([x, y, z]), 1)
    return np.asarray(within & (x > _LEFT_CENTRE[0] + 0.25 * height) & (height < _RIGHT_BASE))


def _nearest(region: Mask, distance: Array, count: float) -> Mask:
    """The voxels of a region that are nearest, up to a number of them."""
    share = min(1.0, count / max(int(region.sum()), 1))
    return np.asarray(region & (distance <= np.quantile(distance[region], share)))


def _from_left(x: Array, y: Array, z: Array, size: HeartSize, grown: float) -> Array:
    """Distance from the left ventricle's centre relative to its cavity's surface, grown by a thickness [mm]."""
    centre, axis = left_centre(), _unit(_AXIS)
    offset = np.stack([x - centre[0], y - centre[1], z - centre[2]])
    along = np.tensordot(axis, offset, 1)
    across = (offset**2).sum(axis=0) - along**2
    short, long = size.short_axis + grown, size.long_axis + grown
    return np.asarray(np.sqrt(across / short**2 + along**2 / long**2))


def _ellipsoid(x: Array, y: Array, z: Array, centre: Array, semi_axes: Array) -> Mask:
    parts = zip((x, y, z), centre, semi_axes, strict=True)
    return np.asarray(sum(((at - middle) / reach) ** 2 for at, middle, reach in parts) <= 1.0)


def _box(atlas: Atlas) -> tuple[slice, slice, slice]:
    low = np.floor(atlas.heart - np.array(_REACH) / atlas.spacing).astype(int).clip(0)
    high = np.ceil(atlas.heart + np.array(_REACH) / atlas.spacing).astype(int)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def _positions(atlas: Atlas, box: tuple[slice, slice, slice]) -> tuple[Array, Array, Array]:
    """Positions x, y and z of the voxels of a box [mm]."""
    z, y, x = np.meshgrid(*(atlas.position(axis)[part] for axis, part in enumerate(box)), indexing="ij")
    return x, y, z


def _unit(vector: ArrayLike) -> Array:
    vector = np.asarray(vector, float)
    return np.asarray(vector / np.linalg.norm(vector))
