"""A simulated animal but for its shape: dose, blood, and the kinetics and curves of every painted part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.phantom.anatomy import ORGANS, URINE
from dlif_core.phantom.atlas.labels import EXTRA, LAYER_LEVELS, PARTS
from dlif_core.phantom.circulation import CirculatingBlood
from dlif_core.phantom.physiology import OrganBlood, OrganKinetics, organ_curves
from dlif_core.phantom.tracers import FDG, Rates, Tracer

Array = NDArray[np.float64]

#: Rates of tissue for which the atlas does not take those of the tracer's own table.
_EXTRA: Mapping[str, Rates] = {
    "bone": (0.05, 0.35, 0.025, 0.01, 0.03),
    "fat": (0.025, 0.2, 0.015, 0.01, 0.015),
}

#: Pool of the circulation, or organ, whose blood a part holds.
_BLOOD_OF = {
    "bone": "marrow",
    "fat": "muscle",
    "right_atrium": "right_ventricle",
    "left_atrium": "left_ventricle",
    "portal_vein": "liver",
}

# parts in the order in which their rates are drawn; it makes no difference but to which animal a seed gives
_DRAWN = (*(name for name in ORGANS if name not in _EXTRA), *_EXTRA, *EXTRA)

_URINE_TRANSIT = 0.25  # [min⁻¹]
_COMMON = 0.4  # share of the variance that all organs of an animal have in common


@dataclass(frozen=True, eq=False)
class Animal:
    """An animal and its injection.

    Attributes
    ----------
    body_weight
        [kg].
    injected_activity
        [Bq].
    blood
        Blood in every pool [SUV].
    rates
        Kinetics of each of `PARTS`.
    filling
        Volume of the bladder at the injection and at the end, relative to its largest.
    tracer
        What was injected.
    """

    body_weight: float
    injected_activity: float
    blood: CirculatingBlood
    rates: Mapping[str, OrganKinetics]
    filling: tuple[float, float]
    tracer: Tracer = FDG

    @property
    def activity_per_suv(self) -> float:
        """Bq/mL of one SUV (g/mL)."""
        return self.injected_activity / (1000.0 * self.body_weight)


def draw_habits(rng: np.random.Generator, variation: float = 0.15) -> dict[str, Array]:
    """Factors on the rates of every part that all animals of a laboratory share: strain, anaesthesia, warmth."""
    habits = {name: np.exp(rng.normal(0.0, variation, 5)) for name in _DRAWN}
    habits["brown_fat"][2] *= rng.uniform(0.1, 1.0)  # the warmer the animal, the less brown fat takes up
    return habits


def draw_rates(
    rng: np.random.Generator, tracer: Tracer, habits: Mapping[str, Array], fasted: bool, variation: float = 0.2
) -> dict[str, OrganKinetics]:
    """Draw the kinetics of every part of an animal.

    Parameters
    ----------
    rng
        Source of randomness.
    tracer
        Gives the rates around which they vary.
    habits
        Result of `draw_habits`.
    fasted
        Whether the animal is fasted.
    variation
        Standard deviation of the logarithm of each rate.

    Returns
    -------
    One entry for each of `PARTS`.
    """
    centres = {**tracer.tissue, **_EXTRA, **(tracer.fasted if fasted else {})}
    common = rng.standard_normal(5)
    rates = {}
    for name in _DRAWN:
        own = rng.standard_normal(5)
        factor = habits[name] * np.exp(variation * (np.sqrt(_COMMON) * common + np.sqrt(1.0 - _COMMON) * own))
        if name in centres:
            rates[name] = OrganKinetics(*map(float, np.minimum(centres[name] * factor, [np.inf] * 4 + [0.6])))
        elif name in URINE:
            rates[name] = OrganKinetics(transfer=tracer.urine[name] * float(factor[0]), k2=_URINE_TRANSIT)
        else:
            rates[name] = OrganKinetics(vB=1.0)
    return {name: rates[name] for name in PARTS}


def part_curves(animal: Animal, curve: InputFunction, timing: FrameTiming) -> Array:
    """Frame averages of every painted part.

    Parameters
    ----------
    animal
        What was scanned.
    curve
        Arterial input function of the animal [Bq/mL].
    timing
        Frames.

    Returns
    -------
    Shape (parts of `PAINTED`, frames) [SUV].
    """
    pools = {name: _blood_of(name, animal, curve) for name in PARTS}
    found = organ_curves({name: animal.rates[name] for name in PARTS}, curve, timing, pools) / animal.activity_per_suv
    muscle, urine = found[PARTS.index("muscle")], found[PARTS.index("bladder")]
    times = [max(animal.blood.injection.shift, 0.0), timing.end[-1]]
    volume = np.interp(timing.mid, times, animal.filling)
    found[PARTS.index("bladder")] = urine / volume
    filled = [np.clip((volume - low) / (high - low), 0.0, 1.0) for low, high in pairwise((*LAYER_LEVELS, 1.0))]
    return np.concatenate([found, [muscle + part * (urine / volume - muscle) for part in filled]])


def _blood_of(name: str, animal: Animal, curve: InputFunction) -> OrganBlood:
    """Blood in a part, and plasma that its tissue takes tracer from [Bq/mL]."""
    blood, scale = animal.blood, animal.activity_per_suv
    source = _BLOOD_OF.get(name, name)
    supply = blood.supplying(source, curve.time)
    held = supply if name == "portal_vein" else blood.within(source, curve.time)
    plasma = animal.tracer.plasma(np.clip(curve.time - blood.injection.shift, 0.0, None))
    return OrganBlood(scale * held, scale * plasma * supply)
