"""Populations: ranges of animals, injections and scans from which simulated scans are drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.phantom.anatomy import ORGANS, AnatomyRanges, Shape, draw_anatomy
from dlif_core.phantom.circulation import CirculatingBlood, CirculationRanges
from dlif_core.phantom.human import HUMAN_CROP, HUMAN_FRAMES, HUMAN_RANGES, draw_human
from dlif_core.phantom.injection import Blood, InjectionRanges, MixedBlood
from dlif_core.phantom.mouse import Mouse
from dlif_core.phantom.physiology import OrganKinetics, draw_input, draw_kinetics
from dlif_core.phantom.scanner import CROP, MOUSE_FRAMES, NATIVE_VOXEL, Grid, Protocol, Schedule, Triple, frame_timing
from dlif_core.phantom.span import Span
from dlif_core.phantom.tracers import TRACERS, Tracer

# Time after the injection at which plasma over whole blood is the one number that the circulation takes [s]
_MIXED_S = 600.0

# A scan of a short-lived radionuclide ends after so many half-lives
_LONGEST = 6.0

# Linear size of organs ~ body weight to this power; of the others to one third, as of the body
_ALLOMETRY = {"brain": 0.05, "harderian_gland": 0.1}


def _exactly(grid: Grid) -> tuple[Span, Span, Span]:
    z, y, x = (Span((length, length)) for length in grid.extent)
    return z, y, x


@dataclass(frozen=True)
class AcquisitionRanges:
    """Ranges from which scanners, protocols and fields of view are drawn at random.

    Attributes
    ----------
    resolution
        FWHM of the point spread function across the body [mm].
    axial_ratio
        FWHM along the body relative to that.
    heart_resolution
        FWHM in the heart [mm].
    noise_level
        α [SUV^½·s^½ per native voxel].
    texture, texture_width
        Relative heterogeneity within organs, and its FWHM [mm].
    motion
        Median displacement of a scan's frames relative to that of a usual scan; 0 for a body at rest.
    usual_motion, motion_spread, largest_motion
        Displacement of a frame in a usual scan: median [mm], standard deviation of its logarithm, largest [mm].
    schedules
        Frame schedules, one of which is taken.
    end
        Time after which no frame is complete; infinite for whole schedules [s].
    voxel_size
        Edge length across the body [mm].
    slice_ratio
        Edge length along the body relative to that.
    field_of_view
        Lengths along z, y, x [mm].
    native_voxel
        Voxel to which the noise level refers, along z, y, x [mm].
    finest_sample
        Organs are sampled at least this finely [mm].
    """

    resolution: Span = Span((0.865, 0.865))
    axial_ratio: Span = Span((1.14, 1.14))
    heart_resolution: Span = Span((2.0, 2.0))
    noise_level: Span = Span((1.2, 2.0))
    texture: Span = Span((0.15, 0.15))
    texture_width: Span = Span((3.0, 3.0))
    motion: Span = Span((0.5, 1.65))
    usual_motion: float = 0.27
    motion_spread: float = 0.6
    largest_motion: float = 4.7
    schedules: tuple[Schedule, ...] = (MOUSE_FRAMES,)
    end: Span = Span((np.inf, np.inf), share=0.0, otherwise=np.inf)
    voxel_size: Span = Span((NATIVE_VOXEL[2], NATIVE_VOXEL[2]))
    slice_ratio: Span = Span((NATIVE_VOXEL[0] / NATIVE_VOXEL[2],) * 2)
    field_of_view: tuple[Span, Span, Span] = _exactly(CROP)
    native_voxel: Triple = NATIVE_VOXEL
    finest_sample: float = CROP.finest_sample


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
        One of `tracers.TRACERS`.
    body_weight
        [kg].
    injected_activity
        [Bq].
    strain
        Linear size of all organs relative to the body: strains of one weight differ in how much of it is fat.
    fasted_share
        Probability that an animal is fasted.
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
    tracer: str = "FDG"
    body_weight: Span = Span((0.018, 0.035))
    injected_activity: Span = Span((6e6, 1e7))
    strain: Span = Span((0.94, 1.06))
    fasted_share: float = 0.2
    rate_variation: float = 0.25
    input_variation: float = 0.22
    irreversible: bool = False
    anatomy: AnatomyRanges = AnatomyRanges()
    injection: InjectionRanges = InjectionRanges()
    acquisition: AcquisitionRanges = AcquisitionRanges()
    circulation: CirculationRanges | None = None


class Draw(NamedTuple):
    """A mouse and how it is scanned: the arguments of `simulate` and `simulate_coarse`, in their order."""

    mouse: Mouse
    grid: Grid
    protocol: Protocol


def draw(seed: int, population: Population) -> Draw:
    """Draw an animal, its injection and its scan.

    Anatomy, kinetics, input function, injection, scanner, frames and motion have their own random numbers: a
    population in which one of them is changed gives otherwise the same scans.

    Parameters
    ----------
    seed
        Zero or positive; the same seed and population give the same scan.
    population
        The domain.

    Raises
    ------
    ConfigurationError
        If the population states a tracer or species that does not exist, or a scan without frames.
    """
    tracer, body = _tracer(population), _body(population)
    seeds = np.random.SeedSequence([population.stream, seed])
    animal, anatomy, kinetics, blood, injection, scanner, frames, motion = map(np.random.default_rng, seeds.spawn(8))
    weight = population.body_weight.draw(animal)
    relative = weight / body.weight
    proportions = _proportions(relative, population.strain.draw(animal))
    rates = draw_kinetics(
        kinetics,
        irreversible=population.irreversible,
        tracer=tracer,
        fasted_share=population.fasted_share,
        variation=population.rate_variation,
    )
    mouse = Mouse(
        seed=int(seeds.generate_state(1, np.uint64)[0] >> np.uint64(1)),
        body_weight=weight,
        injected_activity=population.injected_activity.draw(animal),
        noise_level=population.acquisition.noise_level.draw(scanner),
        anatomy=body.draw(anatomy, float(np.cbrt(relative)), population.anatomy, proportions),
        kinetics=rates,
        blood=_blood(population, tracer, rates, weight, blood, injection),
        tracer=tracer,
        species=population.species,
    )
    timing = _timing(population.acquisition, tracer, frames)
    return Draw(mouse, *_acquisition(population.acquisition, tracer, timing, scanner, motion))


def _blood(
    population: Population,
    tracer: Tracer,
    kinetics: Mapping[str, OrganKinetics],
    weight: float,
    blood: np.random.Generator,
    injection: np.random.Generator,
) -> Blood:
    given = population.injection.draw(injection)
    if population.circulation is None:
        return MixedBlood(draw_input(blood, tracer, population.input_variation), given)
    ratio = float(tracer.plasma(_MIXED_S))
    return CirculatingBlood(given, population.circulation.draw(blood), kinetics, 1000.0 * weight, ratio)


class _Body(NamedTuple):
    draw: Callable[[np.random.Generator, float, AnatomyRanges, Mapping[str, float]], tuple[Shape, ...]]
    weight: float  # at which the anatomy's lengths hold [kg]


_BODIES = {"mouse": _Body(draw_anatomy, 0.022), "human": _Body(draw_human, 70.0)}


def _tracer(population: Population) -> Tracer:
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


def _timing(ranges: AcquisitionRanges, tracer: Tracer, rng: np.random.Generator) -> FrameTiming:
    schedule = ranges.schedules[int(rng.random() * len(ranges.schedules))]
    return frame_timing(schedule, min(ranges.end.draw(rng), _LONGEST * tracer.half_life))


def _acquisition(
    ranges: AcquisitionRanges,
    tracer: Tracer,
    timing: FrameTiming,
    scanner: np.random.Generator,
    motion: np.random.Generator,
) -> tuple[Grid, Protocol]:
    across, along = ranges.resolution.draw(scanner), ranges.axial_ratio.draw(scanner)
    heart, texture, width = (
        span.draw(scanner) for span in (ranges.heart_resolution, ranges.texture, ranges.texture_width)
    )
    protocol = Protocol(
        timing=timing,
        half_life=tracer.half_life,
        resolution=(along * across, across, across),
        heart_resolution=heart,
        texture=texture,
        texture_width=width,
        native_voxel=ranges.native_voxel,
        motion=_motion(ranges, len(timing), motion),
    )
    return _grid(ranges, scanner), protocol


def _grid(ranges: AcquisitionRanges, rng: np.random.Generator) -> Grid:
    size = ranges.voxel_size.draw(rng)
    voxel = (size * ranges.slice_ratio.draw(rng), size, size)
    z, y, x = (max(1, round(span.draw(rng) / edge)) for span, edge in zip(ranges.field_of_view, voxel, strict=True))
    return Grid((z, y, x), voxel, ranges.finest_sample)


def _motion(ranges: AcquisitionRanges, frames: int, rng: np.random.Generator) -> tuple[Triple, ...]:
    """Displacement of each frame: any direction, log-normal length."""
    usual = ranges.usual_motion * ranges.motion.draw(rng)
    if usual == 0.0:
        return ()
    length = usual * np.exp(ranges.motion_spread * rng.standard_normal(frames))
    direction = rng.standard_normal((frames, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    moved = np.minimum(length, ranges.largest_motion)[:, None] * direction
    return tuple((float(z), float(y), float(x)) for z, y, x in moved)


#: 29 to 48 frames in 40 to 55 min.
SCHEDULES: tuple[Schedule, ...] = (
    MOUSE_FRAMES,
    ((24, 5.0), (9, 20.0), (10, 300.0)),
    ((30, 2.0), (6, 10.0), (6, 30.0), (5, 300.0), (1, 600.0)),
    ((12, 10.0), (6, 30.0), (5, 60.0), (4, 300.0), (2, 600.0)),
    ((18, 10.0), (6, 20.0), (5, 60.0), (12, 180.0)),
    ((10, 3.0), (12, 5.0), (9, 10.0), (6, 30.0), (4, 60.0), (7, 300.0)),
)

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
        field_of_view=_exactly(HUMAN_CROP),
        native_voxel=HUMAN_CROP.voxel_size,
        finest_sample=HUMAN_CROP.finest_sample,
    ),
)
