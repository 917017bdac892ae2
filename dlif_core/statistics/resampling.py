"""Intervals by resampling animals, and comparisons of two methods on the same animals."""

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
    columns: Sequence[ArrayLike], statistic: Callable[..., Any], *, confidence: float = 0.95, vectorized: bool = True
) -> Interval:
    """Percentile bootstrap interval of a statistic of a cohort; whole animals are resampled.

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

    Returns
    -------
    NaN for fewer than two animals. The same data give the same interval.

    Notes
    -----
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    data = tuple(np.asarray(column, float) for column in columns)
    if len(data[0]) < 2:
        return _UNKNOWN
    with warnings.catch_warnings():
        # resampled cohorts for which the statistic is not defined are left out below
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        drawn = stats.bootstrap(
            data,
            statistic,
            n_resamples=RESAMPLES,
            paired=True,
            vectorized=vectorized,
            method="percentile",
            rng=np.random.default_rng(_SEED),
        ).bootstrap_distribution
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return _UNKNOWN
    low, high = np.quantile(known, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


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
    """

    n: int
    median: float
    interval: Interval
    p_value: float


def paired_difference(first: ArrayLike, second: ArrayLike) -> PairedDifference:
    """Compare two methods on the same animals, shape (animals,); pairs with a value that is not finite are left out."""
    difference = np.asarray(first, float) - np.asarray(second, float)
    difference = difference[np.isfinite(difference)]
    if not len(difference):
        return PairedDifference(0, np.nan, _UNKNOWN, np.nan)
    return PairedDifference(
        n=len(difference),
        median=float(np.median(difference)),
        interval=bootstrap_interval([difference], np.median),
        p_value=float(stats.wilcoxon(difference).pvalue) if difference.any() else np.nan,
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
