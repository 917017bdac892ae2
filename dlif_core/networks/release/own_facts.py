"""Facts of a model that was made for a laboratory, for its manifest and its card, in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.networks.bundle.folder import LOG
from dlif_core.networks.bundle.model import LearnedModel
from dlif_core.networks.calibration.calibration import LEVEL, Calibration
from dlif_core.networks.calibration.cases import CalibrationCase
from dlif_core.networks.prediction.features import COURSE_EDGES
from dlif_core.networks.release.blood_delay import Delay
from dlif_core.networks.release.facts import trained_facts
from dlif_core.networks.release.own_scan import FEWEST, OwnScan
from dlif_core.networks.release.site_correction import LeftOut, SiteCase, SiteCorrection, corrected_case
from dlif_core.networks.training.run import TrainingRun
from dlif_core.shown import counted

Array = NDArray[np.float64]

_BAND = (
    "The band was calibrated leave-one-out: each animal's score is that of its scans as corrected by the other "
    f"animals. For the closely related jackknife+ (Barber et al. 2021) theory guarantees {2 * LEVEL - 1:.0%}; in "
    f"simulations such bands hold about {LEVEL:.0%}."
)


def corrected_facts(
    base: LearnedModel,
    scans: Sequence[OwnScan],
    site: SiteCorrection,
    cases: Sequence[SiteCase],
    left: LeftOut,
    calibration: Calibration,
    left_out: int,
) -> dict[str, Any]:
    """Facts of a model whose weights are those of another, and which is corrected and calibrated for a laboratory.

    Parameters
    ----------
    base
        The other model.
    scans
        All own scans.
    site, cases, left
        Site correction, the scans to which it was fitted, and these corrected leave-one-out.
    calibration
        Calibration by them.
    left_out
        Number of scans of the study that can't be used.
    """
    earlier = base.manifest.training
    members = [{key: value for key, value in member.items() if key != "file"} for member in earlier["members"]]
    animals = counted(len({scan.animal for scan in scans}), "animal")
    own = f"{counted(len(scans), 'own scan')} of {animals} with arterial blood, which correct and calibrate"
    return {
        "population": f"{own}. Before that: {earlier['population']}",
        "hardware": earlier["hardware"],
        "limits": _limits(scans, cases, calibration, left_out),
        "members": members,
        "begun_from": {"name": base.name, "digest": base.digest},
        "site": site_facts(site, cases, left),
    }


def tuned_facts(facts: Mapping[str, Any], trainings: Sequence[TrainingRun[Any, Any]], delay: Delay) -> dict[str, Any]:
    """The facts of a model whose networks were trained further, by half of the animals, before it was corrected."""
    population = facts["population"].replace("which correct and calibrate", "half of which correct and calibrate", 1)
    site = {**facts["site"], "level": "training", "training_delay_s": delay.applied}
    first = f"The networks were trained further on half of the animals ({FEWEST['training']} or more are needed)."
    site["words"] = [first, *facts["site"]["words"][1:]]
    trained = trained_facts(trainings, population, facts["limits"])
    return {**trained, "begun_from": facts["begun_from"], "site": site}


def log_of(base: LearnedModel) -> str:
    """Training log of a model."""
    return (base.folder / LOG).read_text(encoding="utf-8")


def _limits(scans: Sequence[OwnScan], cases: Sequence[SiteCase], calibration: Calibration, left_out: int) -> list[str]:
    refused = calibration.refusal("band", LEVEL)
    limits = ["The scope is that of the model it was begun from.", _BAND, *([refused] if refused else [])]
    if len({one.animal for one in cases}) < len(cases):
        limits.append("Several calibration scans are of one animal, which counts as one for the band.")
    if left_out:
        limits.append(f"{counted(left_out, 'scan')} of the study could not be used.")
    partly = sum(bool(scan.example.whole_blood.isnan().any()) for scan in scans)
    if partly:
        limits.append(f"In {partly} own scans the blood of some frames is unknown; these frames count nowhere.")
    return limits


def site_facts(site: SiteCorrection, cases: Sequence[SiteCase], left: LeftOut) -> dict[str, Any]:
    """The site correction in plain values and in words.

    Parameters
    ----------
    site
        Correction from all animals.
    cases
        The scans to which it was fitted.
    left
        The scans corrected leave-one-out.
    """
    nothing = SiteCorrection(np.zeros_like(site.logarithm), site.delay)
    before, after = (_typical_error(each) for each in ([corrected_case(one, nothing) for one in cases], left.cases))
    influence = max(float(np.abs(np.expm1(other.logarithm - site.logarithm)).max()) for other in left.sites)
    animals, delay = len({one.animal for one in cases}), site.delay
    return {
        "level": "site",
        "animals": animals,
        "windows_s": [list(edges) for edges in pairwise(COURSE_EDGES)],
        "factors": np.exp(site.logarithm).round(4).tolist(),
        "delay_s": delay.applied,
        "delay_median_s": _number(delay.median),
        "delay_error_s": _number(delay.error),
        "rmse_before": before,
        "rmse_left_out": after,
        "influence": influence,
        "words": [
            f"No weights were changed: fewer than {FEWEST['training']} animals only correct and calibrate.",
            f"A factor over time was fitted to {counted(animals, 'animal')} (table) and is part of every network. "
            f"A single animal changes it by {influence:.1%} at most.",
            f"The median error of animals that took no part fell from {before:.2f} to {after:.2f} SUV (RMSE)."
            if after < before
            else f"It brings nothing that could be measured: the median error of animals that took no part is "
            f"{before:.2f} SUV (RMSE) without and {after:.2f} SUV with it.",
            delay_in_words(delay),
        ],
    }


def delay_in_words(delay: Delay) -> str:
    """What is to be known of the delay of the blood."""
    if not math.isfinite(delay.median):
        return "Whether blood and images have the same clock could not be found out."
    found = f"{abs(delay.median):.1f} ± {delay.error:.1f} s {'later' if delay.median > 0 else 'earlier'}"
    if not delay.applied:
        return f"Blood is not clearly later or earlier than the images (median {found}); it was not moved."
    return (
        f"Blood is {found} than the images (median of {delay.animals} animals): the clock of the blood seems to be "
        "off, or the way to the counter takes so long. The blood was moved by that for the comparison; predicted "
        "curves have the time of the images. To move the arterial input function of a study too, add "
        f"{-delay.applied:.1f} to its option delay_s."
    )


def _typical_error(cases: Sequence[CalibrationCase]) -> float:
    """Median over scans of the root mean square error of the frame averages [SUV]."""
    return float(np.median([np.sqrt(np.nanmean(one.errors**2)) for one in cases]))


def _number(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None
