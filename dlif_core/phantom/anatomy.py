"""Anatomy of a simulated mouse: organs as ellipsoids and tubes in millimetres.

Axes follow NIfTI (RAS+): x to the right, y ventral, z towards the head; the origin lies between heart and lungs.
Shapes are painted in order, so a later one covers an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from dlif_core.phantom.filling import fat_below_skin, pieces, skeleton, skull
from dlif_core.phantom.shapes import Ellipsoid, Shape, ellipsoid, pair, tube
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
    "cranial_vena_cava",
    "fat",
    "bone",
)

#: Organs that move with the heart beat.
HEART = ("right_ventricle", "myocardium", "left_ventricle")

#: Organs that hold nothing but blood.
BLOOD_POOLS = ("vena_cava", "aorta", "right_ventricle", "left_ventricle", "cranial_vena_cava")

#: Organs that hold nothing but urine.
URINE = ("renal_pelvis", "bladder")

# Organs that are displaced together with another
_COMPANIONS = {"renal_pelvis": "kidney", "right_ventricle": "left_ventricle", "myocardium": "left_ventricle"}

# Organs that lie the nearer to the heart the more crowded they are, and the height from which this counts [mm]
_ABDOMEN, _DIAPHRAGM = ("liver", "stomach", "spleen", "gut", "kidney", "renal_pelvis", "bladder"), -4.0

# The trunk and what runs along it stay where they are
_FIXED = ("muscle", "marrow", "vena_cava", "aorta", "cranial_vena_cava", "fat", "bone")


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
    heart
        Linear size of the heart relative to its usual one.
    right
        Linear size of the right ventricle relative to its usual one.
    right_wall
        Thickness of the right-ventricular wall [mm]; 0 for none.
    atria
        Linear size of the atria relative to their usual one; 0 for none.
    cranial_vena_cava
        Radius of the vein from the neck to the heart [mm]; 0 for none.
    carotid
        Radius of the arteries of the neck [mm]; 0 for none.
    deformation
        Root mean square of a smooth deformation of the whole body [mm]; 0 for none.
    organs
        Linear size of single organs relative to their usual one.
    fat
        Thickness of the fat below the skin [mm]; 0 for an animal without fat.
    bone
        Radius of long bones [mm]; 0 for an animal without bones.
    crowding
        Distance of the organs of the abdomen from the heart along the body, relative to the usual one.
    pieces
        Number of pieces of any tissue that lie anywhere in the trunk.
    course
        Displacement of the ends of every vessel along each axis [mm].
    tumour_place
        Where below the skin a tumour lies: angle about the body [degrees] and height [mm]; None for a shoulder.
    height
        How much further along z the middle of the field of view lies than usual [mm]; only humans have it.
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
    heart: Span = Span((1.0, 1.0))
    right: Span = Span((1.0, 1.0))
    right_wall: Span = Span((0.0, 0.0))
    atria: Span = Span((0.0, 0.0))
    cranial_vena_cava: Span = Span((0.0, 0.0))
    carotid: Span = Span((0.0, 0.0))
    deformation: Span = Span((0.0, 0.0))
    organs: Mapping[str, Span] = field(default_factory=dict)
    fat: Span = Span((0.0, 0.0))
    bone: Span = Span((0.0, 0.0))
    crowding: Span = Span((1.0, 1.0))
    pieces: Span = Span((0.0, 0.0))
    course: Span = Span((0.0, 0.0))
    tumour_place: tuple[Span, Span] | None = None
    height: Span = Span((0.0, 0.0))


#: Organ sizes ±10 %, pose ±2 mm and ±8°.
STANDARD = AnatomyRanges()


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
    further = rng.spawn(1)[0]
    filling = rng.spawn(1)[0]
    bone = ranges.bone.draw(filling)
    shapes = (
        *_trunk(rng, ranges, ranges.fat.draw(filling), bone),
        *crowded(_abdomen(rng, ranges), ranges.crowding.draw(filling)),
        *_head(rng, ranges, bone),
        *pieces(filling, ranges.pieces.draw(filling)),
        *_tumour(rng, further, ranges),
        *_vessels(rng, filling, ranges),
        *_neck(further, ranges),
        *_heart(rng, placement, further, ranges),
    )
    sizes = dict(proportions or {})
    for organ, span in ranges.organs.items():
        sizes[organ] = span.draw(filling) * sizes.get(organ, 1.0)
    return posed(displaced(shapes, placement, ranges, sizes), rng, scale, ranges)


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


def crowded(shapes: tuple[Shape, ...], factor: float, diaphragm: float = _DIAPHRAGM) -> tuple[Shape, ...]:
    """The organs of the abdomen at so many times their distance from the diaphragm; others stay where they are."""
    return tuple(
        shape.varied(1.0, np.array([0.0, 0.0, (factor - 1.0) * (float(np.mean(shape.bounds, axis=0)[2]) - diaphragm)]))
        if shape.organ in _ABDOMEN
        else shape
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


def _trunk(rng: np.random.Generator, ranges: AnatomyRanges, fat: float, bone: float) -> tuple[Shape, ...]:
    across = ranges.trunk.draw(rng)
    return (
        *fat_below_skin(ellipsoid("muscle", (0, 0, -3), (across, across, 40)), fat),
        *skeleton(bone),
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


def _head(rng: np.random.Generator, ranges: AnatomyRanges, bone: float) -> tuple[Shape, ...]:
    brain = ellipsoid("brain", (0, -1.5, 20), (5, 4, 7), ranges.size.draw(rng))
    return (
        *skull(brain, bone),
        brain,
        *pair("harderian_gland", (4.0, 1.0, 26.5), (1.2, 1.2, 1.2), ranges.size.draw(rng)),
    )


def _tumour(rng: np.random.Generator, further: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    """Draw a tumour below the skin of one shoulder or anywhere, or none."""
    side = rng.choice([-1.0, 1.0])
    radius = ranges.tumour.draw(rng)
    place = (7.5 * side, -1.0, 10.0)
    if ranges.tumour_place is not None:
        angle, height = (span.draw(further) for span in ranges.tumour_place)
        place = (8.5 * np.cos(np.radians(angle)), 8.5 * np.sin(np.radians(angle)), height)
    return (ellipsoid("tumour", place, (1, 1, 1), radius),) if radius > 0 else ()


def _vessels(rng: np.random.Generator, filling: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    aorta, vein = ranges.aorta.draw(rng), ranges.vena_cava.draw(rng)
    tail, arch = (np.add(point, _triple(ranges.course, filling)) for point in ((-0.7, -4.6, -28), (-0.7, -4.6, 4)))
    low, high = (np.add(point, _triple(ranges.course, filling)) for point in ((1.2, -4.2, -28), (1.6, -0.6, 2)))
    return (
        tube("vena_cava", low, high, vein),
        tube("aorta", tail, arch, aorta),
        tube("aorta", arch, (-0.2, 0.5, 4), aorta),
    )


def _neck(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    """Vessels between neck and heart, where they are wanted."""
    vein, artery = ranges.cranial_vena_cava.draw(rng), ranges.carotid.draw(rng)
    veins = (tube("cranial_vena_cava", (1.4, -0.2, 3), (1.0, 0.4, 13), vein),) if vein > 0 else ()
    arteries = tuple(tube("aorta", (side * 0.6, -0.6, 4), (side * 1.6, 0.2, 13), artery) for side in (-1, 1))
    return (*veins, *(arteries if artery > 0 else ()))


def _heart(
    rng: np.random.Generator, placement: np.random.Generator, further: np.random.Generator, ranges: AnatomyRanges
) -> tuple[Shape, ...]:
    size = ranges.size.draw(rng)
    wall, axis = ranges.wall.draw(placement), heart_axis(placement, ranges)
    grown, right_wall, atria = (span.draw(further) for span in (ranges.heart, ranges.right_wall, ranges.atria))
    right_size = ranges.right.draw(further)
    centre = np.array((-0.8, 1.8, -0.5))
    right, *left = heart(centre, (1.8, 1.8, 2.9), wall, size * grown, axis)
    assert isinstance(right, Ellipsoid)
    right = replace(right, semi_axes=right_size * right.semi_axes)
    shapes = (right, *left)
    if right_wall:
        outside = replace(right, organ="myocardium", semi_axes=right.semi_axes + right_wall)
        shapes = (outside, *shapes)
    return shapes if not atria else (*_atria(centre, atria * size * grown, axis), *shapes)


def _atria(centre: Array, size: float, axis: Array) -> tuple[Shape, ...]:
    """Both atria at the base of the heart, behind its ventricles."""
    left, right = (centre + axis @ (size * np.array(place)) for place in ((0.3, -0.8, -3.6), (2.4, -0.4, -3.0)))
    return (
        Ellipsoid("right_ventricle", right, size * np.array([1.2, 1.2, 1.3]), axis),
        Ellipsoid("left_ventricle", left, size * np.array([1.0, 1.0, 0.9]), axis),
    )
