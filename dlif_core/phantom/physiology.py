"""Physiology of a simulated body: input function and compartment kinetics of every organ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.blood_samples.feng import FengInput
from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.phantom.anatomy import ORGANS, URINE
from dlif_core.phantom.injection import BloodPools
from dlif_core.phantom.tracers import FDG, Tracer

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
        """Amplitudes [mL·cm⁻³·min⁻¹] and rates [min⁻¹] of the two exponentials whose sum C_T convolves with C_p."""
        if self.transfer:
            return np.array([self.transfer, -self.transfer]), np.array([0.0, self.k2])
        total = self.k2 + self.k3 + self.k4
        spread = np.sqrt(total**2 - 4.0 * self.k2 * self.k4)
        rates = 0.5 * np.array([total - spread, total + spread])
        if not self.K1:
            return np.zeros(2), rates
        bound = self.k3 + self.k4
        return self.K1 / spread * np.array([bound - rates[0], rates[1] - bound]), rates


_URINE_TRANSIT = 0.3
_RATE_CV = 0.25
_FASTED_SHARE = 0.2
_FENG_CV = 0.22


def draw_kinetics(
    rng: np.random.Generator,
    *,
    irreversible: bool = False,
    tracer: Tracer = FDG,
    fasted_share: float = _FASTED_SHARE,
    variation: float = _RATE_CV,
) -> dict[str, OrganKinetics]:
    """Draw the kinetics of every organ of one animal.

    Every parameter is log-normal; half of the variance is common to all organs of the animal.

    Parameters
    ----------
    rng
        Source of randomness.
    irreversible
        Set k4 = 0 in every organ.
    tracer
        Gives the centres of the distributions.
    fasted_share
        Probability that the animal is fasted, which with FDG lowers the uptake of the myocardium.
    variation
        Coefficient of variation of the parameters.

    Returns
    -------
    One entry for each of `ORGANS`.
    """
    centres = {**tracer.tissue, **(tracer.fasted if rng.random() < fasted_share else {})}
    common = rng.standard_normal(5)
    kinetics = {organ: OrganKinetics(vB=1.0) for organ in ORGANS}
    for organ in URINE:
        flow = tracer.urine.get(organ, 0.0) * float(_lognormal(rng, variation))
        kinetics[organ] = OrganKinetics(transfer=flow, k2=_URINE_TRANSIT)
    for organ, centre in centres.items():
        normal = np.sqrt(_SHARED) * common + np.sqrt(1.0 - _SHARED) * rng.standard_normal(5)
        values = np.array(centre) * np.exp(np.sqrt(np.log1p(variation**2)) * normal)
        values[3] *= not irreversible
        kinetics[organ] = OrganKinetics(*map(float, values))
    return kinetics


def draw_input(rng: np.random.Generator, tracer: Tracer = FDG, variation: float = _FENG_CV) -> FengInput:
    """Draw a bolus input function [SUV]; curves wider than 120 s at half height or above 13 SUV are drawn again.

    Parameters
    ----------
    rng
        Source of randomness.
    tracer
        Gives the centres of the Feng parameters.
    variation
        Coefficient of variation of the Feng parameters.
    """
    while True:
        values = {name: value * float(_lognormal(rng, variation)) for name, value in tracer.bolus.items()}
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


def input_function(blood: BloodPools, end: float, scale: float, tracer: Tracer = FDG) -> InputFunction:
    """The true input function at 1 s sampling.

    Parameters
    ----------
    blood
        Whole-blood curve [SUV].
    end
        Last sample [s]. The first is at time zero, or at the injection if that was earlier.
    scale
        Bq/mL of one SUV.
    tracer
        Gives the parent plasma.
    """
    injected = blood.injection.shift
    time = np.arange(min(0.0, np.floor(injected)), end + 1.0)
    whole_blood = scale * blood.curve(time)
    plasma = tracer.plasma(np.clip(time - injected, 0.0, None)) * whole_blood
    return InputFunction(time, whole_blood, plasma, "truth", provenance=blood.described())


class OrganBlood(NamedTuple):
    """Blood of one organ at the times of an input function, in its unit.

    Attributes
    ----------
    whole_blood
        Blood in the organ's vessels.
    plasma
        Plasma from which its tissue takes up tracer.
    """

    whole_blood: Array
    plasma: Array


def organ_blood(blood: BloodPools, curve: InputFunction, scale: float, tracer: Tracer = FDG) -> dict[str, OrganBlood]:
    """Blood of every organ; arguments as those of `input_function`, which gives `curve`."""
    ratio = scale * tracer.plasma(np.clip(curve.time - blood.injection.shift, 0.0, None))
    return {
        organ: OrganBlood(scale * blood.within(organ, curve.time), ratio * blood.supplying(organ, curve.time))
        for organ in ORGANS
    }


def organ_curves(
    kinetics: Mapping[str, OrganKinetics],
    curve: InputFunction,
    timing: FrameTiming,
    blood: Mapping[str, OrganBlood] | None = None,
) -> Array:
    """Exact frame averages of every organ's activity.

    Parameters
    ----------
    kinetics
        Kinetics of each organ.
    curve
        Arterial input function.
    timing
        Frames.
    blood
        Blood of each organ; left out, it is arterial everywhere.

    Returns
    -------
    Shape (organs, frames) in the order of `kinetics`, in the unit of the input function.
    """
    everywhere = OrganBlood(curve.whole_blood, curve.plasma)
    taken: dict[bytes, FrameConvolution] = {}  # most organs share their supply
    found = []
    for name, organ in kinetics.items():
        whole_blood, plasma = everywhere if blood is None else blood[name]
        supply = plasma.tobytes()
        if supply not in taken:
            taken[supply] = FrameConvolution(curve.time, plasma, timing)
        amplitudes, rates = organ.impulse_response
        tissue = amplitudes @ taken[supply].exponential(rates)
        pool, _ = replace(curve, whole_blood=whole_blood).frame_average(timing)
        found.append((1.0 - organ.vB) * tissue + organ.vB * pool)
    return np.stack(found)


def _lognormal(rng: np.random.Generator, variation: float) -> float:
    """A log-normal factor with median 1 and this coefficient of variation."""
    return float(np.exp(np.sqrt(np.log1p(variation**2)) * rng.standard_normal()))
