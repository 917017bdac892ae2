"""Tracers that the phantom knows: half-life, input function and compartment kinetics of every organ.

Rates are orders of magnitude that make a simulation plausible; they are not reference values. The tracers beyond FDG
exist to test whether a method notices that a scan is not of FDG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.blood_samples.plasma import mouse_fdg_ratio

Array = NDArray[np.float64]

#: K1 [mL·cm⁻³·min⁻¹], k2, k3, k4 [min⁻¹], vB: centres of the distributions.
Rates = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class ParentPlasma:
    """Plasma over whole blood times the parent fraction, which falls exponentially from 1 to `floor`.

    Attributes
    ----------
    floor
        Parent fraction at late times.
    rate
        Rate at which it falls [min⁻¹].
    ratio
        Total plasma over whole blood.
    """

    floor: float = 1.0
    rate: float = 0.0
    ratio: float = 1.0

    def __call__(self, time: ArrayLike) -> Array:
        """Parent plasma over whole blood at times after injection [s]."""
        minutes = np.asarray(time, float) / 60.0
        return np.asarray(self.ratio * (self.floor + (1.0 - self.floor) * np.exp(-self.rate * minutes)))


@dataclass(frozen=True)
class Tracer:
    """A radiopharmaceutical in one species.

    Attributes
    ----------
    name
        Name in the metadata of a scan.
    radionuclide, half_life
        The radionuclide and its half-life [s].
    tissue
        Rates of each organ that is neither a blood pool nor urine.
    bolus
        Centre of the Feng parameters a1 … lambda3, in SUV and minutes.
    plasma
        Parent plasma over whole blood at times after injection [s].
    fasted
        Rates of organs of a fasted animal, where they differ.
    urine
        Rate at which urine takes up tracer from plasma, by organ [mL·cm⁻³·min⁻¹].
    """

    name: str
    radionuclide: str
    half_life: float
    tissue: Mapping[str, Rates]
    bolus: Mapping[str, float]
    plasma: Callable[[ArrayLike], Array]
    fasted: Mapping[str, Rates] = field(default_factory=dict)
    urine: Mapping[str, float] = field(default_factory=dict)


_F18, _C11, _O15, _GA68, _CU64 = 6586.2, 1221.8, 122.24, 4062.6, 45721.0

_FDG: dict[str, Rates] = {
    "muscle": (0.05, 0.25, 0.02, 0.005, 0.02),
    "marrow": (0.30, 0.60, 0.04, 0.01, 0.10),
    "lung": (0.15, 0.50, 0.02, 0.0, 0.35),
    "liver": (0.90, 1.30, 0.013, 0.01, 0.20),
    "stomach": (0.20, 0.60, 0.03, 0.01, 0.08),
    "spleen": (0.50, 0.90, 0.03, 0.01, 0.20),
    "gut": (0.30, 0.60, 0.04, 0.01, 0.10),
    "kidney": (1.50, 1.60, 0.05, 0.02, 0.25),
    "brain": (0.24, 0.40, 0.06, 0.012, 0.05),
    "harderian_gland": (0.30, 0.55, 0.20, 0.005, 0.10),
    "brown_fat": (0.30, 0.55, 0.17, 0.005, 0.10),
    "tumour": (0.15, 0.35, 0.07, 0.005, 0.05),
    "myocardium": (0.90, 0.65, 0.45, 0.01, 0.20),
    "fat": (0.02, 0.20, 0.01, 0.005, 0.01),
    "bone": (0.08, 0.40, 0.02, 0.01, 0.04),
}
_URINE = {"renal_pelvis": 0.35, "bladder": 0.8}
_FENG_NAMES = ("a1", "a2", "a3", "lambda1", "lambda2", "lambda3")


def _feng(*values: float) -> dict[str, float]:
    return dict(zip(_FENG_NAMES, values, strict=True))


#: [18F]FDG in mice; the bolus is that of a measured mouse.
FDG = Tracer(
    name="FDG",
    radionuclide="F18",
    half_life=_F18,
    tissue=_FDG,
    bolus=_feng(102.8, 1.82, 1.85, -5.55, -0.227, -0.0333),
    plasma=mouse_fdg_ratio,
    fasted={"myocardium": (0.40, 0.80, 0.06, 0.01, 0.20)},
    urine=_URINE,
)

#: [18F]FDG in humans; Feng, Huang & Wang 1993, scaled to SUV.
HUMAN_FDG = Tracer(
    name="FDG",
    radionuclide="F18",
    half_life=_F18,
    tissue=_FDG
    | {
        "muscle": (0.03, 0.20, 0.02, 0.005, 0.02),
        "lung": (0.03, 0.30, 0.005, 0.0, 0.16),
        "liver": (0.70, 0.90, 0.004, 0.01, 0.25),
        "spleen": (0.90, 1.20, 0.005, 0.01, 0.25),
        "brain": (0.10, 0.13, 0.06, 0.007, 0.05),
        "marrow": (0.25, 0.70, 0.02, 0.01, 0.10),
        "tumour": (0.12, 0.30, 0.08, 0.005, 0.05),
        "myocardium": (0.60, 1.00, 0.15, 0.005, 0.20),
    },
    bolus=_feng(851.1 / 8, 21.88 / 8, 20.81 / 8, -4.134, -0.1191, -0.0104),
    plasma=ParentPlasma(),
    fasted={"myocardium": (0.30, 0.80, 0.01, 0.005, 0.20)},
)

#: [11C]raclopride as a generic reversible tracer: everywhere bound and released within the scan.
RACLOPRIDE = Tracer(
    name="[11C]raclopride",
    radionuclide="C11",
    half_life=_C11,
    tissue={organ: (K1, K1 / 0.6, 0.12, 0.10, vB) for organ, (K1, _, _, _, vB) in _FDG.items()},
    bolus=_feng(95.0, 1.6, 0.9, -5.0, -0.35, -0.03),
    plasma=ParentPlasma(floor=0.3, rate=0.06, ratio=1.3),
    urine=_URINE,
)

#: [15O]water: freely diffusible, partition coefficient 0.9.
WATER = Tracer(
    name="[15O]water",
    radionuclide="O15",
    half_life=_O15,
    tissue={organ: (2 * K1, 2 * K1 / 0.9, 0.0, 0.0, vB) for organ, (K1, _, _, _, vB) in _FDG.items()},
    bolus=_feng(90.0, 1.2, 0.9, -4.5, -0.6, -0.002),
    plasma=ParentPlasma(),
)

#: [18F]FLT: kept out of the brain, trapped in what proliferates, not trapped in the heart.
FLT = Tracer(
    name="[18F]FLT",
    radionuclide="F18",
    half_life=_F18,
    tissue={organ: (0.8 * K1, K1, 0.005, 0.01, vB) for organ, (K1, _, _, _, vB) in _FDG.items()}
    | {
        "brain": (0.02, 0.15, 0.0, 0.0, 0.05),
        "marrow": (0.30, 0.40, 0.10, 0.01, 0.10),
        "gut": (0.30, 0.50, 0.08, 0.01, 0.10),
        "spleen": (0.50, 0.70, 0.08, 0.01, 0.20),
        "tumour": (0.20, 0.30, 0.12, 0.01, 0.05),
    },
    bolus=_feng(90.0, 2.6, 1.6, -4.8, -0.12, -0.035),
    plasma=ParentPlasma(ratio=1.05),
    urine={"renal_pelvis": 0.5, "bladder": 1.0},
)

#: [18F]FDOPA: an amino acid, taken up slowly everywhere and metabolised quickly.
FDOPA = Tracer(
    name="[18F]FDOPA",
    radionuclide="F18",
    half_life=_F18,
    tissue={organ: (0.5 * K1, 0.6 * K1, 0.0, 0.0, vB) for organ, (K1, _, _, _, vB) in _FDG.items()}
    | {
        "muscle": (0.05, 0.06, 0.0, 0.0, 0.02),
        "brain": (0.06, 0.10, 0.012, 0.0, 0.05),
        "kidney": (1.00, 0.80, 0.06, 0.02, 0.25),
        "tumour": (0.12, 0.12, 0.01, 0.01, 0.05),
    },
    bolus=_feng(80.0, 2.2, 1.9, -4.5, -0.15, -0.012),
    plasma=ParentPlasma(floor=0.2, rate=0.05, ratio=1.1),
    urine=_URINE,
)

#: [68Ga]PSMA-11: trapped in kidneys and tumours, hardly taken up by anything else, cleared fast.
PSMA = Tracer(
    name="[68Ga]PSMA-11",
    radionuclide="Ga68",
    half_life=_GA68,
    tissue={organ: (0.25 * K1, 0.25 * K1 / 0.35, 0.0, 0.0, vB) for organ, (K1, _, _, _, vB) in _FDG.items()}
    | {
        "brain": (0.003, 0.05, 0.0, 0.0, 0.04),
        "kidney": (1.20, 0.60, 0.40, 0.005, 0.25),
        "spleen": (0.20, 0.50, 0.05, 0.01, 0.20),
        "tumour": (0.10, 0.25, 0.12, 0.005, 0.05),
    },
    bolus=_feng(85.0, 2.4, 1.2, -4.6, -0.13, -0.03),
    plasma=ParentPlasma(floor=0.9, rate=0.02, ratio=1.6),
    urine={"renal_pelvis": 0.6, "bladder": 1.2},
)

#: Tracers by the names that a population states.
TRACERS: Mapping[str, Tracer] = {
    "FDG": FDG,
    "human FDG": HUMAN_FDG,
    "raclopride": RACLOPRIDE,
    "water": WATER,
    "FLT": FLT,
    "FDOPA": FDOPA,
    "PSMA": PSMA,
}

_HALF_LIVES = {"F18": _F18, "C11": _C11, "Ga68": _GA68, "Cu64": _CU64}


def random_tracer(rng: np.random.Generator) -> Tracer:
    """A tracer that nobody made: any uptake in any organ, trapped or not, in plasma more or less than in cells.

    What reads blood from images of many such tracers can't rely on what a tracer does in tissue.
    """
    volume, trapping, release = (float(np.exp(rng.uniform(*np.log(span)))) for span in _KINDS)
    trapped, released = rng.random() < _TRAPPED, rng.random() < _RELEASED
    tissue = {}
    for organ, (K1, _, _, _, vB) in _FDG.items():
        flow, space, bound, freed, blood = np.exp(_ORGAN_SPREAD * rng.standard_normal(5))
        taken = flow * K1
        k3, k4 = trapped * trapping * bound, trapped * released * release * freed
        tissue[organ] = (taken, taken / (volume * space), k3, k4, min(vB * blood**0.4, 0.6))
    radionuclide = str(rng.choice(list(_HALF_LIVES)))
    return Tracer(
        name="random",
        radionuclide=radionuclide,
        half_life=_HALF_LIVES[radionuclide],
        tissue={organ: tuple(map(float, rates)) for organ, rates in tissue.items()},  # type: ignore[misc]
        bolus=FDG.bolus,
        plasma=ParentPlasma(rng.uniform(0.05, 1.0), rng.uniform(0.0, 0.2), rng.uniform(0.9, 1.7)),
        urine={organ: float(flow * np.exp(0.5 * rng.standard_normal())) for organ, flow in _URINE.items()},
    )


# of a random tracer: distribution volume of free tracer [mL·cm⁻³], k3 and k4 [min⁻¹], from … to
_KINDS = ((0.15, 4.0), (0.005, 0.25), (0.005, 0.1))
# how often it is trapped at all, and then released again; spread of its rates among organs (logarithms)
_TRAPPED, _RELEASED, _ORGAN_SPREAD = 0.75, 0.7, 0.5
