"""One animal: the atlas with chambers, vessels, gut, brown fat and perhaps a tumour of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from dlif_core.phantom.atlas.deformation import Deformation
from dlif_core.phantom.atlas.heart import HeartSize, carve_heart
from dlif_core.phantom.atlas.labels import CAVITY, CODE, DEEPEST, Atlas, Labels
from dlif_core.phantom.atlas.vessels import draw_vessels, paint_vessel

Array = NDArray[np.float64]
Box = tuple[slice, slice, slice]

_LOOP_WIDTH = 1.1  # standard deviation of the smooth field whose high parts are loops of the gut [mm]
_FIELD_STEP = 3  # voxels of the atlas to one of that field
_BROWN_FAT = (((8.0, -6.2, -1.6), (3.0, 1.4, 2.0)), ((8.0, -6.2, 2.4), (3.0, 1.4, 2.0)))  # centre, semi-axes [mm]
_TUMOUR_Z = (-24.0, 14.0)  # [mm]
_TUMOUR_DEPTH = 0.5  # of its centre below the skin, relative to its radius
_RIM = 1.3  # a large tumour takes up tracer only in its rim [mm]


@dataclass(frozen=True)
class BodyPlan:
    """What an animal has of its own.

    Attributes
    ----------
    radii
        Radii of its vessels [mm].
    cavity
        Volume of the left ventricle [mm³].
    wall
        Thickness of its wall [mm].
    gut
        Part of the abdominal cavity that the gut fills.
    tumour
        Radius of a tumour below the skin, 0 for none [mm].
    """

    radii: Mapping[str, float]
    cavity: float = 35.0
    wall: float = 1.0
    gut: float = 0.6
    tumour: float = 0.0


def paint_body(atlas: Atlas, plan: BodyPlan, deformation: Deformation, rng: np.random.Generator) -> Labels:
    """Paint an animal in the axes of the atlas.

    Parameters
    ----------
    atlas
        Outlines.
    plan
        Sizes in the animal; they are turned into those in the atlas.
    deformation
        Decides how much smaller the animal is.
    rng
        Source of randomness of courses, loops and places.

    Returns
    -------
    Codes of painted parts, shape of the atlas.
    """
    codes = atlas.codes.copy()
    growth = deformation.growth()
    length = float(np.cbrt(growth))
    _paint_gut(codes, atlas, plan.gut, rng)
    _paint_brown_fat(codes, atlas)
    if plan.tumour:
        _paint_tumour(codes, atlas, plan.tumour / length, rng)
    size = HeartSize(
        cavity=plan.cavity / growth,
        wall=plan.wall / length,
        right=float(rng.uniform(0.7, 1.0)) * plan.cavity / growth,
        atria=float(rng.uniform(0.85, 1.15)) / length,
    )
    carve_heart(codes, atlas, size)
    for vessel in draw_vessels(rng, {name: radius / length for name, radius in plan.radii.items()}, size):
        paint_vessel(codes, atlas, vessel)
    return codes


def _paint_gut(codes: Labels, atlas: Atlas, share: float, rng: np.random.Generator) -> None:
    """Fill a part of the abdominal cavity with loops of the gut, the rest with fat."""
    box = _enclosing(codes == CAVITY)
    cavity = codes[box] == CAVITY
    field = _smooth_field(cavity.shape, _LOOP_WIDTH / atlas.spacing, rng)
    loops = cavity & (field > np.quantile(field[cavity], 1.0 - share))
    codes[box][cavity] = CODE["fat"]
    codes[box][loops] = CODE["gut"]


def _paint_brown_fat(codes: Labels, atlas: Atlas) -> None:
    """Make brown fat of the fat and muscle between the shoulders."""
    for centre, semi_axes in _BROWN_FAT:
        box, distance = _around(atlas, np.array(centre), np.array(semi_axes))
        inside = (distance <= 1.0) & np.isin(codes[box], [CODE["fat"], CODE["muscle"]])
        codes[box][inside & (atlas.depth[box] * atlas.spacing > 0.6)] = CODE["brown_fat"]


def _paint_tumour(codes: Labels, atlas: Atlas, radius: float, rng: np.random.Generator) -> None:
    """Paint a tumour anywhere below the skin of the trunk, which it lifts."""
    low, high = (int(at / atlas.spacing + atlas.heart[0]) for at in _TUMOUR_Z)
    depth = min(int(_TUMOUR_DEPTH * radius / atlas.spacing), DEEPEST - 1)
    places = np.argwhere(atlas.depth[low:high] == depth)
    index = places[rng.integers(len(places))] + [low, 0, 0]
    box, distance = _around(atlas, (index - atlas.heart) * atlas.spacing, radius * rng.uniform(0.85, 1.15, 3))
    soft = np.isin(codes[box], [0, CODE["fat"], CODE["muscle"], CODE["gut"]])
    codes[box][soft & (distance <= 1.0)] = CODE["tumour"]
    codes[box][soft & (distance * radius <= radius - 2.0 * _RIM)] = CODE["fat"]


def _around(atlas: Atlas, centre: Array, semi_axes: Array) -> tuple[Box, Array]:
    """The box around an ellipsoid, and the distance of its voxels from its centre relative to its surface."""
    middle, reach = centre / atlas.spacing + atlas.heart, semi_axes / atlas.spacing
    low = np.floor(middle - reach).astype(int).clip(0)
    high = np.minimum(np.ceil(middle + reach).astype(int) + 1, atlas.codes.shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    grids = np.meshgrid(*(np.arange(side.start, side.stop) for side in (z, y, x)), indexing="ij")
    parts = zip(grids, middle, reach, strict=True)
    return (z, y, x), np.sqrt(sum(((grid - at) / length) ** 2 for grid, at, length in parts))


def _smooth_field(shape: tuple[int, ...], width: float, rng: np.random.Generator) -> Array:
    """A smooth random field; `width` is the standard deviation of its blur [voxels]."""
    coarse = [n // _FIELD_STEP + 2 for n in shape]
    field = gaussian_filter(rng.standard_normal(coarse), width / _FIELD_STEP)
    return np.asarray(zoom(field, _FIELD_STEP, order=1)[tuple(slice(n) for n in shape)])


def _enclosing(mask: NDArray[np.bool_]) -> Box:
    places = [np.flatnonzero(mask.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    z, y, x = (slice(int(at[0]), int(at[-1]) + 1) for at in places)
    return z, y, x
