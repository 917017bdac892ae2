"""Anatomy of a simulated human: chest and head, arms beside the field of view, in millimetres.

The axes are those of `anatomy`; the origin is between heart and chin, so that a field of view around it shows both
liver and brain. The heart lies 110 mm below, the arch of the aorta at the origin. Organs that FDG barely marks are left
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dlif_core.phantom.anatomy import AnatomyRanges, crowded, displaced, heart, heart_axis, posed
from dlif_core.phantom.filling import pieces
from dlif_core.phantom.scanner import Grid, Schedule
from dlif_core.phantom.shapes import Array, Ellipsoid, Shape, ellipsoid, pair, tube
from dlif_core.phantom.span import Span

#: Field of view from liver to vertex, voxels of 4 mm.
HUMAN_CROP = Grid((140, 64, 88), (4.0, 4.0, 4.0), finest_sample=2.0)

#: Length of a human's trunk relative to a mouse's: what is drawn for mice in millimetres has this size in humans.
TO_HUMAN = 12.0

#: 36 frames in 60 min.
HUMAN_FRAMES: Schedule = ((12, 10.0), (8, 30.0), (8, 60.0), (4, 300.0), (4, 390.0))

#: Ranges for an adult of 70 kg; lengths are scaled with body weight.
HUMAN_RANGES = AnatomyRanges(
    trunk=Span((155.0, 180.0)),
    tumour=Span((8.0, 20.0), share=0.3),
    vena_cava=Span((9.0, 12.0)),
    aorta=Span((10.0, 14.0)),
    wall=Span((9.0, 12.0)),
    rotation=Span((-4.0, 4.0)),
    shift=Span((-15.0, 15.0)),
    tilt=Span((-10.0, 10.0)),
    position=Span((-5.0, 5.0)),
)


# height of the diaphragm, from which crowding counts [mm]
_DIAPHRAGM = -150.0


def draw_human(
    rng: np.random.Generator,
    scale: float = 1.0,
    ranges: AnatomyRanges = HUMAN_RANGES,
    proportions: Mapping[str, float] | None = None,
) -> tuple[Shape, ...]:
    """Draw chest and head of one human; arguments and result are those of `anatomy.draw_anatomy`, scale 1 is 70 kg."""
    placement, further, filling = (rng.spawn(1)[0] for _ in range(3))
    shapes = (
        *_trunk(rng, ranges, ranges.fat.draw(filling), ranges.bone.draw(filling)),
        *crowded(_abdomen(rng, ranges), ranges.crowding.draw(filling), _DIAPHRAGM),
        *_head(rng, ranges),
        *_pieces(filling, ranges.pieces.draw(filling)),
        *_tumour(rng, further, ranges),
        *_vessels(rng, filling, ranges),
        *_neck(further, ranges),
        *_heart(rng, placement, further, ranges),
    )
    sizes = dict(proportions or {})
    for organ, span in ranges.organs.items():
        sizes[organ] = span.draw(filling) * sizes.get(organ, 1.0)
    placed = posed(displaced(shapes, placement, ranges, sizes), rng, scale, ranges)
    raised = np.array([0.0, 0.0, -ranges.height.draw(filling)])
    return tuple(shape.placed(1.0, np.eye(3), raised) for shape in placed)


def _trunk(rng: np.random.Generator, ranges: AnatomyRanges, fat: float, bone: float) -> tuple[Shape, ...]:
    across = ranges.trunk.draw(rng)
    trunk = ellipsoid("muscle", (0, 0, -200), (across, 0.65 * across, 300))
    skin = (replace(trunk, organ="fat", semi_axes=trunk.semi_axes + fat),) if fat > 0 else ()
    return (
        *skin,
        trunk,
        *_bones(bone),
        tube("marrow", (0, -75, -400), (0, -35, 120), 15 * ranges.size.draw(rng)),
        *pair("lung", (75, -5, -70), (55, 75, 110), ranges.size.draw(rng)),
    )


def _bones(radius: float) -> tuple[Shape, ...]:
    """Spine, sternum, blades and upper arms; `radius` is that of the upper arms [mm], 0 for no bones."""
    if radius <= 0.0:
        return ()
    return (
        tube("bone", (0, -75, -400), (0, -35, 120), 1.7 * radius),
        tube("bone", (0, 92, -150), (0, 72, -20), 0.7 * radius),
        *pair("bone", (85, -75, -20), (40, 6, 65), radius / 12.0),
        *(tube("bone", (side * 140, -20, 10), (side * 190, -10, 90), radius) for side in (-1, 1)),
    )


def _abdomen(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    return (
        ellipsoid("liver", (50, 15, -235), (95, 75, 65), ranges.size.draw(rng)),
        ellipsoid("spleen", (-100, -45, -230), (30, 35, 50), ranges.size.draw(rng)),
        ellipsoid("stomach", (-60, 35, -225), (45, 35, 45), ranges.size.draw(rng)),
    )


def _pieces(rng: np.random.Generator, count: float) -> tuple[Shape, ...]:
    """Ellipsoids of any tissue, anywhere in the trunk."""
    return tuple(piece.placed(TO_HUMAN, np.eye(3), np.zeros(3)) for piece in pieces(rng, count))


def _tumour(rng: np.random.Generator, further: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    """Draw a tumour in the right lung or anywhere in the chest, or none."""
    radius = ranges.tumour.draw(rng)
    place = (70.0, 5.0, -50.0)
    if ranges.tumour_place is not None:
        angle, height = (span.draw(further) for span in ranges.tumour_place)
        place = (100.0 * np.cos(np.radians(angle)), 65.0 * np.sin(np.radians(angle)), height)
    return (ellipsoid("tumour", place, (1, 1, 1), radius),) if radius > 0 else ()


def _head(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    head = ranges.size.draw(rng)
    return (
        tube("muscle", (0, -25, 60), (0, -15, 150), 55 * head),
        ellipsoid("muscle", (0, 0, 190), (75, 95, 110), head),
        ellipsoid("brain", (0, -5, 205), (64, 80, 62), head),
    )


def _vessels(rng: np.random.Generator, filling: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    aorta, vein = ranges.aorta.draw(rng), ranges.vena_cava.draw(rng)
    ends = ((-20, -50, -400), (-20, -50, 0), (12, 15, 0), (0, 20, -75))
    low, back, front, root = (np.add(end, [ranges.course.draw(filling) for _ in range(3)]) for end in ends)
    lung = 0.9 * aorta
    return (
        tube("vena_cava", (30, -20, -400), (30, 0, -100), vein),
        tube("cranial_vena_cava", (30, 0, -60), (30, 5, 30), vein),
        tube("right_ventricle", (-15, 35, -75), (-12, 5, -35), lung),
        *(tube("right_ventricle", (-12, 5, -35), (-12 + side * 50, -10, -40), 0.7 * lung) for side in (-1, 1)),
        tube("aorta", low, back, 0.85 * aorta),
        tube("aorta", back, front, aorta),
        tube("aorta", front, root, aorta),
    )


def _neck(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    """Veins from the arms and arteries to neck and arms, where they are wanted."""
    vein, artery = ranges.cranial_vena_cava.draw(rng), ranges.carotid.draw(rng)
    ends = ((90, -5, 75), (-85, -5, 70))
    veins = tuple(tube("cranial_vena_cava", (30, 5, 30), end, vein) for end in ends)
    arteries = tuple(tube("aorta", (side * 12, -15, 5), (side * 25, -10, 120), artery) for side in (-1, 1))
    return (*(veins if vein > 0 else ()), *(arteries if artery > 0 else ()))


def _heart(
    rng: np.random.Generator, placement: np.random.Generator, further: np.random.Generator, ranges: AnatomyRanges
) -> tuple[Shape, ...]:
    size = ranges.size.draw(rng)
    wall, axis = ranges.wall.draw(placement), heart_axis(placement, ranges)
    grown, right_wall, atria = (span.draw(further) for span in (ranges.heart, ranges.right_wall, ranges.atria))
    centre: Array = np.array([-25.0, 25.0, -110.0])
    right, *left = heart(centre, (23, 23, 40), wall, size * grown, axis)
    assert isinstance(right, Ellipsoid)
    right = replace(right, semi_axes=ranges.right.draw(further) * right.semi_axes)
    outside = (replace(right, organ="myocardium", semi_axes=right.semi_axes + right_wall),) if right_wall > 0 else ()
    return (*(_atria(centre, atria * size * grown, axis) if atria > 0 else ()), *outside, right, *left)


def _atria(centre: Array, size: float, axis: Array) -> tuple[Shape, ...]:
    """Both atria at the base of the heart, behind its ventricles."""
    left, right = (centre + axis @ (size * np.array(place)) for place in ((4, -14, -52), (42, -6, -44)))
    return (
        Ellipsoid("right_ventricle", right, size * np.array([20, 20, 24]), axis),
        Ellipsoid("left_ventricle", left, size * np.array([22, 18, 18]), axis),
    )
