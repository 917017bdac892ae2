"""Laboratories: each with a scanner, a protocol, a colony and hands of its own, among which its animals vary little.

What differs between animals of one laboratory is small beside what differs between laboratories. So a method is tested
on laboratories that it has not seen, not on further animals of those that it has; and networks learn from scans of
which each is of another laboratory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dlif_core.errors import ConfigurationError
from dlif_core.phantom.acquisition import AcquisitionRanges, draw_schedule
from dlif_core.phantom.anatomy import AnatomyRanges
from dlif_core.phantom.circulation import CirculationRanges
from dlif_core.phantom.hand import Hand
from dlif_core.phantom.human_sites import human_site
from dlif_core.phantom.injection import InjectionRanges, Vein
from dlif_core.phantom.population import Population
from dlif_core.phantom.span import Span
from dlif_core.phantom.tracers import Tracer, random_tracer

#: Share of sites that give tracer into each vein.
VEINS: dict[Vein, float] = {"tail": 0.8, "retro-orbital": 0.1, "jugular": 0.1}

# beyond it, sizes come near zero
_LARGEST_MARGIN = 0.25


@dataclass(frozen=True)
class Sites:
    """Laboratories by number, of which each is a population.

    Attributes
    ----------
    name
        Name of their populations in reports and manifests.
    stream
        Number that keeps the seeds of these sites apart from those of others.
    animals
        Animals of each site: seed 0 to `animals` - 1 are of the first one, and so on.
    tracer
        One of `tracers.TRACERS`.
    species
        ``"mouse"`` or ``"human"``.
    other_tracers
        Share of the sites that use a tracer which exists nowhere, see `tracers.random_tracer`.
    margin
        How much wider on either side every range is from which a site's properties are drawn, relative to its width, at
        most a quarter; shares and choices stay as they are.

    Raises
    ------
    ConfigurationError
        If the margin is negative or more than a quarter, or there are no laboratories of that species.
    """

    name: str
    stream: int
    animals: int = 1
    tracer: str = "FDG"
    other_tracers: float = 0.0
    margin: float = 0.0
    species: str = "mouse"

    def __post_init__(self) -> None:
        if self.species not in _KINDS:
            raise ConfigurationError(
                f"there are no laboratories of species {self.species!r}.", hint=f"Use one of {', '.join(_KINDS)}."
            )
        if not 0.0 <= self.margin <= _LARGEST_MARGIN:
            raise ConfigurationError(
                f"ranges of laboratories can't have a margin of {self.margin}.",
                hint=f"Give a number from 0 to {_LARGEST_MARGIN}.",
            )

    def site(self, number: int) -> Population:
        """The population of a laboratory; the same number always gives the same."""
        rng = np.random.default_rng(np.random.SeedSequence([self.stream, number, 0x517E]))
        other = rng.spawn(1)[0]
        tracer = random_tracer(other) if other.random() < self.other_tracers else self.tracer
        return _KINDS[self.species](Hand(rng, self.margin), self.name, self.stream, tracer)

    def of(self, seed: int) -> Population:
        """The population of the laboratory to which an animal belongs."""
        return self.site(seed // self.animals)


def mouse_site(hand: Hand, name: str, stream: int, tracer: str | Tracer) -> Population:
    """Draw a laboratory with mice.

    Parameters
    ----------
    hand
        Draws what the laboratory is like.
    name, stream, tracer
        What the attributes of `Population` of these names are to be.
    """
    weight = hand.number(0.018, 0.034)
    return Population(
        name=name,
        stream=stream,
        tracer=tracer,
        body_weight=Span((0.9 * weight, 1.1 * weight)),
        injected_activity=hand.near(4e6, 1.5e7, 0.2),
        strain=hand.near(0.93, 1.07, 0.2),
        fasted_share=float(hand.rng.choice([0.0, 1.0, 0.5], p=[0.5, 0.35, 0.15])),
        uptake=_uptake(hand),
        rate_variation=hand.number(0.1, 0.25),
        anatomy=_anatomy(hand),
        injection=_injection(hand),
        acquisition=_acquisition(hand),
        circulation=CirculationRanges(
            cardiac_output=hand.near(8.0, 22.0, 0.25),
            blood_volume=hand.near(0.065, 0.09, 0.25),
            caval_share=hand.near(0.2, 0.42, 0.25),
            lung_transit=hand.near(0.9, 2.4, 0.25),
            clearance=hand.near(0.05, 0.3, 0.3),
        ),
    )


def _uptake(hand: Hand) -> dict[str, Span]:
    """Room temperature, anaesthesia and strain: some organs take up more or less than usual."""
    cold = hand.near(1.0, 3.0, 0.3) if hand.rng.random() < 0.3 else hand.near(0.3, 1.2, 0.3)
    return {"brown_fat": cold} | hand.uptakes(_UPTAKE_SPREADS)


# spread of the logarithm of uptake among sites
_UPTAKE_SPREADS = {
    "myocardium": 0.45,
    "muscle": 0.45,
    "brain": 0.25,
    "liver": 0.3,
    "gut": 0.4,
    "lung": 0.3,
    "kidney": 0.3,
    "spleen": 0.3,
    "stomach": 0.4,
    "marrow": 0.4,
    "tumour": 0.4,
    "fat": 0.6,
    "bone": 0.6,
}

# smallest and largest linear size among sites, relative to the usual one
_ORGAN_SIZES = {
    "lung": (0.68, 1.08),
    "liver": (0.85, 1.3),
    "gut": (0.85, 1.5),
    "stomach": (0.7, 1.4),
    "kidney": (0.85, 1.15),
    "spleen": (0.8, 1.2),
    "brain": (0.88, 1.08),
    "bladder": (0.5, 1.5),
}


def _anatomy(hand: Hand) -> AnatomyRanges:
    size, shift, tilt = hand.number(0.92, 1.08), hand.number(-3.0, 3.0), hand.number(-15.0, 15.0)
    place, course = hand.number(0.3, 2.0), hand.number(0.0, 1.2)
    return AnatomyRanges(
        size=Span((size - 0.06, size + 0.06)),
        trunk=hand.near(9.5, 13.0, 0.3),
        tumour=Span((1.5, 4.5), share=float(hand.rng.choice([0.0, 0.5, 1.0]))),
        vena_cava=hand.near(0.45, 0.95, 0.3),
        aorta=hand.near(0.33, 0.6, 0.3),
        wall=hand.near(0.7, 1.5, 0.3),
        rotation=Span((-10.0, 10.0)),
        shift=Span((shift - 1.5, shift + 1.5)),
        tilt=Span((tilt - 5.0, tilt + 5.0)),
        position=Span((-place, place)),
        heart=hand.near(0.86, 1.25, 0.3),
        right=hand.near(0.9, 1.35, 0.3),
        right_wall=hand.sometimes(0.8, hand.near(0.3, 0.7, 0.3)),
        atria=hand.sometimes(0.8, hand.near(0.5, 1.3, 0.3)),
        cranial_vena_cava=hand.sometimes(0.8, hand.near(0.35, 0.7, 0.3)),
        deformation=hand.near(0.2, 1.8, 0.5),
        carotid=hand.sometimes(0.6, hand.near(0.2, 0.35, 0.3)),
        tumour_place=(Span((-180.0, 180.0)), Span((-25.0, 14.0))),
        organs={organ: hand.near(*sizes, 0.3) for organ, sizes in _ORGAN_SIZES.items()},
        fat=hand.sometimes(0.75, hand.near(0.5, 4.0, 0.3)),
        bone=hand.sometimes(0.8, hand.near(0.4, 1.2, 0.3)),
        crowding=hand.near(0.55, 1.05, 0.3),
        pieces=hand.sometimes(0.6, hand.near(0.0, 20.0, 0.3)),
        course=Span((-course, course)),
    )


def _injection(hand: Hand) -> InjectionRanges:
    vein = list(VEINS)[int(hand.rng.choice(len(VEINS), p=list(VEINS.values())))]
    begin, duration = hand.number(0.0, 60.0), float(np.exp(hand.number(np.log(3.0), np.log(60.0))))
    return InjectionRanges(
        shift=Span((begin, begin + hand.number(1.0, 15.0))),
        infusion=Span((0.8 * duration, 1.25 * duration)),
        repeat=Span((0.1, 0.4), share=0.04),
        paravenous=Span((0.01, 0.12), share=0.1),
        vein=vein,
    )


def _acquisition(hand: Hand) -> AcquisitionRanges:
    rng = hand.rng
    across, along = hand.number(24.0, 34.0), hand.number(46.0, 90.0)
    level = float(np.exp(hand.number(np.log(0.8), np.log(2.6))))
    width = Span((across - 1.0, across + 1.0))
    overshoot, scatter, factor = hand.number(0.0, 0.2), hand.number(0.0, 0.06), 1.0 + 0.02 * rng.standard_normal()
    return AcquisitionRanges(
        resolution=hand.near(0.7, 1.5, 0.05),
        axial_ratio=hand.near(0.95, 1.3, 0.05),
        heart_resolution=hand.near(1.3, 2.8, 0.2),
        noise_level=Span((0.85 * level, 1.15 * level)),
        texture=hand.near(0.05, 0.25, 0.2),
        texture_width=hand.near(2.0, 5.0, 0.2),
        motion=hand.near(0.0, 1.8, 0.5),
        schedules=(draw_schedule(rng),),
        end=Span((1200.0, 2700.0), share=0.1, otherwise=np.inf),
        voxel_size=hand.near(0.4, 0.95, 0.01),
        slice_ratio=hand.near(0.9, 1.5, 0.01),
        field_of_view=(Span((along - 1.0, along + 1.0)), width, width),
        grain=hand.near(1.1, 2.4, 0.1),
        log_normal=float(rng.random() < 0.5),
        overshoot=Span((overshoot, overshoot)),
        scatter=Span((scatter, scatter)),
        calibration=Span((factor, factor)),
    )


#: What draws a laboratory of each species.
_KINDS: Mapping[str, Callable[[Hand, str, int, str | Tracer], Population]] = {"mouse": mouse_site, "human": human_site}
