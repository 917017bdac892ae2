"""Anatomy of a simulated human: chest and head, arms beside the field of view, in millimetres.

The axes are those of `anatomy`; the origin is between heart and chin, so that a field of view around it shows both
liver and brain. Organs that FDG barely marks are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlif_core.phantom.anatomy import AnatomyRanges, displaced, heart, heart_axis, posed
from dlif_core.phantom.scanner import Grid, Schedule
from dlif_core.phantom.shapes import Array, Shape, ellipsoid, pair, tube
from dlif_core.phantom.span import Span

#: Field of view from liver to vertex, voxels of 4 mm.
HUMAN_CROP = Grid((140, 64, 88), (4.0, 4.0, 4.0), finest_sample=2.0)

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


def draw_human(
    rng: np.random.Generator,
    scale: float = 1.0,
    ranges: AnatomyRanges = HUMAN_RANGES,
    proportions: Mapping[str, float] | None = None,
) -> tuple[Shape, ...]:
    """Draw chest and head of one human; arguments and result are those of `anatomy.draw_anatomy`, scale 1 is 70 kg."""
    placement = rng.spawn(1)[0]
    shapes = (*_trunk(rng, ranges), *_head(rng, ranges), *_vessels(rng, ranges), *_heart(rng, placement, ranges))
    return posed(displaced(shapes, placement, ranges, proportions or {}), rng, scale, ranges)


def _trunk(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    across = ranges.trunk.draw(rng)
    radius = ranges.tumour.draw(rng)
    tumour = (ellipsoid("tumour", (70, 5, -50), (1, 1, 1), radius),) if radius > 0 else ()
    return (
        ellipsoid("muscle", (0, 0, -200), (across, 0.65 * across, 300)),
        tube("marrow", (0, -75, -400), (0, -35, 120), 15 * ranges.size.draw(rng)),
        *pair("lung", (75, -5, -70), (55, 75, 110), ranges.size.draw(rng)),
        ellipsoid("liver", (50, 15, -235), (95, 75, 65), ranges.size.draw(rng)),
        ellipsoid("spleen", (-100, -45, -230), (30, 35, 50), ranges.size.draw(rng)),
        *tumour,
    )


def _head(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    head = ranges.size.draw(rng)
    return (
        tube("muscle", (0, -25, 60), (0, -15, 150), 55 * head),
        ellipsoid("muscle", (0, 0, 190), (75, 95, 110), head),
        ellipsoid("brain", (0, -5, 205), (64, 80, 62), head),
    )


def _vessels(rng: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    aorta, vein = ranges.aorta.draw(rng), ranges.vena_cava.draw(rng)
    return (
        tube("vena_cava", (30, -20, -400), (30, 0, -100), vein),
        tube("vena_cava", (30, 0, -60), (30, 5, 30), vein),
        tube("aorta", (-20, -50, -400), (-20, -50, 0), 0.85 * aorta),
        tube("aorta", (-20, -50, 0), (12, 15, 0), aorta),
        tube("aorta", (12, 15, 0), (0, 20, -75), aorta),
    )


def _heart(rng: np.random.Generator, placement: np.random.Generator, ranges: AnatomyRanges) -> tuple[Shape, ...]:
    size = ranges.size.draw(rng)
    wall, axis = ranges.wall.draw(placement), heart_axis(placement, ranges)
    centre: Array = np.array([-25.0, 25.0, -110.0])
    return heart(centre, (23, 23, 40), wall, size, axis)
