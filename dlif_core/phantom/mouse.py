"""A simulated animal: anatomy, kinetics, blood curve and injection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dlif_core.phantom.anatomy import draw_anatomy
from dlif_core.phantom.bending import Bending
from dlif_core.phantom.injection import BloodPools, MixedBlood
from dlif_core.phantom.physiology import OrganKinetics, draw_input, draw_kinetics
from dlif_core.phantom.shapes import Shape
from dlif_core.phantom.tracers import FDG, Tracer

_REFERENCE_WEIGHT = 0.022  # weight of the mouse whose sizes the anatomy states [kg]


@dataclass(frozen=True, eq=False)
class Mouse:
    """A mouse, or a human, and the injection.

    Attributes
    ----------
    seed
        Seed from which it was drawn; texture and noise of its scan follow from it too.
    body_weight
        [kg].
    injected_activity
        [Bq].
    noise_level
        α of its scan [SUV^½·s^½ per native voxel].
    anatomy
        Shapes in painting order [mm].
    kinetics
        One entry for each organ, in the order of `anatomy.ORGANS`.
    blood
        Whole blood, wherever it is pooled [SUV].
    tracer
        What was injected.
    species
        ``"mouse"`` or ``"human"``.
    deformation
        How the body is bent; None for a straight one.
    """

    seed: int
    body_weight: float
    injected_activity: float
    noise_level: float
    anatomy: tuple[Shape, ...]
    kinetics: Mapping[str, OrganKinetics]
    blood: BloodPools
    tracer: Tracer = FDG
    species: str = "mouse"
    deformation: Bending | None = None

    @property
    def activity_per_suv(self) -> float:
        """Bq/mL of one SUV (g/mL)."""
        return self.injected_activity / (1000.0 * self.body_weight)


def draw_mouse(seed: int, *, irreversible: bool = False) -> Mouse:
    """Draw a mouse.

    Parameters
    ----------
    seed
        The same seed gives the same mouse; `irreversible` changes nothing but k4.
    irreversible
        Set k4 = 0 in every organ, so that the irreversible model and the Patlak plot have an exact truth.
    """
    animal, anatomy, kinetics, blood = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4))
    weight = _REFERENCE_WEIGHT * animal.uniform(0.85, 1.15)
    return Mouse(
        seed=seed,
        body_weight=float(weight),
        injected_activity=float(animal.uniform(6e6, 1e7)),
        noise_level=float(animal.uniform(1.2, 2.0)),
        anatomy=draw_anatomy(anatomy, float(np.cbrt(weight / _REFERENCE_WEIGHT))),
        kinetics=draw_kinetics(kinetics, irreversible=irreversible),
        blood=MixedBlood(draw_input(blood)),
    )
