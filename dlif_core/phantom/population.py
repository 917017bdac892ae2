"""Populations: ranges of animals, injections and scans from which simulated scans are drawn at random."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from dlif_core.errors import ConfigurationError
from dlif_core.phantom.acquisition import (
    SCHEDULES,
    AcquisitionRanges,
    draw_acquisition,
    draw_timing,
    exactly,
)
from dlif_core.phantom.anatomy import ORGANS, AnatomyRanges, draw_anatomy
from dlif_core.phantom.bending import draw_bending
from dlif_core.phantom.circulation import CirculatingBlood, CirculationRanges
from dlif_core.phantom.human import HUMAN_CROP, HUMAN_FRAMES, HUMAN_RANGES, TO_HUMAN, draw_human
from dlif_core.phantom.injection import BloodPools, InjectionRanges, MixedBlood
from dlif_core.phantom.mouse import Mouse
from dlif_core.phantom.physiology import OrganKinetics, draw_input, draw_kinetics
from dlif_core.phantom.scanner import Grid, Protocol
from dlif_core.phantom.shapes import Shape
from dlif_core.phantom.span import Span
from dlif_core.phantom.tracers import TRACERS, Tracer

# Time after the injection at which plasma over whole blood is the one number that the circulation takes [s]
_MIXED_S = 600.0

# Linear size of organs ~ body weight to this power; of the others to one third, as of the body
_ALLOMETRY = {"brain": 0.05, "harderian_gland": 0.1}


@dataclass(frozen=True)
class Population:
    """A domain of scans; two populations with different streams never draw the same scan.

    Attributes
    ----------
    name
        Name in reports.
    stream
        Number that keeps the seeds of populations apart.
    species
        ``"mouse"`` or ``"human"``.
    tracer
        One of `tracers.TRACERS`, or a tracer of its own.
    body_weight
        [kg].
    injected_activity
        [Bq].
    strain
        Linear size of all organs relative to the body: strains of one weight differ in how much of it is fat.
    fasted_share
        Probability that an animal is fasted.
    uptake
        Factors on K1 and k3 of organs, such as of brown fat in the cold; 1 for organs that are not named.
    rate_variation, input_variation
        Coefficients of variation of rate constants and of Feng parameters between animals.
    irreversible
        Set k4 = 0 in every organ, so that irreversible models have an exact truth.
    anatomy, injection, acquisition
        Ranges of anatomy, injection and acquisition.
    circulation
        Ranges of the circulation, from which the curves of all pools of blood follow; None for blood that is mixed at
        once and follows a curve of its own.
    """

    name: str
    stream: int
    species: str = "mouse"
    tracer: str | Tracer = "FDG"
    body_weight: Span = Span((0.018, 0.035))
    injected_activity: Span = Span((6e6, 1e7))
    strain: Span = Span((0.94, 1.06))
    fasted_share: float = 0.2
    uptake: Mapping[str, Span] = field(default_factory=dict)
    rate_variation: float = 0.25
    input_variation: float = 0.22
    irreversible: bool = False
    anatomy: AnatomyRanges = AnatomyRanges()
    injection: InjectionRanges = InjectionRanges()
    acquisition: AcquisitionRanges = field(default_factory=AcquisitionRanges)
    circulation: CirculationRanges | None = None

    def of(self, seed: int) -> Population:
        """The population to which a seed belongs: this one, whatever the seed."""
        return self


class Draw(NamedTuple):
    """A mouse and how it is scanned: the arguments of `simulate` and `simulate_coarse`, in their order."""

    mouse: Mouse
    grid: Grid
    protocol: Protocol


class Source(typing.Protocol):
    """What scans are drawn from by their seeds: a population, or several, such as laboratories."""

    @property
    def name(self) -> str:
        """Name in reports and manifests."""
        ...

    def of(self, seed: int) -> Population:
        """The population to which a seed belongs."""
        ...


def draw(seed: int, population: Source) -> Draw:
    """Draw an animal, its injection and its scan.

    Anatomy, kinetics, input function, injection, scanner, frames and motion have their own random numbers: a
    population in which one of them is changed gives otherwise the same scans.

    Parameters
    ----------
    seed
        Zero or positive; the same seed and population give the same scan.
    population
        The domain, or several.

    Raises
    ------
    ConfigurationError
        If the population states a tracer or species that does not exist, or a scan without frames.
    """
    domain = population.of(seed)
    tracer, body = _tracer(domain), _body(domain)
    seeds = np.random.SeedSequence([domain.stream, seed])
    streams = map(np.random.default_rng, seeds.spawn(9))
    animal, anatomy, kinetics, blood, injection, scanner, frames, motion, further = streams
    weight = domain.body_weight.draw(animal)
    relative = weight / body.weight
    proportions = _proportions(relative, domain.strain.draw(animal))
    rates = draw_kinetics(
        kinetics,
        irreversible=domain.irreversible,
        tracer=tracer,
        fasted_share=domain.fasted_share,
        variation=domain.rate_variation,
    )
    for organ, factor in domain.uptake.items():
        factors = factor.draw(further)
        rates[organ] = replace(rates[organ], K1=factors * rates[organ].K1, k3=factors * rates[organ].k3)
    mouse = Mouse(
        seed=int(seeds.generate_state(1, np.uint64)[0] >> np.uint64(1)),
        body_weight=weight,
        injected_activity=domain.injected_activity.draw(animal),
        noise_level=domain.acquisition.noise_level.draw(scanner),
        anatomy=body.draw(anatomy, float(np.cbrt(relative)), domain.anatomy, proportions),
        kinetics=rates,
        blood=_blood(domain, tracer, rates, weight, blood, injection),
        tracer=tracer,
        species=domain.species,
        deformation=draw_bending(further, domain.anatomy.deformation.draw(further), body.length),
    )
    timing = draw_timing(domain.acquisition, tracer, frames)
    return Draw(mouse, *draw_acquisition(domain.acquisition, tracer, timing, scanner, motion))


def _blood(
    population: Population,
    tracer: Tracer,
    kinetics: Mapping[str, OrganKinetics],
    weight: float,
    blood: np.random.Generator,
    injection: np.random.Generator,
) -> BloodPools:
    given = population.injection.draw(injection)
    if population.circulation is None:
        return MixedBlood(draw_input(blood, tracer, population.input_variation), given)
    ratio = float(tracer.plasma(_MIXED_S))
    circulation = population.circulation.draw(blood)
    return CirculatingBlood(given, circulation, kinetics, 1000.0 * weight, ratio, population.species)


class _Body(NamedTuple):
    draw: Callable[[np.random.Generator, float, AnatomyRanges, Mapping[str, float]], tuple[Shape, ...]]
    weight: float  # at which the anatomy's lengths hold [kg]
    length: float  # of the waves of its bending, relative to those in a mouse


_BODIES = {"mouse": _Body(draw_anatomy, 0.022, 1.0), "human": _Body(draw_human, 70.0, TO_HUMAN)}


def usual_population(species: str = "mouse", tracer: str = "FDG") -> Population | None:
    """The population of a cohort of mice or humans with a tracer; None for FDG in mice, which `draw_mouse` draws.

    Parameters
    ----------
    species
        ``mouse`` or ``human``.
    tracer
        Name in `TRACERS`, in any case; FDG is that of the species.

    Raises
    ------
    ConfigurationError
        If there is no such species or tracer.
    """
    if species == "mouse" and tracer.casefold() == "fdg":
        return None
    usual = replace(HUMAN, species=species) if species != "mouse" else Population("mouse", stream=4)
    known = {name.casefold(): name for name in TRACERS} | ({"fdg": "human FDG"} if species == "human" else {})
    population = replace(usual, name=f"{species} {tracer}", tracer=known.get(tracer.casefold(), tracer))
    _body(population), _tracer(population)
    return population


def _tracer(population: Population) -> Tracer:
    if isinstance(population.tracer, Tracer):
        return population.tracer
    if population.tracer not in TRACERS:
        raise ConfigurationError(f"there is no tracer {population.tracer!r}.", hint=f"Use one of {', '.join(TRACERS)}.")
    return TRACERS[population.tracer]


def _body(population: Population) -> _Body:
    if population.species not in _BODIES:
        raise ConfigurationError(f"there is no species {population.species!r}.", hint="Use mouse or human.")
    return _BODIES[population.species]


def _proportions(relative_weight: float, strain: float) -> dict[str, float]:
    """Linear size of each organ relative to the body, which itself grows with the cube root of its weight."""
    sizes = {organ: strain for organ in ORGANS if organ != "muscle"}
    return sizes | {organ: strain * relative_weight ** (power - 1 / 3) for organ, power in _ALLOMETRY.items()}


#: Population on which networks are trained.
TRAINING = Population(
    name="training",
    stream=1,
    fasted_share=0.3,
    injection=InjectionRanges(
        shift=Span((-60.0, 60.0), share=0.7),
        infusion=Span((5.0, 60.0), share=0.3),
        repeat=Span((0.1, 0.5), share=0.05),
        paravenous=Span((0.01, 0.1), share=0.1),
    ),
    anatomy=AnatomyRanges(
        tumour=Span((2.0, 4.0), share=0.7),
        vena_cava=Span((0.55, 0.85)),
        aorta=Span((0.38, 0.52)),
        wall=Span((0.85, 1.15)),
        shift=Span((-2.5, 2.5)),
        tilt=Span((-10.0, 10.0)),
        position=Span((-0.6, 0.6)),
    ),
    acquisition=AcquisitionRanges(
        resolution=Span((0.75, 1.05)),
        axial_ratio=Span((1.0, 1.25)),
        heart_resolution=Span((1.5, 2.5)),
        noise_level=Span((1.0, 2.0)),
        texture=Span((0.08, 0.2)),
        texture_width=Span((2.0, 4.5)),
        schedules=SCHEDULES,
        end=Span((1200.0, 2700.0), share=0.3, otherwise=np.inf),
        voxel_size=Span((0.4, 0.9)),
        slice_ratio=Span((1.0, 1.2)),
        field_of_view=(Span((46.0, 64.0)), Span((22.0, 28.0)), Span((22.0, 28.0))),
    ),
)

#: Population on which networks are tested: the usual injection, frames and voxels, but anatomy, noise and resolution
#: outside the ranges of training, on either side.
HELD_OUT = Population(
    name="held-out",
    stream=2,
    anatomy=AnatomyRanges(
        size=Span((0.82, 0.9), (1.1, 1.18)),
        trunk=Span((10.5, 11.0), (12.0, 12.5)),
        tumour=Span((1.6, 2.0), (4.0, 4.4), share=0.7),
        vena_cava=Span((0.5, 0.55), (0.85, 0.9)),
        aorta=Span((0.35, 0.38), (0.52, 0.55)),
        wall=Span((0.78, 0.85), (1.15, 1.25)),
        rotation=Span((-10.0, -8.0), (8.0, 10.0)),
        shift=Span((-3.2, -2.5), (2.5, 3.2)),
        tilt=Span((-14.0, -10.0), (10.0, 14.0)),
        position=Span((-0.9, -0.6), (0.6, 0.9)),
    ),
    acquisition=AcquisitionRanges(
        resolution=Span((0.68, 0.75), (1.05, 1.15)),
        heart_resolution=Span((1.3, 1.5), (2.5, 2.7)),
        noise_level=Span((0.85, 1.0), (2.0, 2.3)),
    ),
)

#: Humans after FDG, chest and head.
HUMAN = Population(
    name="human",
    stream=3,
    species="human",
    tracer="human FDG",
    body_weight=Span((50.0, 100.0)),
    injected_activity=Span((1.5e8, 4e8)),
    anatomy=HUMAN_RANGES,
    acquisition=AcquisitionRanges(
        resolution=Span((4.0, 6.0)),
        axial_ratio=Span((1.0, 1.1)),
        heart_resolution=Span((8.0, 12.0)),
        noise_level=Span((0.6, 1.2)),
        texture_width=Span((12.0, 20.0)),
        usual_motion=1.0,
        largest_motion=15.0,
        schedules=(HUMAN_FRAMES,),
        voxel_size=Span((4.0, 4.0)),
        slice_ratio=Span((1.0, 1.0)),
        field_of_view=exactly(HUMAN_CROP),
        native_voxel=HUMAN_CROP.voxel_size,
        finest_sample=HUMAN_CROP.finest_sample,
    ),
)
