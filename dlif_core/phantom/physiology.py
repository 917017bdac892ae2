"""Physiology of a simulated mouse after [18F]FDG: input function and compartment kinetics of every organ.

Rates and spreads are orders of magnitude for laboratory mice; they make the simulation plausible and are not
reference values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.blood.feng import FengInput
from dlif_core.blood.plasma import mouse_fdg_ratio
from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.phantom.anatomy import ORGANS

Array = NDArray[np.float64]

#: Input functions wider or higher than this are not drawn.
LONGEST_FWHM = 120.0
HIGHEST_PEAK = 13.0

#: Half the variance of a log rate is common to all organs of an animal.
_SHARED = 0.5


@dataclass(frozen=True)
class OrganKinetics:
    """Kinetics of one organ: C_PET = (1 − vB)·C_T + vB·C_WB.

    C_T follows the two-tissue compartment model; in urine it is `transfer`·(1 − e^(−k2·t)) ⊗ C_p, which is
    excretion after a transit through the kidney.

    Attributes
    ----------
    K1
        [mL·cm⁻³·min⁻¹].
    k2, k3, k4
        [min⁻¹].
    vB
        Blood volume fraction; 1 in a blood pool.
    transfer
        Rate at which urine takes up tracer from plasma [mL·cm⁻³·min⁻¹]; 0 in tissue.
    """

    K1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    vB: float = 0.0
    transfer: float = 0.0

    @property
    def Ki(self) -> float:
        """Net influx rate K1·k3/(k2 + k3), the slope of irreversible uptake [mL·cm⁻³·min⁻¹]."""
        return self.K1 * self.k3 / (self.k2 + self.k3) if self.K1 else self.transfer

    @property
    def VT(self) -> float:
        """Total distribution volume K1/k2·(1 + k3/k4) [mL·cm⁻³]; infinite where uptake is irreversible."""
        if self.transfer or (self.K1 and self.k3 and not self.k4):
            return float("inf")
        return self.K1 / self.k2 * (1.0 + (self.k3 / self.k4 if self.k4 else 0.0)) if self.K1 else 0.0

    @property
    def impulse_response(self) -> tuple[Array, Array]:
        """Heights [mL·cm⁻³·min⁻¹] and rates [min⁻¹] of the two exponentials whose sum C_T convolves with C_p."""
        if self.transfer:
            return np.array([self.transfer, -self.transfer]), np.array([0.0, self.k2])
        total = self.k2 + self.k3 + self.k4
        spread = np.sqrt(total**2 - 4.0 * self.k2 * self.k4)
        rates = 0.5 * np.array([total - spread, total + spread])
        if not self.K1:
            return np.zeros(2), rates
        bound = self.k3 + self.k4
        return self.K1 / spread * np.array([bound - rates[0], rates[1] - bound]), rates


# K1, k2, k3, k4, vB: centres of the distributions
_TISSUE: Mapping[str, tuple[float, float, float, float, float]] = {
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
}
_FASTED_MYOCARDIUM = (0.40, 0.80, 0.06, 0.01, 0.20)
_URINE = {"renal_pelvis": 0.35, "bladder": 0.8}
_URINE_TRANSIT = 0.3
_RATE_VARIATION = 0.25
_FASTED_SHARE = 0.2

# Centre of the Feng parameters of a measured mouse; delay and dispersion are drawn apart
_FENG = {"a1": 102.8, "a2": 1.82, "a3": 1.85, "lambda1": -5.55, "lambda2": -0.227, "lambda3": -0.0333}
_FENG_VARIATION = 0.22


def draw_kinetics(rng: np.random.Generator, *, irreversible: bool = False) -> dict[str, OrganKinetics]:
    """Draw the kinetics of every organ of one animal.

    Every parameter is log-normal with a coefficient of variation of 25 %; half of the variance is common to all
    organs of the animal. One animal in five is fasted, which lowers the uptake of the myocardium.

    Parameters
    ----------
    rng
        Source of randomness.
    irreversible
        Set k4 = 0 in every organ.

    Returns
    -------
    One entry for each of `ORGANS`.
    """
    fasted = rng.random() < _FASTED_SHARE
    common = rng.standard_normal(5)
    kinetics = {organ: OrganKinetics(vB=1.0) for organ in ORGANS}
    for organ, rate in _URINE.items():
        kinetics[organ] = OrganKinetics(transfer=rate * float(_lognormal(rng, _RATE_VARIATION)), k2=_URINE_TRANSIT)
    for organ, centre in _TISSUE.items():
        values = np.array(_FASTED_MYOCARDIUM if fasted and organ == "myocardium" else centre)
        normal = np.sqrt(_SHARED) * common + np.sqrt(1.0 - _SHARED) * rng.standard_normal(5)
        values = values * np.exp(np.sqrt(np.log1p(_RATE_VARIATION**2)) * normal)
        values[3] *= not irreversible
        kinetics[organ] = OrganKinetics(*map(float, values))
    return kinetics


def draw_input(rng: np.random.Generator) -> FengInput:
    """Draw a bolus input function [SUV]; curves wider than 120 s at half height or above 13 SUV are drawn again."""
    while True:
        values = {name: value * float(_lognormal(rng, _FENG_VARIATION)) for name, value in _FENG.items()}
        feng = FengInput(delay=float(rng.normal(0.60, 0.05)), dispersion=float(rng.uniform(0.05, 0.25)), **values)
        time = np.arange(0.0, 600.0)
        curve = feng.curve(time)
        if full_width_half_maximum(time, curve) <= LONGEST_FWHM and curve.max() <= HIGHEST_PEAK:
            return feng


def full_width_half_maximum(time: ArrayLike, values: ArrayLike) -> float:
    """Width of a single-peaked sampled curve at half its height, in the unit of `time`."""
    time, values = np.asarray(time, float), np.asarray(values, float)
    peak, half = int(np.argmax(values)), 0.5 * float(np.max(values))
    rise = np.interp(half, values[: peak + 1], time[: peak + 1])
    fall = np.interp(-half, -values[peak:], time[peak:])
    return float(fall - rise)


def input_function(feng: FengInput, end: float, scale: float) -> InputFunction:
    """The true input function at 1 s sampling.

    Parameters
    ----------
    feng
        Whole-blood curve [SUV].
    end
        Last sample [s].
    scale
        Bq/mL of one SUV.
    """
    time = np.arange(0.0, end + 1.0)
    whole_blood = scale * feng.curve(time)
    provenance = {f.name: getattr(feng, f.name) for f in fields(feng)}
    return InputFunction(time, whole_blood, mouse_fdg_ratio(time) * whole_blood, "truth", provenance=provenance)


def organ_curves(kinetics: Mapping[str, OrganKinetics], curve: InputFunction, timing: FrameTiming) -> Array:
    """Exact frame averages of every organ's activity.

    Returns
    -------
    Shape (organs, frames) in the order of `kinetics`, in the unit of the input function.
    """
    plasma = FrameConvolution(curve.time, curve.plasma, timing)
    whole_blood, _ = curve.frame_average(timing)
    tissue = []
    for organ in kinetics.values():
        heights, rates = organ.impulse_response
        tissue.append(heights @ plasma.exponential(rates))
    blood_volume = np.array([organ.vB for organ in kinetics.values()])[:, None]
    return (1.0 - blood_volume) * np.stack(tissue) + blood_volume * whole_blood


def _lognormal(rng: np.random.Generator, variation: float) -> float:
    """A log-normal factor with median 1 and this coefficient of variation."""
    return float(np.exp(np.sqrt(np.log1p(variation**2)) * rng.standard_normal()))
