"""The scan of one atlas mouse, and the truth about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.phantom.atlas.animal import Animal, draw_rates, part_curves
from dlif_core.phantom.atlas.body import BodyPlan, paint_body
from dlif_core.phantom.atlas.camera import Camera, Raster, label_names, part_weights, sample_body, voxel_labels
from dlif_core.phantom.atlas.deformation import Deformation, draw_deformation
from dlif_core.phantom.atlas.grain import noisy
from dlif_core.phantom.atlas.labels import ATLAS_WEIGHT, Atlas
from dlif_core.phantom.atlas.sites import STREAM, AtlasSite
from dlif_core.phantom.atlas.vessels import VesselRanges
from dlif_core.phantom.circulation import CirculatingBlood, CirculationRanges
from dlif_core.phantom.injection import Injection
from dlif_core.phantom.physiology import OrganKinetics, input_function
from dlif_core.phantom.scanner import frame_timing
from dlif_core.phantom.tracers import FDG
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from dlif_core.separable import separable, shift_matrices

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_MIXED_S = 600.0  # time at which plasma over whole blood is the one number that the circulation takes [s]
_LIGHTEST, _HEAVIEST = 18.0, 35.0  # [g]
_HEART_ALLOMETRY = -1 / 12  # the heart's size relative to the body falls with body weight to this power
_MOTION_SPREAD, _LARGEST_MOTION = 0.6, 4.7  # of the logarithm; [mm]


@dataclass(frozen=True, eq=False)
class AtlasTruth:
    """The truth about a scan of an atlas mouse.

    Attributes
    ----------
    input_function
        Arterial whole blood and plasma at 1 s sampling over the whole scan [Bq/mL].
    kinetics
        Parameters of each part.
    labels
        The part that fills most of each voxel, shape (z, y, x).
    label_names
        Name of each label that may occur; organs have the labels of the ellipsoid phantom.
    """

    input_function: InputFunction
    kinetics: Mapping[str, OrganKinetics]
    labels: NDArray[np.int32]
    label_names: Mapping[int, str]


@dataclass(frozen=True, eq=False)
class AtlasScan:
    """A scan of an atlas mouse.

    Attributes
    ----------
    site, number
        Laboratory, and number of its animal.
    animal
        What was scanned.
    raster
        Voxels.
    scan
        The scan, decay-corrected to its start, with region curves from the true labels.
    truth
        What it shows.
    """

    site: AtlasSite
    number: int
    animal: Animal
    raster: Raster
    scan: DynamicScan
    truth: AtlasTruth


def draw_atlas_scan(site: AtlasSite, number: int, atlas: Atlas, *, noise: bool = True) -> AtlasScan:
    """Draw one animal of a laboratory and scan it.

    Parameters
    ----------
    site
        Result of `atlas_site`.
    number
        Number of the animal; the same site and number give the same scan.
    atlas
        Result of `load_atlas`.
    noise
        False leaves the image as the camera blurs it.
    """
    seeds = np.random.SeedSequence([STREAM, site.number, number]).spawn(6)
    animals, shape, kinetics, camera, motion, grains = map(np.random.default_rng, seeds)
    animal = _animal(site, animals, kinetics)
    timing, raster = frame_timing(site.schedule), _raster(site, camera)
    view, grain = _varied(site.camera, camera), replace(site.grain, level=site.grain.level * _near(camera, 0.07))
    samples = sample_body(*_body(site, animal, atlas, shape), raster)
    weights = part_weights(samples, raster, view, camera)
    curve = input_function(animal.blood, float(timing.end[-1]), animal.activity_per_suv, animal.tracer)
    image = _moved(weights, part_curves(animal, curve, timing), raster, _displacements(site, len(timing), motion))
    if noise:
        image = noisy(image, _counting_time(timing, animal), raster, grain, grains)
    image *= np.float32(animal.activity_per_suv * grains.normal(1.0, site.calibration_error))
    labels = voxel_labels(samples, raster)
    truth = AtlasTruth(curve, animal.rates, labels, label_names())
    return AtlasScan(site, number, animal, raster, _dynamic_scan(animal, timing, raster, image, labels), truth)


def _animal(site: AtlasSite, rng: np.random.Generator, kinetics: np.random.Generator) -> Animal:
    weight = float(np.clip(site.body_weight * _near(rng, 0.07), _LIGHTEST, _HEAVIEST))
    rates = draw_rates(kinetics, FDG, site.habits, site.fasted)
    given = Injection(
        shift=max(0.0, site.injection + float(rng.normal(0.0, 2.0))) if site.injection else 0.0,
        infusion=float(np.clip(site.infusion * _near(rng, 0.1), 3.0, 60.0)),
        vein=site.vein,
    )
    empty = float(rng.uniform(0.25, 0.7))
    return Animal(
        body_weight=weight / 1000.0,
        injected_activity=site.injected_activity * _near(rng, 0.1),
        blood=CirculatingBlood(given, CirculationRanges().draw(rng), rates, weight, float(FDG.plasma(_MIXED_S))),
        rates=rates,
        filling=(empty, float(rng.uniform(empty, 1.0))),
    )


def _body(
    site: AtlasSite, animal: Animal, atlas: Atlas, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Atlas, Deformation]:
    """Painted codes of an animal in the axes of the atlas, the atlas, and how the animal differs from it in shape."""
    grams = 1000.0 * animal.body_weight
    heart = (grams / ATLAS_WEIGHT) ** _HEART_ALLOMETRY * float(rng.uniform(0.94, 1.07))
    deformation = draw_deformation(rng, grams, heart)
    plan = BodyPlan(
        radii=VesselRanges().draw(rng),
        cavity=float(rng.uniform(30.0, 40.0)),
        wall=float(rng.uniform(0.8, 1.2)),
        gut=float(rng.uniform(0.5, 0.8)),
        tumour=float(rng.uniform(1.5, 4.0)) if rng.random() < site.tumours else 0.0,
    )
    return paint_body(atlas, plan, deformation, rng), atlas, deformation


def _raster(site: AtlasSite, rng: np.random.Generator) -> Raster:
    low, high = site.view
    lengths = (high - low, *site.width)
    z, y, x = (round(length / edge) for length, edge in zip(lengths, site.voxel, strict=True))
    middle = np.array([0.5 * (low + high), -2.0, 0.3]) + rng.normal(0.0, 0.7, 3)
    return Raster((z, y, x), site.voxel, (float(middle[0]), float(middle[1]), float(middle[2])))


def _varied(camera: Camera, rng: np.random.Generator) -> Camera:
    """The camera in the scan of one animal, whose heart beats and chest moves in its own way."""
    return replace(camera, heart=camera.heart * _near(rng, 0.07))


def _near(rng: np.random.Generator, variation: float) -> float:
    """A factor near 1."""
    return float(np.exp(rng.normal(0.0, variation)))


def _counting_time(timing: FrameTiming, animal: Animal) -> Array:
    """Frame durations times decay [s]."""
    return np.asarray(timing.duration * np.exp2(-timing.mid / animal.tracer.half_life))


def _displacements(site: AtlasSite, frames: int, rng: np.random.Generator) -> Array:
    """Displacement of the body in every frame along z, y, x, shape (frames, 3) [mm]."""
    direction = rng.standard_normal((frames, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = site.motion * np.exp(rng.normal(0.0, _MOTION_SPREAD, (frames, 1)))
    return np.asarray(np.minimum(length, _LARGEST_MOTION) * direction)


def _moved(weights: torch.Tensor, curves: Array, raster: Raster, displacements: Array) -> Image:
    """Image without noise, the body displaced in every frame, shape (frames, z, y, x) [SUV]."""
    image = torch.einsum("pf,pzyx->fzyx", torch.from_numpy(curves).to(weights), weights)
    axes = zip(raster.shape, raster.voxel, displacements.T, strict=True)
    moves = [shift_matrices(count, moved / edge) for count, edge, moved in axes]
    for frame, z, y, x in zip(image, *moves, strict=True):
        frame.copy_(separable(frame, [z, y, x]))
    return np.asarray(image.clamp_(min=0.0).numpy())


def _dynamic_scan(
    animal: Animal, timing: FrameTiming, raster: Raster, image: Image, labels: NDArray[np.int32]
) -> DynamicScan:
    names = label_names()
    present = {name: labels == label for label, name in names.items() if (labels == label).any()}
    regions = RegionCurves(
        names=tuple(present),
        activity=np.stack([image[:, mask].mean(axis=1, dtype=float) for mask in present.values()]),
        volume=np.array([mask.sum() * float(np.prod(raster.voxel)) for mask in present.values()]),
        source="atlas phantom",
    )
    acquisition = Acquisition(
        tracer=animal.tracer.name,
        half_life=animal.tracer.half_life,
        injected_activity=animal.injected_activity,
        body_weight=animal.body_weight,
        species="mouse",
    )
    return DynamicScan(timing, acquisition, regions, image, raster.affine, labels, names)
