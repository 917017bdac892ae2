"""Laboratories that scan atlas mice, each with a camera, a protocol and habits of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ConfigurationError
from dlif_core.phantom.atlas.animal import draw_habits
from dlif_core.phantom.atlas.camera import Camera
from dlif_core.phantom.atlas.grain import Grain, Law
from dlif_core.phantom.injection import Vein
from dlif_core.phantom.scanner import Schedule

Array = NDArray[np.float64]
Triple = tuple[float, float, float]
T = TypeVar("T")

#: Keeps the seeds of this family apart from those of populations.
STREAM = 71_001

#: 28 to 50 frames in 41 to 56 min; none is one of the populations'.
ATLAS_SCHEDULES: tuple[Schedule, ...] = (
    ((20, 3.0), (12, 10.0), (6, 30.0), (5, 120.0), (6, 400.0)),
    ((12, 5.0), (6, 10.0), (6, 20.0), (4, 60.0), (8, 300.0)),
    ((1, 15.0), (15, 4.0), (8, 15.0), (6, 45.0), (5, 180.0), (3, 600.0)),
    ((8, 8.0), (8, 15.0), (6, 60.0), (8, 300.0)),
    ((24, 2.5), (10, 12.0), (6, 30.0), (6, 120.0), (4, 450.0)),
    ((6, 10.0), (8, 20.0), (6, 60.0), (8, 240.0)),
    ((12, 10.0), (4, 30.0), (4, 60.0), (4, 120.0), (8, 300.0)),
)

# field of view along the body from the centre of the heart, tail to head [mm], and how often
_VIEWS = (((-37.0, 36.0), 0.5), ((-23.0, 36.0), 0.2), ((-37.0, 14.0), 0.15), ((-25.0, 19.0), 0.15))
_VEINS: tuple[tuple[Vein, float], ...] = (("tail", 0.7), ("retro-orbital", 0.2), ("jugular", 0.1))
_LAWS: tuple[tuple[Law, float], ...] = (("log-normal", 0.6), ("gamma", 0.4))


@dataclass(frozen=True, eq=False)
class AtlasSite:
    """What a laboratory is; its animals and scans vary a little around it.

    Attributes
    ----------
    number
        Number from which it was drawn.
    camera
        Resolution and faults of the camera.
    grain
        Noise.
    voxel
        Edge lengths along z, y, x [mm].
    view
        Ends of the field of view along the body, from the centre of the heart [mm].
    width
        Field of view across the body, y and x [mm].
    schedule
        Frames.
    injection
        Usual time of the injection after the start of the scan [s].
    infusion
        Usual duration of the infusion [s].
    vein
        Vein into which it is given.
    fasted
        Whether animals are fasted.
    body_weight
        Usual weight [g].
    injected_activity
        Usual dose [Bq].
    tumours
        Share of animals with a tumour.
    motion
        Median displacement of a frame [mm].
    calibration_error
        Standard deviation of the calibration of a scan, relative.
    habits
        Factors on the rates of every part that all its animals share.
    """

    number: int
    camera: Camera
    grain: Grain
    voxel: Triple
    view: tuple[float, float]
    width: tuple[float, float]
    schedule: Schedule
    injection: float
    infusion: float
    vein: Vein
    fasted: bool
    body_weight: float
    injected_activity: float
    tumours: float
    motion: float
    calibration_error: float
    habits: Mapping[str, Array]


def atlas_site(number: int) -> AtlasSite:
    """Draw a laboratory.

    Parameters
    ----------
    number
        Zero or positive; the same number gives the same laboratory.

    Raises
    ------
    ConfigurationError
        If the number is negative.
    """
    if number < 0:
        raise ConfigurationError(f"there is no site {number}.", hint="Give a number from zero.")
    seeds = np.random.SeedSequence([STREAM, number]).spawn(4)
    camera, view, protocol, animals = map(np.random.default_rng, seeds)
    edge = float(view.uniform(0.4, 0.9))
    return AtlasSite(
        number=number,
        camera=_camera(camera),
        grain=_grain(camera),
        voxel=(edge * float(view.uniform(1.0, 1.25)), edge, edge),
        view=_choice(_VIEWS, view),
        width=(float(view.uniform(24.0, 28.0)), float(view.uniform(27.0, 33.0))),
        schedule=ATLAS_SCHEDULES[int(protocol.integers(len(ATLAS_SCHEDULES)))],
        injection=float(protocol.choice([0.0, protocol.uniform(5.0, 60.0)])),
        infusion=float(np.exp(protocol.uniform(np.log(3.0), np.log(60.0)))),
        vein=_choice(_VEINS, protocol),
        fasted=bool(animals.random() < 0.4),
        body_weight=float(animals.uniform(20.0, 31.0)),
        injected_activity=float(animals.uniform(4e6, 1.4e7)),
        tumours=float(animals.choice([0.0, animals.uniform(0.3, 1.0)])),
        motion=float(np.exp(protocol.normal(np.log(0.27), 0.3))),
        calibration_error=0.02,
        habits=draw_habits(animals),
    )


def _camera(rng: np.random.Generator) -> Camera:
    across = float(rng.uniform(0.8, 1.5))
    along = min(across * float(rng.uniform(1.0, 1.15)), 1.6)
    return Camera(
        resolution=(along, across, across),
        growth=float(rng.uniform(0.05, 0.4)),
        heart=float(rng.uniform(max(1.3, 1.1 * across), 2.8)),
        overshoot=float(rng.choice([0.0, rng.uniform(0.0, 0.15)])),
        scatter=float(rng.uniform(0.0, 0.04)),
        texture=float(rng.uniform(0.05, 0.15)),
    )


def _grain(rng: np.random.Generator) -> Grain:
    return Grain(
        level=float(rng.uniform(1.2, 2.5)),
        proportional=float(rng.uniform(0.02, 0.10)),
        width=float(rng.uniform(1.3, 2.4)),
        loss=float(rng.uniform(0.2, 0.6)),
        reach=float(rng.uniform(38.0, 65.0)),
        law=_choice(_LAWS, rng),
    )


def _choice(options: tuple[tuple[T, float], ...], rng: np.random.Generator) -> T:
    """One of some options, each with its probability."""
    return options[int(rng.choice(len(options), p=[share for _, share in options]))][0]
