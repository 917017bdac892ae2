"""What fills a body between the organs that have a place of their own: fat, bones, and pieces of tissue anywhere.

Laboratories have fat and lean animals, and no two atlases agree on what lies between the organs. A network that learns
where blood is from the tissue around it fails where that tissue is another one; pieces of any tissue in any place
teach it not to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dlif_core.phantom.shapes import Ellipsoid, Shape, ellipsoid, pair, tube

Array = NDArray[np.float64]

#: Tissues of which pieces may lie anywhere in the trunk.
PIECES = (
    "muscle",
    "marrow",
    "lung",
    "liver",
    "stomach",
    "spleen",
    "gut",
    "kidney",
    "brain",
    "brown_fat",
    "tumour",
    "myocardium",
    "fat",
    "bone",
)

# semi-axes of a piece [mm], and how far from the body's axis and along it the centre of one may lie [mm]
_PIECE_MM = (0.8, 4.5)
_PIECE_RADIUS_MM, _PIECE_HEIGHT_MM = 10.0, (-34.0, 14.0)

_SKULL_MM = 0.6


def fat_below_skin(trunk: Ellipsoid, thickness: float) -> tuple[Shape, ...]:
    """The trunk as fat with muscle inside, and fat between the organs of the abdomen.

    Parameters
    ----------
    trunk
        The body as one ellipsoid.
    thickness
        Thickness of the fat below the skin [mm]; 0 for none anywhere.
    """
    if thickness <= 0.0:
        return (trunk,)
    skin = Ellipsoid("fat", trunk.centre, trunk.semi_axes, trunk.rotation)
    inside = np.maximum(trunk.semi_axes - thickness, 1.0)
    across = 7.5 + 0.5 * thickness
    return (
        skin,
        Ellipsoid(trunk.organ, trunk.centre, inside, trunk.rotation),
        ellipsoid("fat", (0.0, 0.5, -23.0), (across, 6.5, 11.0)),
        ellipsoid("fat", (0.0, -7.6, 6.5), (4.5, 2.0, 4.0)),
    )


def skeleton(radius: float) -> tuple[Shape, ...]:
    """Spine, sternum, shoulders, limbs and pelvis; `radius` is that of long bones [mm], 0 for no bones."""
    if radius <= 0.0:
        return ()
    spine = tube("bone", (0, -7.5, -30), (0, -6.5, 12), 1.9 * radius)
    sternum = tube("bone", (0, 7.6, -6), (0, 6.6, 7), 0.8 * radius)
    limbs = (
        tube("bone", (7.0, -1.0, 8.0), (9.0, 4.0, 3.0), radius),
        tube("bone", (5.0, -2.0, -33.0), (9.0, 4.0, -29.0), radius),
        tube("bone", (2.0, -6.0, -26.0), (5.0, -2.0, -34.0), 1.2 * radius),
    )
    mirrored = tuple(tube("bone", one.start * [-1, 1, 1], one.end * [-1, 1, 1], one.radius) for one in limbs)
    blades = pair("bone", (5.5, -6.0, 7.0), (0.5, 1.6, 3.0), radius / 0.8)
    return (spine, sternum, *limbs, *mirrored, *blades)


def skull(brain: Ellipsoid, radius: float) -> tuple[Shape, ...]:
    """Bone around the brain, to be painted before it, and the jaws; `radius` as that of `skeleton`."""
    if radius <= 0.0:
        return ()
    around = Ellipsoid("bone", brain.centre, brain.semi_axes + _SKULL_MM * radius / 0.8, brain.rotation)
    return around, ellipsoid("bone", (0.0, 3.5, 24.0), (3.5, 1.2, 5.0), radius / 0.8)


def pieces(rng: np.random.Generator, count: float) -> tuple[Shape, ...]:
    """Ellipsoids of any tissue, anywhere in the trunk; their number is `count` to the nearest."""
    return tuple(_piece(rng) for _ in range(round(count)))


def _piece(rng: np.random.Generator) -> Shape:
    away, angle = _PIECE_RADIUS_MM * np.sqrt(rng.random()), rng.uniform(0.0, 2.0 * np.pi)
    centre = np.array([away * np.cos(angle), away * np.sin(angle), rng.uniform(*_PIECE_HEIGHT_MM)])
    shortest, longest = np.log(_PIECE_MM)
    semi_axes = np.exp(rng.uniform(shortest, longest, 3))
    tissue = PIECES[int(rng.integers(len(PIECES)))]
    return Ellipsoid(tissue, centre, semi_axes, Rotation.random(random_state=rng).as_matrix())
