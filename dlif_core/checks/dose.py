"""Dose and body weight against the species, the image and the regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dlif_core.checks.check import Check, Level, Part
from dlif_core.checks.facts import ScanFacts

#: An image can't hold more than the dose; calibration and noise account for the rest.
_MOST_IN_IMAGE = 2.0
#: An image of most of the body holds this share of the dose at the least; the rest was excreted or not injected. It is
#: one of most of the body if its activity, were it evenly spread, would fill such a share of the body's volume.
_LEAST_IN_BODY, _MOST_OF_BODY = 0.2, 0.3
#: Standardised uptake where the activity is. The mean of the body is 1; brains, tumours and noise lie within.
_UPTAKE = (0.05, 50.0)
#: The same of a table of regions, which may be of one organ that takes up most of the dose, or next to nothing.
_UPTAKE_OF_REGIONS = (0.01, 200.0)


@dataclass(frozen=True)
class _Subject:
    """Body weights [kg] and doses for each kilogram [Bq/kg] of a species, from the least to the most."""

    weight: tuple[float, float]
    dose: tuple[float, float]


_SUBJECTS = {
    "mouse": _Subject((0.001, 0.1), (4e6, 8e9)),
    "rat": _Subject((0.005, 1.2), (1e6, 2e9)),
    "human": _Subject((0.3, 400.0), (1e4, 1.5e8)),
}
_SMALL = _Subject((0.001, 3.0), (4e5, 8e9))
_LARGE = _Subject((3.0, 700.0), (1e4, 5e8))
#: Below this weight [kg] an animal is small.
_SMALL_WEIGHT = 3.0
#: Most that is given to a human of a nuclide that stays for longer [s]; only of oxygen and rubidium, gone within
#: minutes, is more needed.
_LASTING, _MOST_LASTING = 900.0, 4e7
#: Doses where no weight is known [Bq].
_DOSE = (1e4, 2e10)


def _subject(facts: ScanFacts) -> _Subject:
    weight = facts.acquisition.body_weight
    unknown = _SMALL if weight and weight < _SMALL_WEIGHT else _LARGE
    return _SUBJECTS.get(facts.acquisition.species, unknown)


def _weight(facts: ScanFacts) -> Iterator[str]:
    weight, species = facts.acquisition.body_weight, facts.acquisition.species
    if not weight:
        return
    low, high = _subject(facts).weight
    if not low <= weight <= high:
        yield f"a {species or 'subject'} of {_mass(weight)} is not possible; {_mass(low)} to {_mass(high)} is."


def _mass(kilograms: float) -> str:
    return f"{1e3 * kilograms:.4g} g" if kilograms < 1 else f"{kilograms:.4g} kg"


def _dose(facts: ScanFacts) -> Iterator[str]:
    dose, weight = facts.acquisition.injected_activity, facts.acquisition.body_weight
    if not dose:
        return
    low, high = _DOSE
    if weight and not list(_weight(facts)):
        low, most = _subject(facts).dose
        if facts.acquisition.species == "human" and facts.acquisition.half_life > _LASTING:
            most = min(most, _MOST_LASTING)
        low, high = weight * low, weight * most
    if not low <= dose <= high:
        whom = f"a {facts.acquisition.species or 'subject'} of {_mass(weight)}" if weight else "a subject"
        yield f"{dose / 1e6:.3g} MBq is no dose for {whom}; {low / 1e6:g} to {high / 1e6:g} MBq is."


def _in_image(facts: ScanFacts) -> Iterator[str]:
    dose, image = facts.acquisition.injected_activity, facts.image
    if not dose or image is None or not np.isfinite(image.voxel_volume):
        return
    present = image.activity > 0
    if not present.any():
        return
    share = float(np.median(image.activity[present])) / dose
    if share > _MOST_IN_IMAGE:
        yield f"the image holds {share:.3g} times the injected activity ({dose / 1e6:.3g} MBq), decay-corrected."
    filled = float(np.median(image.activity[present] / image.typical[present])) / 1e3  # kg, of 1 g/mL
    most = float(image.activity.max()) / dose
    if most < _LEAST_IN_BODY and filled > _MOST_OF_BODY * (facts.acquisition.body_weight or np.inf):
        yield (
            f"the image shows most of the body, but never holds more than {most:.2g} of the injected activity "
            f"({dose / 1e6:.3g} MBq), decay-corrected."
        )


def _uptake(facts: ScanFacts) -> Iterator[str]:
    suv = facts.acquisition.suv_factor
    if suv is None or any(_weight(facts)):
        return
    late = facts.timing.mid >= 0.5 * facts.timing.mid[-1]
    late[-1] = True
    if facts.image is not None:
        (low, high), of = _UPTAKE, "where the image has activity"
        typical = float(np.median(facts.image.typical[late]))
    else:
        (low, high), of = _UPTAKE_OF_REGIONS, "of the median region"
        typical = float(np.median(facts.regions.activity[:, late]))
    if typical > 0 and not low <= suv * typical <= high:
        rounded = float(f"{suv * typical:.2g}")  # not in exponent form
        yield (
            f"the standardised uptake value {of} is {rounded:g} late in the scan; that of the whole body is "
            f"about 1, and {low:g} to {high:g} is possible."
        )


_UNITS = "Check the units of the injected activity (MBq, kBq, Bq), of the body weight (kg, g) and of the image."

CHECKS = (
    Check(
        "weight-range",
        Level.REFUSED,
        Part.WEIGHT,
        "The body weight is that of the species: mouse 1 to 100 g, rat 5 to 1200 g, human 0.3 to 400 kg.",
        "State the unit of the body weight (g or kg), or correct the species.",
        _weight,
        "weight",
    ),
    Check(
        "dose-range",
        Level.DOUBTFUL,
        Part.DOSE,
        "The injected activity for each kilogram is one that is given to the species: mouse 4 to 8000 MBq/kg, rat 1 to "
        "2000 MBq/kg, human 0.01 to 150 MBq/kg, or to 40 where the half-life is above 15 min.",
        _UNITS,
        _dose,
        "dose",
    ),
    Check(
        "dose-in-image",
        Level.DOUBTFUL,
        Part.DOSE,
        "The image holds at most twice the injected activity, and a fifth of it at the least if it shows most of the "
        "body.",
        _UNITS,
        _in_image,
        "dose",
    ),
    Check(
        "uptake-range",
        Level.DOUBTFUL,
        Part.DOSE,
        "The standardised uptake value where the activity is lies between 0.05 and 50, of a table of regions between "
        "0.01 and 200.",
        _UNITS,
        _uptake,
        "dose",
    ),
)
