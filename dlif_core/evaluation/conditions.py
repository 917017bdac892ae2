"""Scans of an evaluation: mice of held-out laboratories, cut short, injected at another time, of other tracers, faulty.

Nothing that is trained, calibrated, tuned or chosen may use these scans.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.evaluation.laboratories import (
    ANIMALS,
    FIRST_ATLAS_SITE,
    HUMAN_SITES,
    OTHER_TRACERS,
    SITES,
    AtlasSites,
    ShiftedSites,
    show,
    shown,
)
from dlif_core.networks.training.splits import simulated_animals
from dlif_core.phantom import FAULTS, HELD_OUT, Population, simulate_fault
from dlif_core.phantom.population import Source
from dlif_core.scan import DynamicScan, RegionCurves

#: A truncated scan has the frames that end by then [s].
SHORT_END = 1200.0

#: Names of the conditions that make the held-out cohort: laboratories of the own simulator, and on the atlas.
STANDARD, ATLAS = "standard", "atlas"
HELD_OUT_LABORATORIES = (STANDARD, ATLAS)
#: Names of the conditions of other tracers, and of the population that was held out while there was but one.
TRACERS, HOME = "tracers", "home"
#: Conditions in which parameters are fitted as well.
FITTED = (*HELD_OUT_LABORATORIES, HOME)

#: Laboratories whose scans get faults count from here, and animals of `HOME` up to there; those of `HOME` below its
#: first were used while methods were developed.
_FIRST_FAULTY_SITE, _FIRST_HOME, _END_HOME = 1000, 3300, 4300
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
        Laboratories or population from which animals and scans are drawn.
    end
        Frames that end later are left out [s].
    fault
        One of `phantom.FAULTS`, or "" for sound scans.
    """

    name: str
    title: str
    seeds: Sequence[int]
    population: Source | AtlasSites = SITES
    end: float = math.inf
    fault: str = ""

    @property
    def animals(self) -> tuple[str, ...]:
        """Names of the animals, as in the split manifests of models."""
        return simulated_animals(self.population.name, self.seeds)

    def site(self, seed: int) -> str:
        """The laboratory of an animal; where there is but one, its animals stand for themselves."""
        number = seed if isinstance(self.population, Population) else seed // ANIMALS
        return f"{self.population.name} {number}"


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
        Traits of animal and scan by name: those of `laboratories.Shown`, ``site`` and ``fault``.
    """

    condition: Condition
    seed: int
    scan: DynamicScan
    truth: InputFunction
    blood: tuple[BloodRecording, ...]
    traits: Mapping[str, float | str]


def conditions(scans: int, atlas: str | None = None, species: str = "mouse") -> tuple[Condition, ...]:
    """All conditions; of humans there is the standard cohort alone.

    Parameters
    ----------
    scans
        Scans of the standard cohort, rounded to whole laboratories: as many animals of each as there are laboratories,
        up to eight. Sixty-four are eight animals of eight laboratories, four are two of two.
    atlas
        NIfTI file of the Digimouse labels, on which half as many laboratories are built; None leaves them out.
    species
        Species of the scans.

    Raises
    ------
    ConfigurationError
        If there are no scans, or more than held-out animals, or no such file.
    """
    most = _END_HOME - _FIRST_HOME
    if not 1 <= scans <= most:
        raise ConfigurationError(
            f"{scans} scans can't be evaluated.", where="scans", hint=f"Give a number from 1 to {most}."
        )
    animals = max(1, min(ANIMALS, round(math.sqrt(scans))))
    sites = max(1, round(scans / animals))
    if species == "human":
        return (Condition(STANDARD, "humans of held-out laboratories", _seeds(sites, animals), HUMAN_SITES),)
    cohort, others = _seeds(sites, animals), _seeds(sites, math.ceil(animals / 2))
    home = range(_FIRST_HOME, min(_FIRST_HOME + sites * animals, _END_HOME))
    faulty = _seeds(math.ceil(sites * animals / _FAULT_SHARE), 1, _FIRST_FAULTY_SITE)
    return (
        Condition(STANDARD, "mice of held-out laboratories", cohort),
        *([_on_atlas(atlas, math.ceil(sites / 2), animals)] if atlas else []),
        Condition("truncated", f"the standard scans, cut after {SHORT_END / 60:g} min", cohort, end=SHORT_END),
        Condition("shifted", "the standard mice, injected up to 60 s before or after the start", cohort,
                  ShiftedSites(SITES)),
        Condition(TRACERS, "FDOPA, PSMA-11 and tracers that exist nowhere", others, OTHER_TRACERS),
        Condition(HOME, "mice whose blood follows one curve, beside the ranges of training", home, HELD_OUT),
        *(Condition(f"fault-{kind}", f"fault: {kind}", faulty, fault=kind) for kind in FAULTS),
    )  # fmt: skip


def _on_atlas(path: str, sites: int, animals: int) -> Condition:
    if not Path(path).is_file():
        raise ConfigurationError("there is no label atlas here.", where=path, hint="Name the NIfTI file of the labels.")
    title = "mice of another anatomy, camera and noise"
    return Condition(ATLAS, title, _seeds(sites, animals, FIRST_ATLAS_SITE), AtlasSites(str(path)))


def _seeds(sites: int, animals: int, first: int = 0) -> tuple[int, ...]:
    """Seeds of the first animals of consecutive laboratories."""
    return tuple(ANIMALS * site + animal for site in range(first, first + sites) for animal in range(animals))


def make_case(condition: Condition, seed: int) -> EvaluationCase:
    """Simulate a scan in the scanner's own voxels, in about a second; the same arguments give the same scan."""
    fault, source = "", condition.population
    if condition.fault and not isinstance(source, AtlasSites):
        fault, simulated = simulate_fault(seed, source, condition.fault)
        made = shown(simulated)
    else:
        made = show(source, seed)
    scan = cut(made.scan, condition.end)
    traits = {**made.traits, "site": condition.site(seed), "fault": fault}
    return EvaluationCase(condition, seed, scan, made.truth, (_late_sample(scan, made.truth),), traits)


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
