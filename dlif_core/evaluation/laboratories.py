"""Laboratories on which methods are tested: nothing that is trained, calibrated, tuned or chosen may use them.

Each laboratory has eight animals, seeds 8·n to 8·n + 7 being those of laboratory n, however many of them are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from dlif_core.curve import InputFunction
from dlif_core.phantom import Population, SimulatedScan, Span, draw, simulate
from dlif_core.phantom.atlas import Atlas, AtlasScan, atlas_site, draw_atlas_scan, load_atlas
from dlif_core.phantom.population import Source
from dlif_core.phantom.sites import Sites
from dlif_core.scan import DynamicScan

#: Animals of each laboratory.
ANIMALS = 8

#: Laboratories of the project's own simulator.
SITES = Sites("held-out-laboratories", stream=203, animals=ANIMALS)

#: Number of the first laboratory on the atlas; those below may be used by anybody.
FIRST_ATLAS_SITE = 2000


@dataclass(frozen=True)
class _SameAnimals:
    """Laboratories whose animals are scanned otherwise than there.

    Attributes
    ----------
    sites
        The laboratories.
    """

    sites: Sites

    @property
    def name(self) -> str:
        """The name of the laboratories: the animals are theirs."""
        return self.sites.name


@dataclass(frozen=True)
class ShiftedSites(_SameAnimals):
    """The same laboratories, animals and scanners; each scan begins up to a minute before or after the injection."""

    def of(self, seed: int) -> Population:
        """The population of the laboratory to which an animal belongs."""
        usual = self.sites.of(seed)
        return replace(usual, injection=replace(usual.injection, shift=Span((-60.0, 60.0))))


@dataclass(frozen=True)
class CoarselyReconstructed(_SameAnimals):
    """The same laboratories and animals, but reconstructed in voxels of a few millimetres, to be made in seconds."""

    def of(self, seed: int) -> Population:
        """The population of the laboratory to which an animal belongs."""
        usual = self.sites.of(seed)
        voxels = replace(usual.acquisition, voxel_size=_COARSE_MM, slice_ratio=Span((1.0, 1.0)))
        return replace(usual, acquisition=voxels)


# voxels of reconstructions of humans, across the body [mm]
_COARSE_MM = Span((4.5, 5.0))

#: Laboratories with humans; their own voxels of 1.6 to 4.1 mm would take minutes a scan.
HUMAN_SITES = CoarselyReconstructed(Sites("human-held-out", stream=303, animals=ANIMALS, species="human"))


@dataclass(frozen=True)
class TakingTurns:
    """Laboratories of several kinds in turn: number 0 is of the first kind, number 1 of the second, and so on.

    Attributes
    ----------
    name
        Name in reports and manifests.
    kinds
        The kinds, each with `ANIMALS` animals a laboratory.
    """

    name: str
    kinds: tuple[Sites, ...]

    def of(self, seed: int) -> Population:
        """The population of the laboratory to which an animal belongs."""
        number = seed // ANIMALS
        return self.kinds[number % len(self.kinds)].site(number)


#: Laboratories that give FDOPA, PSMA-11 and tracers which exist nowhere, in turn.
OTHER_TRACERS = TakingTurns(
    "held-out-tracers",
    (
        Sites("held-out-FDOPA", stream=204, animals=ANIMALS, tracer="FDOPA"),
        Sites("held-out-PSMA", stream=205, animals=ANIMALS, tracer="PSMA"),
        Sites("held-out-random-tracers", stream=206, animals=ANIMALS, other_tracers=1.0),
    ),
)


@dataclass(frozen=True)
class AtlasSites:
    """Laboratories whose mice are built on the Digimouse labels.

    Attributes
    ----------
    path
        NIfTI file of the labels.
    """

    path: str

    @property
    def name(self) -> str:
        """Name in reports and manifests."""
        return "atlas-laboratories"

    def scan(self, seed: int) -> AtlasScan:
        """The scan of an animal."""
        return draw_atlas_scan(atlas_site(seed // ANIMALS), seed % ANIMALS, _atlas(self.path))


@lru_cache(maxsize=1)
def _atlas(path: str) -> Atlas:
    return load_atlas(path)


class Shown(NamedTuple):
    """A scan of the simulators, with its truth and what is known of it.

    Attributes
    ----------
    scan
        The scan.
    truth
        The true input function [Bq/mL].
    traits
        Traits of animal and scan by name: ``body_weight`` [kg], ``noise``, ``tumour`` (volume, mm³), ``myocardium_ki``
        (true), ``shift`` of the injection [s], ``tracer``.
    """

    scan: DynamicScan
    truth: InputFunction
    traits: Mapping[str, float | str]


def show(source: Source | AtlasSites, seed: int) -> Shown:
    """Simulate an animal of laboratories or of a population."""
    return shown_atlas(source.scan(seed)) if isinstance(source, AtlasSites) else shown(simulate(*draw(seed, source)))


def shown(simulated: SimulatedScan) -> Shown:
    """A scan of the project's own simulator."""
    mouse, scan = simulated.mouse, simulated.scan
    traits: dict[str, float | str] = {
        "body_weight": mouse.body_weight,
        "noise": mouse.noise_level,
        "tumour": _volume(scan, "tumour"),
        "myocardium_ki": mouse.kinetics["myocardium"].Ki,
        "shift": mouse.blood.injection.shift,
        "tracer": mouse.tracer.name,
    }
    return Shown(scan, simulated.truth.input_function, traits)


def shown_atlas(made: AtlasScan) -> Shown:
    """A scan of an atlas mouse."""
    animal = made.animal
    traits: dict[str, float | str] = {
        "body_weight": animal.body_weight,
        "noise": made.site.grain.level,
        "tumour": _volume(made.scan, "tumour"),
        "myocardium_ki": animal.rates["myocardium"].Ki,
        "shift": animal.blood.injection.shift,
        "tracer": animal.tracer.name,
    }
    return Shown(made.scan, made.truth.input_function, traits)


def _volume(scan: DynamicScan, region: str) -> float:
    return float(dict(zip(scan.regions.names, scan.regions.volume, strict=True)).get(region, 0.0))
