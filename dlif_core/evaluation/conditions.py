"""Scans of an evaluation: a held-out cohort, the same scans truncated or injected at another time, and faulty scans.

Consecutive seeds of the held-out population make the cohort; faults have seeds of their own. Nothing that is trained,
calibrated, tuned or chosen may use these scans.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.networks.training.splits import simulated_animals
from dlif_core.phantom import FAULTS, HELD_OUT, Population, SimulatedScan, Span, draw, simulate, simulate_fault
from dlif_core.scan import DynamicScan, RegionCurves

#: A truncated scan has the frames that end by then [s].
SHORT_END = 1200.0

#: Name of the condition that all others are compared with.
STANDARD = "standard"

# first seeds of the cohort and of the scans with faults; those below were used while methods were developed
_COHORT_SEED, _FAULT_SEED = 3300, 4300
# scans without fault for each scan of one kind of fault, so that there are about as many sound as faulty scans
_FAULT_SHARE = len(FAULTS)
# one arterial sample is taken then, or a minute before the end of a shorter scan [s]
_SAMPLE_TIME, _BEFORE_END = 2400.0, 60.0


@dataclass(frozen=True)
class Condition:
    """A condition under which scans are simulated.

    Attributes
    ----------
    name, title
        Name and title in tables.
    seeds
        One seed for each scan.
    population
        Population from which animals and scans are drawn.
    end
        Frames that end later are left out [s].
    fault
        One of `phantom.FAULTS`, or "" for sound scans.
    """

    name: str
    title: str
    seeds: range
    population: Population = HELD_OUT
    end: float = math.inf
    fault: str = ""

    @property
    def animals(self) -> tuple[str, ...]:
        """Names of the animals, as in the split manifests of models."""
        return simulated_animals(self.population.name, self.seeds)


@dataclass(frozen=True, eq=False)
class EvaluationCase:
    """A simulated scan with its truth.

    Attributes
    ----------
    condition, seed
        Condition and seed of the simulation.
    scan
        The scan, with region curves from the true labels.
    truth
        The true input function [Bq/mL].
    blood
        One exact arterial whole-blood sample late in the scan, for methods that scale with one.
    traits
        Traits of animal and scan by name: ``body_weight`` [kg], ``noise`` (α), ``tumour`` (volume, mm³),
        ``myocardium_ki`` (true), ``shift`` of the injection [s], ``fault``.
    """

    condition: Condition
    seed: int
    scan: DynamicScan
    truth: InputFunction
    blood: tuple[BloodRecording, ...]
    traits: Mapping[str, float | str]


def conditions(scans: int) -> tuple[Condition, ...]:
    """All conditions, with `scans` scans in each and a quarter as many of every kind of fault.

    Raises
    ------
    ConfigurationError
        If there are no scans, or so many that the seeds of the cohort reach those of the faults.
    """
    most = _FAULT_SEED - _COHORT_SEED
    if not 1 <= scans <= most:
        raise ConfigurationError(
            f"{scans} scans can't be evaluated.", where="scans", hint=f"Give a number from 1 to {most}."
        )
    cohort = range(_COHORT_SEED, _COHORT_SEED + scans)
    shifted = replace(HELD_OUT, injection=replace(HELD_OUT.injection, shift=Span((-60.0, 60.0))))
    faulty = range(_FAULT_SEED, _FAULT_SEED + math.ceil(scans / _FAULT_SHARE))
    return (
        Condition(STANDARD, "held-out mice", cohort),
        Condition("truncated", f"the same scans, cut after {SHORT_END / 60:g} min", cohort, end=SHORT_END),
        Condition("shifted", "the same mice, injected up to 60 s earlier or later", cohort, shifted),
        *(Condition(f"fault-{kind}", f"fault: {kind}", faulty, fault=kind) for kind in FAULTS),
    )


def make_case(condition: Condition, seed: int) -> EvaluationCase:
    """Simulate a scan in the scanner's own voxels, in about half a second; the same arguments give the same scan."""
    if condition.fault:
        fault, simulated = simulate_fault(seed, condition.population, condition.fault)
    else:
        fault, simulated = "", simulate(*draw(seed, condition.population))
    scan, truth = cut(simulated.scan, condition.end), simulated.truth.input_function
    traits = _traits(simulated, scan) | {"fault": fault}
    return EvaluationCase(condition, seed, scan, truth, (_late_sample(scan, truth),), traits)


def cut(scan: DynamicScan, end: float) -> DynamicScan:
    """The scan without the frames that end after `end` [s]."""
    kept = int(np.count_nonzero(scan.timing.end <= end))
    if kept == len(scan.timing):
        return scan
    regions = scan.regions
    return replace(
        scan,
        timing=scan.timing.first(kept),
        regions=RegionCurves(regions.names, regions.activity[:, :kept], regions.volume, regions.source),
        activity=None if scan.activity is None else scan.activity[:kept],
    )


def _late_sample(scan: DynamicScan, truth: InputFunction) -> BloodRecording:
    time = np.array([min(_SAMPLE_TIME, float(scan.timing.end[-1]) - _BEFORE_END)])
    drawn = np.interp(time, truth.time, truth.whole_blood)
    return BloodRecording("manual", True, time, whole_blood=drawn, source="phantom")


def _traits(simulated: SimulatedScan, scan: DynamicScan) -> dict[str, float | str]:
    volumes = dict(zip(scan.regions.names, scan.regions.volume.tolist(), strict=True))
    mouse = simulated.mouse
    return {
        "body_weight": mouse.body_weight,
        "noise": mouse.noise_level,
        "tumour": volumes.get("tumour", 0.0),
        "myocardium_ki": mouse.kinetics["myocardium"].Ki,
        "shift": mouse.blood.injection.shift,
    }
