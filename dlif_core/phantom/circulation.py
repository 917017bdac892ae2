"""Blood in motion: an animal as mixing chambers that its blood flows through.

An injection into the tail vein passes the vena cava before it is mixed with the blood of the head, then the right
heart, the lungs and the left heart. So blood has another curve in every pool, and the arterial one is what is left of
the injection after it was mixed, and what comes back from the organs. Nothing is prescribed but where and how fast
tracer is given: chambers, flows and the kinetics of the organs make one linear system, solved exactly in steps in which
the injection is constant, so that no activity is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm

from dlif_core.errors import ConfigurationError
from dlif_core.phantom.injection import Injection, Vein
from dlif_core.phantom.physiology import OrganKinetics
from dlif_core.phantom.span import Span

Array = NDArray[np.float64]

Drain = Literal["caudal", "cranial", "both", "portal", "heart"]

#: Flow grows with body weight to this power.
_ALLOMETRY = 0.75

_STEP = 0.5  # [s]


class Bed(NamedTuple):
    """How blood flows through an organ.

    Attributes
    ----------
    mass
        Mass of the organ relative to the body.
    flow
        Arterial flow relative to the cardiac output, before all are scaled to a sum of 1.
    drain
        Where its venous blood goes: to the caudal vena cava, below the liver, or to the cranial one, to both, to the
        liver, or to the right heart.
    """

    mass: float
    flow: float
    drain: Drain


#: Organs that take up tracer; orders of magnitude. Muscle stands for all that has no name.
BEDS: Mapping[str, Bed] = {
    "muscle": Bed(0.70, 0.36, "both"),
    "marrow": Bed(0.03, 0.04, "both"),
    "stomach": Bed(0.01, 0.02, "portal"),
    "spleen": Bed(0.004, 0.015, "portal"),
    "gut": Bed(0.05, 0.13, "portal"),
    "liver": Bed(0.055, 0.03, "heart"),
    "kidney": Bed(0.017, 0.12, "caudal"),
    "brain": Bed(0.018, 0.05, "cranial"),
    "harderian_gland": Bed(0.001, 0.002, "cranial"),
    "brown_fat": Bed(0.004, 0.01, "cranial"),
    "tumour": Bed(0.004, 0.004, "cranial"),
    "myocardium": Bed(0.006, 0.07, "heart"),
}

#: The same of an adult human: more to brain and kidneys, less liver and gut, hardly any brown fat.
HUMAN_BEDS: Mapping[str, Bed] = {
    "muscle": Bed(0.75, 0.34, "both"),
    "marrow": Bed(0.02, 0.05, "both"),
    "stomach": Bed(0.003, 0.01, "portal"),
    "spleen": Bed(0.0025, 0.03, "portal"),
    "gut": Bed(0.018, 0.13, "portal"),
    "liver": Bed(0.025, 0.06, "heart"),
    "kidney": Bed(0.0045, 0.18, "caudal"),
    "brain": Bed(0.020, 0.12, "cranial"),
    "harderian_gland": Bed(1e-5, 1e-5, "cranial"),
    "brown_fat": Bed(0.0005, 0.001, "cranial"),
    "tumour": Bed(0.0005, 0.001, "cranial"),
    "myocardium": Bed(0.0045, 0.045, "heart"),
}


class Physique(NamedTuple):
    """What the circulation of a species is like.

    Attributes
    ----------
    weight
        Body weight for which volumes and flows are stated [g].
    beds
        Organs that take up tracer.
    lung
        Mass of the lungs relative to the body.
    """

    weight: float
    beds: Mapping[str, Bed]
    lung: float


#: By species.
PHYSIQUES: Mapping[str, Physique] = {
    "mouse": Physique(22.0, BEDS, 0.007),
    "human": Physique(70_000.0, HUMAN_BEDS, 0.011),
}

# the lungs' tissue is fed by all blood on its way through them
_LUNG = "lung"

#: Chambers of large vessels and of the heart, with their share of the blood.
_VESSELS = {"caudal": 0.05, "cranial": 0.03, "right": 0.045, "left": 0.05, "aorta": 0.04, "arteries": 0.04}
_CAPILLARIES = ("lung 1", "lung 2", "lung 3")

#: Chamber in which each pool of blood lies.
POOLS = {
    "vena_cava": "caudal",
    "cranial_vena_cava": "cranial",
    "right_ventricle": "right",
    "left_ventricle": "left",
    "aorta": "aorta",
}

# chamber into which each vein leads
_ENTRIES: Mapping[Vein, str] = {"tail": "caudal", "retro-orbital": "cranial", "jugular": "cranial", "arm": "cranial"}

# share of the blood in an organ's vessels that has not passed its capillaries yet
_ARTERIAL_SHARE = 0.4

# flow through an organ is at least so many times what it takes up
_LEAST_FLOW = 1.25


@dataclass(frozen=True)
class Circulation:
    """Blood volume and flow of an animal.

    Attributes
    ----------
    cardiac_output
        Flow through the heart of a mouse of 22 g or a human of 70 kg [mL·min⁻¹].
    blood_volume
        Per body weight [mL·g⁻¹].
    caval_share
        Share of the cardiac output that flows in the caudal vena cava below the liver.
    lung_transit
        Mean transit time of the lungs [s].
    clearance
        Plasma that a mouse of 22 g or a human of 70 kg clears into urine [mL·min⁻¹].

    Raises
    ------
    ConfigurationError
        If a number is not positive, or the share is 1 or more.
    """

    cardiac_output: float = 15.0
    blood_volume: float = 0.08
    caval_share: float = 0.33
    lung_transit: float = 1.5
    clearance: float = 0.1

    def __post_init__(self) -> None:
        numbers = (self.cardiac_output, self.blood_volume, self.caval_share, self.lung_transit)
        if min(numbers) <= 0.0 or self.clearance < 0.0 or self.caval_share >= 1.0:
            raise ConfigurationError(f"this circulation is impossible: {self}.", hint="Give positive numbers.")


@dataclass(frozen=True)
class CirculationRanges:
    """Ranges from which circulations are drawn at random; the attributes are those of `Circulation`."""

    cardiac_output: Span = Span((10.0, 20.0))
    blood_volume: Span = Span((0.07, 0.09))
    caval_share: Span = Span((0.25, 0.40))
    lung_transit: Span = Span((1.0, 2.2))
    clearance: Span = Span((0.05, 0.25))

    def draw(self, rng: np.random.Generator) -> Circulation:
        """Draw a circulation."""
        names = ("cardiac_output", "blood_volume", "caval_share", "lung_transit", "clearance")
        return Circulation(**{name: getattr(self, name).draw(rng) for name in names})


@dataclass(frozen=True)
class CirculatingBlood:
    """Blood of one animal after an injection: another curve in every pool.

    Attributes
    ----------
    injection
        How tracer is given, and where.
    circulation
        Volume and flow of blood.
    kinetics
        Kinetics of every organ.
    body_weight
        [g]. As many SUV·mL are given.
    plasma
        Plasma over whole blood, for which one number is taken here [ratio].
    species
        One of `PHYSIQUES`.
    """

    injection: Injection
    circulation: Circulation
    kinetics: Mapping[str, OrganKinetics]
    body_weight: float
    plasma: float
    species: str = "mouse"

    def curve(self, time: ArrayLike) -> Array:
        """Arterial whole blood, in the aorta, at given times [s], of their shape [SUV]."""
        return self.within("aorta", time)

    def within(self, organ: str, time: ArrayLike) -> Array:
        """Blood in a pool, or in the vessels of an organ: arterial, capillary and venous; as `curve`."""
        if organ in POOLS:
            return self._at(POOLS[organ], time)
        if organ == _LUNG:
            return 0.5 * (self._at("right", time) + self._at("left", time))
        if organ not in BEDS:
            return self.supplying(organ, time)
        return _ARTERIAL_SHARE * self.supplying(organ, time) + (1.0 - _ARTERIAL_SHARE) * self._at(organ, time)

    def supplying(self, organ: str, time: ArrayLike) -> Array:
        """Blood that an organ's tissue takes tracer from: arterial, in the liver mostly of the portal vein."""
        return np.asarray(sum(share * self._at(source, time) for source, share in self._system.sources(organ).items()))

    def total(self, time: ArrayLike) -> Array:
        """All activity in the body and its urine [SUV·mL]."""
        times, states = self._solution
        return np.asarray(np.interp(np.asarray(time, float), times, states @ self._system.volumes))

    def described(self) -> dict[str, Any]:
        """Parameters of injection and circulation."""
        return {**asdict(self.injection), **asdict(self.circulation)}

    def _at(self, chamber: str, time: ArrayLike) -> Array:
        times, states = self._solution
        return np.asarray(np.interp(np.asarray(time, float), times, states[:, self._system.place[chamber]]))

    @cached_property
    def _system(self) -> _System:
        return _System(self.circulation, self.kinetics, self.body_weight, self.plasma, PHYSIQUES[self.species])

    @cached_property
    def _solution(self) -> tuple[Array, Array]:
        """Times from before the injection [s], and concentration in every chamber, shape (times, chambers) [SUV]."""
        time = self.injection.shift + np.arange(0.0, _LONGEST_S + _STEP, _STEP)
        given = np.diff(self.injection.delivered(time)) * self.body_weight / _STEP
        passed, gained = self._system.step(self.injection.vein, _STEP)
        states = np.zeros((len(time), len(self._system.volumes)))
        for number, rate in enumerate(given):
            states[number + 1] = passed @ states[number] + gained * rate
        return time, states


#: Longest time after the injection [s].
_LONGEST_S = 7200.0


class _System:
    """Chambers of an animal, and the flows between them.

    Attributes
    ----------
    place
        Number of each chamber.
    volumes
        [mL].
    """

    def __init__(
        self,
        circulation: Circulation,
        kinetics: Mapping[str, OrganKinetics],
        weight: float,
        plasma: float,
        physique: Physique,
    ) -> None:
        self._plasma, self._beds = plasma / 60.0, physique.beds
        output = circulation.cardiac_output * (weight / physique.weight) ** _ALLOMETRY / 60.0
        tissue = {organ: weight * bed.mass for organ, bed in self._beds.items()}
        needed = {name: _LEAST_FLOW * self._plasma * kinetics[name].K1 * tissue[name] for name in self._beds}
        self._flow = _flows(output, self._beds, needed)
        self._output = sum(self._flow.values())
        blood = circulation.blood_volume * weight
        sizes = {name: share * blood for name, share in _VESSELS.items()}
        sizes |= {name: circulation.lung_transit * self._output / len(_CAPILLARIES) for name in _CAPILLARIES}
        rest = max(blood - sum(sizes.values()), 0.3 * blood)
        sizes |= {organ: rest * self._flow[organ] / self._output for organ in self._beds}
        tissue[_LUNG] = weight * physique.lung
        for organ, mass in tissue.items():
            sizes |= dict.fromkeys(_tissue(organ), mass * (1.0 - kinetics[organ].vB))
        sizes["urine"] = 1.0
        self.place = {name: number for number, name in enumerate(sizes)}
        self.volumes = np.array(list(sizes.values()))
        self._moved = np.zeros((len(sizes),) * 2)  # [mL·s⁻¹] into the row from the column
        self._join(circulation.caval_share)
        for organ in tissue:
            self._exchange(organ, kinetics[organ])
        self._move("arteries", "urine", self._plasma * circulation.clearance * weight / physique.weight, via="kidney")

    def sources(self, organ: str) -> dict[str, float]:
        """Chambers whose blood an organ's tissue takes tracer from, and their shares."""
        if organ == _LUNG:
            return {_CAPILLARIES[0]: 1.0}
        if organ != "liver":
            return {"arteries": 1.0}
        portal = {name: self._flow[name] for name, bed in self._beds.items() if bed.drain == "portal"}
        total = self._flow["liver"] + sum(portal.values())
        return {"arteries": self._flow["liver"] / total} | {name: flow / total for name, flow in portal.items()}

    def step(self, vein: Vein, seconds: float) -> tuple[Array, Array]:
        """What becomes of all concentrations in some time, and what one SUV·mL a second into a vein adds to them."""
        count = len(self.volumes)
        rates = np.zeros((count + 1,) * 2)
        rates[:count, :count] = self._moved / self.volumes[:, None]
        entry = self.place[_ENTRIES[vein]]
        rates[entry, count] = 1.0 / self.volumes[entry]
        passed = expm(seconds * rates)
        return passed[:count, :count], passed[:count, count]

    def _move(self, source: str, target: str, flow: float, via: str | None = None) -> None:
        """Let blood of one chamber flow to another; or take from a third what flows there in proportion to the one."""
        self._moved[self.place[via or source], self.place[source]] -= flow
        self._moved[self.place[target], self.place[source]] += flow

    def _join(self, caval_share: float) -> None:
        """Let blood flow from the heart through the lungs and the organs back to the heart."""
        round_trip = ("right", *_CAPILLARIES, "left", "aorta", "arteries")
        for source, target in pairwise(round_trip):
            self._move(source, target, self._output)
        caudal = self._caudal_part(caval_share)
        parts = {
            "both": {"caudal": caudal, "cranial": 1.0 - caudal},
            "portal": {"liver": 1.0},
            "heart": {"right": 1.0},
        }
        returned = dict.fromkeys(("caudal", "cranial"), 0.0)
        for organ, bed in self._beds.items():
            self._move("arteries", organ, self._flow[organ])
            flow = self._flow[organ]
            if organ == "liver":
                flow += sum(self._flow[name] for name, other in self._beds.items() if other.drain == "portal")
            for vein, part in parts.get(bed.drain, {bed.drain: 1.0}).items():
                self._move(organ, vein, part * flow)
                if vein in returned:
                    returned[vein] += part * flow
        for vein, flow in returned.items():
            self._move(vein, "right", flow)

    def _caudal_part(self, caval_share: float) -> float:
        """Part of the blood of muscle and marrow that returns caudally, so that its share of the output is right."""
        fixed = sum(self._flow[name] for name, bed in self._beds.items() if bed.drain == "caudal")
        either = sum(self._flow[name] for name, bed in self._beds.items() if bed.drain == "both")
        return float(np.clip((caval_share * self._output - fixed) / either, 0.0, 1.0))

    def _exchange(self, organ: str, kinetics: OrganKinetics) -> None:
        """Let an organ's tissue take tracer from its blood and give it back."""
        first, second = _tissue(organ)
        bed = organ if organ in self._beds else _CAPILLARIES[0]
        volume = self.volumes[self.place[first]]
        for source, share in self.sources(organ).items():
            self._move(source, first, share * self._plasma * kinetics.K1 * volume, via=bed)
        self._move(first, bed, kinetics.k2 / 60.0 * volume)
        self._move(first, second, kinetics.k3 / 60.0 * volume)
        self._move(second, first, kinetics.k4 / 60.0 * volume)


def _tissue(organ: str) -> tuple[str, str]:
    return f"{organ}, free", f"{organ}, bound"


def _flows(output: float, beds: Mapping[str, Bed], needed: Mapping[str, float]) -> dict[str, float]:
    """Flow through every organ [mL·s⁻¹]: its share of the output, and no less than it needs."""
    total = sum(bed.flow for bed in beds.values())
    return {name: max(output * bed.flow / total, needed[name]) for name, bed in beds.items()}
