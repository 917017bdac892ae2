"""Intervals by resampling animals or groups of them, and comparisons of two methods on the same animals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
Interval = tuple[float, float]

#: Number of bootstrap samples.
RESAMPLES = 2000

_SEED = 0
_UNKNOWN: Interval = (np.nan, np.nan)


def bootstrap_interval(
    columns: Sequence[ArrayLike],
    statistic: Callable[..., Any],
    *,
    confidence: float = 0.95,
    vectorized: bool = True,
    groups: ArrayLike | None = None,
) -> Interval:
    """Percentile bootstrap interval of a statistic of a cohort; whole animals, or groups of them, are resampled.

    Parameters
    ----------
    columns
        One or more arrays of shape (animals,): what the statistic is computed from.
    statistic
        Takes the columns, and where it is vectorized an `axis`.
    confidence
        Level of the interval.
    vectorized
        Whether the statistic works along an axis.
    groups
        Shape (animals,): the group of each animal, such as its laboratory. Groups are then drawn with replacement, each
        with all its animals, as animals of a group resemble each other; None where each stands for itself.

    Returns
    -------
    NaN for fewer than two animals or groups. The same data give the same interval.

    Notes
    -----
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. Groups: Davison and Hinkley, Bootstrap
    Methods and their Application, 1997, section 3.8.
    """
    data = tuple(np.asarray(column, float) for column in columns)
    if len(data[0]) < 2:
        return _UNKNOWN
    if groups is None:
        drawn = _of_animals(data, statistic, vectorized)
    else:
        drawn = _of_groups(data, statistic, vectorized, np.asarray(groups))
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return _UNKNOWN
    low, high = np.quantile(known, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def _of_animals(data: tuple[Array, ...], statistic: Callable[..., Any], vectorized: bool) -> Array:
    """The statistic of cohorts whose animals were drawn with replacement, shape (RESAMPLES,)."""
    with warnings.catch_warnings():
        # resampled cohorts for which the statistic is not defined are left out below
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            data,
            statistic,
            n_resamples=RESAMPLES,
            paired=True,
            vectorized=vectorized,
            method="percentile",
            rng=np.random.default_rng(_SEED),
        )
    return np.asarray(found.bootstrap_distribution)


def _of_groups(data: tuple[Array, ...], statistic: Callable[..., Any], vectorized: bool, groups: NDArray[Any]) -> Array:
    """The statistic of cohorts whose groups were drawn with replacement; empty for fewer than two groups.

    Cohorts with the same number of animals are computed together.
    """
    names, number = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return np.empty(0)
    members = [np.flatnonzero(number == group) for group in range(len(names))]
    drawn = np.random.default_rng(_SEED).integers(len(names), size=(RESAMPLES, len(names)))
    lengths = np.bincount(number)[drawn].sum(axis=1)
    found = []
    for length in np.unique(lengths):
        rows = np.stack([np.concatenate([members[group] for group in draw]) for draw in drawn[lengths == length]])
        cohorts = [column[rows] for column in data]
        values = statistic(*cohorts, axis=-1) if vectorized else [statistic(*one) for one in zip(*cohorts, strict=True)]
        found.append(np.asarray(values, float))
    return np.concatenate(found)


@dataclass(frozen=True)
class PairedDifference:
    """Difference of two methods on the same animals.

    Attributes
    ----------
    n
        Animals for which both are known.
    median
        Median of first − second.
    interval
        95 % bootstrap interval of the median.
    p_value
        Two-sided, Wilcoxon's signed-rank test; NaN for no pairs or no differences.
    groups
        Groups of which each counts once in the test; as many as animals where each stands for itself.
    """

    n: int
    median: float
    interval: Interval
    p_value: float
    groups: int


def paired_difference(first: ArrayLike, second: ArrayLike, groups: ArrayLike | None = None) -> PairedDifference:
    """Compare two methods on the same animals.

    Parameters
    ----------
    first, second
        Shape (animals,); pairs with a value that is not finite are left out.
    groups
        Shape (animals,): the group of each animal. The interval is then over groups, and the test is of their medians;
        None where each animal stands for itself.
    """
    difference = np.asarray(first, float) - np.asarray(second, float)
    known = np.isfinite(difference)
    if not known.any():
        return PairedDifference(0, np.nan, _UNKNOWN, np.nan, 0)
    names = np.arange(len(difference)) if groups is None else np.asarray(groups)
    difference, names = difference[known], names[known]
    medians = np.array([np.median(difference[names == name]) for name in np.unique(names)])
    return PairedDifference(
        n=len(difference),
        median=float(np.median(difference)),
        interval=bootstrap_interval([difference], np.median, groups=None if groups is None else names),
        p_value=float(stats.wilcoxon(medians).pvalue) if medians.any() else np.nan,
        groups=len(medians),
    )


def roc_area(score: ArrayLike, positive: ArrayLike) -> float:
    """Area under the receiver operating characteristic.

    Parameters
    ----------
    score
        Shape (n,); higher means more likely positive. Infinite scores are allowed.
    positive
        Shape (n,), whether it is.

    Returns
    -------
    Probability that a positive scores higher than a negative, ties counting half; NaN if one kind is missing.
    """
    score, positive = np.asarray(score, float), np.asarray(positive, bool)
    sound, faulty = score[~positive], score[positive]
    if not len(sound) or not len(faulty):
        return float("nan")
    ranks = stats.rankdata(np.concatenate([faulty, sound]))
    above = ranks[: len(faulty)].sum() - len(faulty) * (len(faulty) + 1) / 2
    return float(above / (len(faulty) * len(sound)))


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation of two arrays of shape (n,); NaN for fewer than three values or without spread."""
    x, y = np.asarray(first, float), np.asarray(second, float)
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)
