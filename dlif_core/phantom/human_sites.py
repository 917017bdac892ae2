"""Laboratories with humans after FDG: chest and aorta in view, injected into a vein of an arm.

Sizes, flows and noise are orders of magnitude for adults; see `sites` for what a laboratory is.
"""

from __future__ import annotations

import numpy as np

from dlif_core.phantom.acquisition import AcquisitionRanges, draw_schedule
from dlif_core.phantom.anatomy import AnatomyRanges
from dlif_core.phantom.circulation import CirculationRanges
from dlif_core.phantom.hand import Hand
from dlif_core.phantom.human import HUMAN_FRAMES
from dlif_core.phantom.injection import InjectionRanges
from dlif_core.phantom.population import Population
from dlif_core.phantom.scanner import Schedule
from dlif_core.phantom.span import Span
from dlif_core.phantom.tracers import Tracer

#: 22 to 36 frames in 45 to 60 min.
HUMAN_SCHEDULES: tuple[Schedule, ...] = (
    HUMAN_FRAMES,
    ((12, 5.0), (6, 10.0), (4, 30.0), (4, 60.0), (10, 300.0)),
    ((10, 6.0), (12, 10.0), (4, 30.0), (5, 120.0), (8, 300.0)),
    ((24, 5.0), (6, 10.0), (4, 30.0), (5, 60.0), (8, 300.0)),
)

# Edge of the voxels to which the noise level refers [mm]
_NATIVE = 4.0

# spread of the logarithm of uptake among laboratories
_UPTAKE_SPREADS = {
    "myocardium": 0.5,
    "muscle": 0.4,
    "brain": 0.2,
    "liver": 0.25,
    "lung": 0.3,
    "spleen": 0.3,
    "stomach": 0.4,
    "marrow": 0.4,
    "tumour": 0.5,
    "fat": 0.5,
    "bone": 0.5,
}

# smallest and largest linear size among laboratories, relative to the usual one
_ORGAN_SIZES = {"lung": (0.85, 1.1), "liver": (0.85, 1.15), "spleen": (0.8, 1.2), "stomach": (0.7, 1.4)}


def human_site(hand: Hand, name: str, stream: int, tracer: str | Tracer) -> Population:
    """Draw a laboratory with humans.

    Parameters
    ----------
    hand
        Draws what the laboratory is like.
    name, stream, tracer
        What the attributes of `Population` of these names are to be; ``"FDG"`` is that of humans.
    """
    weight = hand.number(52.0, 95.0)
    return Population(
        name=name,
        stream=stream,
        species="human",
        tracer="human FDG" if tracer == "FDG" else tracer,
        body_weight=Span((0.86 * weight, 1.16 * weight)),
        injected_activity=hand.near(1.2e8, 4.2e8, 0.2),
        strain=hand.near(0.94, 1.06, 0.2),
        fasted_share=float(hand.rng.choice([0.0, 1.0, 0.7], p=[0.2, 0.5, 0.3])),
        uptake=hand.uptakes(_UPTAKE_SPREADS),
        rate_variation=hand.number(0.1, 0.25),
        anatomy=_anatomy(hand),
        injection=_injection(hand),
        acquisition=_acquisition(hand),
        circulation=CirculationRanges(
            cardiac_output=hand.near(3800.0, 7500.0, 0.25),
            blood_volume=hand.near(0.060, 0.078, 0.25),
            caval_share=hand.near(0.35, 0.55, 0.25),
            lung_transit=hand.near(3.5, 7.0, 0.25),
            clearance=hand.near(15.0, 60.0, 0.3),
        ),
    )


def _anatomy(hand: Hand) -> AnatomyRanges:
    size, tilt, middle = hand.number(0.93, 1.07), hand.number(-10.0, 10.0), hand.number(-95.0, -65.0)
    place, course = hand.number(2.0, 9.0), hand.number(0.0, 7.0)
    return AnatomyRanges(
        size=Span((size - 0.06, size + 0.06)),
        trunk=hand.near(145.0, 180.0, 0.3),
        tumour=Span((7.0, 25.0), share=float(hand.rng.choice([0.0, 0.5, 1.0]))),
        vena_cava=hand.near(8.5, 12.5, 0.3),
        aorta=hand.near(10.0, 15.5, 0.3),
        wall=hand.near(8.0, 14.0, 0.3),
        rotation=Span((-5.0, 5.0)),
        shift=Span((-12.0, 12.0)),
        tilt=Span((tilt - 6.0, tilt + 6.0)),
        position=Span((-place, place)),
        heart=hand.near(0.85, 1.15, 0.3),
        right=hand.near(0.9, 1.25, 0.3),
        right_wall=hand.sometimes(0.8, hand.near(2.5, 5.0, 0.3)),
        atria=hand.sometimes(0.9, hand.near(0.75, 1.2, 0.3)),
        cranial_vena_cava=hand.sometimes(0.7, hand.near(5.0, 9.0, 0.3)),
        deformation=hand.near(1.0, 8.0, 0.5),
        carotid=hand.sometimes(0.6, hand.near(3.0, 5.0, 0.3)),
        tumour_place=(Span((-180.0, 180.0)), Span((-180.0, 0.0))),
        organs={organ: hand.near(*sizes, 0.3) for organ, sizes in _ORGAN_SIZES.items()},
        fat=hand.sometimes(0.9, hand.near(5.0, 35.0, 0.3)),
        bone=hand.sometimes(0.9, hand.near(9.0, 13.0, 0.3)),
        crowding=hand.near(0.85, 1.1, 0.3),
        pieces=hand.sometimes(0.4, hand.near(0.0, 16.0, 0.3)),
        course=Span((-course, course)),
        height=Span((middle - 6.0, middle + 6.0)),
    )


def _injection(hand: Hand) -> InjectionRanges:
    begin, duration = hand.number(0.0, 30.0), float(np.exp(hand.number(np.log(5.0), np.log(60.0))))
    return InjectionRanges(
        shift=Span((begin, begin + hand.number(1.0, 10.0))),
        infusion=Span((0.85 * duration, 1.2 * duration)),
        repeat=Span((0.1, 0.4), share=0.03),
        paravenous=Span((0.01, 0.1), share=0.08),
        vein="arm",
    )


def _acquisition(hand: Hand) -> AcquisitionRanges:
    rng = hand.rng
    lengths = hand.number(195.0, 330.0), hand.number(270.0, 350.0), hand.number(390.0, 470.0)
    along, deep, wide = (Span((length - 4.0, length + 4.0)) for length in lengths)
    level = float(np.exp(hand.number(np.log(0.5), np.log(1.8))))
    overshoot, factor = hand.number(0.0, 0.15), 1.0 + 0.02 * rng.standard_normal()
    return AcquisitionRanges(
        resolution=hand.near(4.0, 7.0, 0.05),
        axial_ratio=hand.near(0.9, 1.2, 0.05),
        heart_resolution=hand.near(8.0, 15.0, 0.2),
        noise_level=Span((0.85 * level, 1.15 * level)),
        texture=hand.near(0.05, 0.2, 0.2),
        texture_width=hand.near(10.0, 25.0, 0.2),
        motion=hand.near(0.0, 1.8, 0.5),
        usual_motion=1.2,
        largest_motion=20.0,
        schedules=(draw_schedule(rng, HUMAN_SCHEDULES),),
        end=Span((1500.0, 2700.0), share=0.1, otherwise=np.inf),
        voxel_size=hand.near(1.6, 4.1, 0.01),
        slice_ratio=hand.near(0.8, 1.5, 0.01),
        field_of_view=(along, deep, wide),
        native_voxel=(_NATIVE,) * 3,
        finest_sample=2.5,
        grain=hand.near(1.1, 2.0, 0.1),
        log_normal=float(rng.random() < 0.5),
        overshoot=Span((overshoot, overshoot)),
        calibration=Span((factor, factor)),
    )
