"""Correction of a model for a laboratory: a factor over time that its own scans with arterial blood show.

In every time window the logarithm of true over predicted activity is averaged over the animals. The mean is shrunk
towards zero by empirical Bayes. The true logarithms are taken for a normal process: a level that all windows share and
a course that changes smoothly from window to window. The mean differs from them by an error whose covariance is that
between the animals over their number. The variances of level and course are not known: posterior means for a grid of
them are averaged by their likelihood. So a factor that many animals agree on is taken as it is, and one that may be
chance is hardly applied. Every network's correction keeps the logarithms beside its own numbers.

The band is calibrated leave-one-out: for each animal the whole correction, with the delay of the blood, is fitted to
the others, and the score of the animal is that of its scans so corrected. All animals serve both, and no score is of an
animal that its own correction has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.networks.calibration.cases import CalibrationCase, calibration_case, predicted_curve
from dlif_core.networks.prediction.correction import OFFSET
from dlif_core.networks.prediction.features import features
from dlif_core.networks.prediction.predict import Prediction
from dlif_core.networks.prediction.resampling import displaced
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.release.blood_delay import Delay, blood_of, common_delay, moved, scan_delay
from dlif_core.networks.release.own_scan import OwnScan, WholeBlood

Array = NDArray[np.float64]

# standard deviations of level and course that are tried, logarithms
_SPREADS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
# neighbouring windows have courses alike; correlation over so many windows
_CORRELATION = 1.5
# the covariance between animals counts as many animals more whose windows are independent
_INDEPENDENT = 6.0
# least standard deviation between animals, logarithm
_LEAST_SPREAD = 0.01
# a window counts with this part of its frames known
_COVERED = 0.5


class SiteCase(NamedTuple):
    """A scan with known blood as a site correction needs it.

    Attributes
    ----------
    animal
        Name of the animal.
    case
        Prediction without a site correction, and blood as it was measured.
    windows
        Weights of the frames in every window, shape (course windows, frames).
    between
        Weights of the windows in every frame, shape (frames, course windows).
    blood
        Curve of the blood as it was measured.
    delay
        Time by which the blood is later than the prediction [s]; NaN if unknown.
    """

    animal: str
    case: CalibrationCase
    windows: Array
    between: Array
    blood: WholeBlood
    delay: float


@dataclass(frozen=True, eq=False)
class SiteCorrection:
    """Correction of a model for a laboratory.

    Attributes
    ----------
    logarithm
        Logarithm of true over predicted activity, both plus `correction.OFFSET`, in every window, shape (course
        windows,).
    delay
        Delay of the blood.
    """

    logarithm: Array
    delay: Delay


@torch.no_grad()
def site_case(networks: Sequence[TissueNetwork], scans: Sequence[OwnScan], index: int) -> SiteCase:
    """Prediction and blood of one of the scans."""
    scan = scans[index]
    example = scan.example
    case = calibration_case(networks, [example], 0)
    aligned = displaced(example.scan.activity, case.prediction.displacement)
    seen = features(example.scan.with_activity(aligned))
    return SiteCase(
        animal=scan.animal,
        case=case,
        windows=seen.course.windows.double().numpy(force=True),
        between=seen.course.between.double().numpy(force=True),
        blood=scan.blood or blood_of(example.scan.timing, case.whole_blood),
        delay=scan_delay(case),
    )


def fit_site(cases: Sequence[SiteCase]) -> SiteCorrection:
    """Fit delay and factors to the scans of some animals; an animal counts as one however many scans it has."""
    animals = [one.animal for one in cases]
    delay = common_delay([one.delay for one in cases], animals)
    logarithm = np.stack([_logarithm(one, delay.applied) for one in cases])
    owners = np.array(animals)
    each = np.stack([_mean(logarithm[owners == animal]) for animal in sorted(set(animals))])
    return SiteCorrection(shrunk_mean(each), delay)


def _logarithm(one: SiteCase, delay: float) -> Array:
    """Logarithm of true over predicted activity in every window; NaN where less than half of it is known."""
    truth = _blood(one, delay)
    known = np.isfinite(truth)
    weights = one.windows * known
    covered = weights.sum(axis=1)
    share = weights / np.maximum(covered, 1e-9)[:, None]
    true, predicted = share @ np.where(known, truth, 0.0), share @ one.case.prediction.whole_blood
    ratio = np.log((true + OFFSET) / np.maximum(predicted + OFFSET, 0.5 * OFFSET))
    return np.where(covered >= _COVERED, ratio, np.nan)


def _blood(one: SiteCase, delay: float) -> Array:
    return moved(one.case.prediction.timing, one.case.whole_blood, one.blood, delay)


def _mean(rows: Array) -> Array:
    """Mean over the rows, NaN where no row has a value."""
    known = np.isfinite(rows)
    number = known.sum(axis=0)
    return np.where(number > 0, np.where(known, rows, 0.0).sum(axis=0) / np.maximum(number, 1), np.nan)


def shrunk_mean(values: Array) -> Array:
    """Posterior mean of the logarithms over the windows, from those of some animals.

    Parameters
    ----------
    values
        Logarithm of each animal, shape (animals, windows); NaN where an animal lacks a window.

    Returns
    -------
    Shape (windows,). Windows that fewer than two animals have follow from their neighbours.
    """
    seen = np.isfinite(values).sum(axis=0) >= 2
    if not seen.any():
        return np.zeros(values.shape[1])
    mean, error = _mean(values)[seen], _error_of_mean(values[:, seen])
    steps = np.arange(values.shape[1])
    smooth = np.exp(-0.5 * ((steps[:, None] - steps) / _CORRELATION) ** 2)
    likelihood, found = [], []
    for level in _SPREADS:
        for course in _SPREADS:
            prior = level**2 + course**2 * smooth
            system = prior[np.ix_(seen, seen)] + error
            pulled = np.linalg.solve(system, mean)
            likelihood.append(-0.5 * (np.linalg.slogdet(system)[1] + mean @ pulled))
            found.append(prior[:, seen] @ pulled)
    weight = np.exp(np.array(likelihood) - max(likelihood))
    return np.asarray(weight @ np.stack(found) / weight.sum())


def _error_of_mean(values: Array) -> Array:
    """Covariance of the mean over animals; that of few animals is shrunk towards independent windows."""
    known = np.isfinite(values)
    number = known.sum(axis=0)
    apart = np.where(known, values - _mean(values), 0.0) / np.sqrt(number - 1.0)
    between = apart.T @ apart
    diagonal = np.diag(np.diag(between) + _LEAST_SPREAD**2)
    freedom = len(values) - 1.0
    shrunk = (freedom * between + _INDEPENDENT * diagonal) / (freedom + _INDEPENDENT) + _LEAST_SPREAD**2 * np.eye(
        len(number)
    )
    return np.asarray(shrunk / np.sqrt(np.outer(number, number)))


def with_site(networks: Sequence[TissueNetwork], site: SiteCorrection) -> list[TissueNetwork]:
    """Networks whose corrections have the factors of a site too; their other weights are the same."""
    corrected = [deepcopy(network) for network in networks]
    for network in corrected:
        network.correction.site += torch.from_numpy(site.logarithm).to(network.correction.site)
    return corrected


def corrected_case(one: SiteCase, site: SiteCorrection) -> CalibrationCase:
    """The scan as networks with the site's factors predict it, and its blood without the delay."""
    prediction = one.case.prediction
    factor = np.exp(one.between @ site.logarithm)
    members = tuple(_corrected(member, factor) for member in prediction.members)
    corrected = replace(prediction, members=members, noise=prediction.noise * factor)
    return CalibrationCase(corrected, predicted_curve(corrected), _blood(one, site.delay.applied))


def _corrected(member: Prediction, factor: Array) -> Prediction:
    more = torch.from_numpy(factor).to(member.factor)
    return member._replace(
        whole_blood=more * (member.whole_blood + OFFSET) - OFFSET,
        factor=more * member.factor,
    )


class LeftOut(NamedTuple):
    """Scans, each corrected by what the other animals show.

    Attributes
    ----------
    cases
        The scans, in their order.
    sites
        Correction from all animals but that of the scan, for each scan.
    """

    cases: tuple[CalibrationCase, ...]
    sites: tuple[SiteCorrection, ...]


def leave_one_out(cases: Sequence[SiteCase]) -> LeftOut:
    """Correct the scans of every animal by what the other animals show."""
    sites = {
        animal: fit_site([one for one in cases if one.animal != animal]) for animal in {one.animal for one in cases}
    }
    chosen = tuple(sites[one.animal] for one in cases)
    return LeftOut(
        tuple(corrected_case(one, site) for one, site in zip(cases, chosen, strict=True)),
        chosen,
    )
