"""Agreement of two methods that measure the same thing: bias, limits, concordance, reliability.

All functions drop pairs of which one value is not finite and give NaN where too few pairs are left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
Interval = tuple[float, float]

_UNKNOWN: Interval = (np.nan, np.nan)


@dataclass(frozen=True)
class BlandAltman:
    """Limits of agreement; all values in the unit of the data.

    Attributes
    ----------
    n
        Number of pairs.
    bias
        Mean of estimate − reference.
    sd
        Standard deviation of the differences.
    lower, upper
        Limits of agreement, bias ± 1.96 SD.
    bias_interval, lower_interval, upper_interval
        Confidence intervals of the three.
    """

    n: int
    bias: float
    sd: float
    lower: float
    upper: float
    bias_interval: Interval
    lower_interval: Interval
    upper_interval: Interval


def bland_altman(reference: ArrayLike, estimate: ArrayLike, *, confidence: float = 0.95) -> BlandAltman:
    """Bias and limits of agreement with their confidence intervals.

    Parameters
    ----------
    reference, estimate
        Shape (n,), in one unit.
    confidence
        Level of the intervals.

    Notes
    -----
    Bland and Altman, Stat Methods Med Res 1999;8:135: the variance of a limit is
    SD²·(1/n + 1.96²/(2(n−1))), intervals from Student's t with n − 1 degrees of freedom.
    """
    x, y = _pairs(reference, estimate)
    n, difference = len(x), y - x
    if n < 2:
        nothing = np.nan if n == 0 else float(difference[0])
        return BlandAltman(n, nothing, np.nan, np.nan, np.nan, _UNKNOWN, _UNKNOWN, _UNKNOWN)
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    t = float(stats.t.ppf(0.5 + confidence / 2, n - 1))
    of_bias = t * sd / np.sqrt(n)
    of_limit = t * sd * np.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))
    lower, upper = bias - 1.96 * sd, bias + 1.96 * sd
    return BlandAltman(
        n, bias, sd, lower, upper, _around(bias, of_bias), _around(lower, of_limit), _around(upper, of_limit)
    )


@dataclass(frozen=True)
class Concordance:
    """Lin's concordance correlation coefficient.

    Attributes
    ----------
    n
        Number of pairs.
    coefficient
        ρ_c = `pearson` · `bias_correction`.
    interval
        Confidence interval of the coefficient.
    pearson
        Precision: Pearson's correlation.
    bias_correction
        Accuracy: C_b, 1 where the line through the data is the line of identity.
    """

    n: int
    coefficient: float
    interval: Interval
    pearson: float
    bias_correction: float


def concordance(reference: ArrayLike, estimate: ArrayLike, *, confidence: float = 0.95) -> Concordance:
    """Concordance correlation coefficient with a confidence interval by Fisher's z.

    Parameters
    ----------
    reference, estimate
        Shape (n,), in one unit.
    confidence
        Level of the interval.

    Notes
    -----
    Lin, Biometrics 1989;45:255, variance as corrected in Biometrics 2000;56:324. Moments divide by n.
    """
    x, y = _pairs(reference, estimate)
    n = len(x)
    if n < 3 or x.std() == 0 or y.std() == 0:
        return Concordance(n, np.nan, _UNKNOWN, np.nan, np.nan)
    covariance = float(np.mean((x - x.mean()) * (y - y.mean())))
    shift = float(x.mean() - y.mean())
    coefficient = 2 * covariance / (x.var() + y.var() + shift**2)
    pearson = covariance / (x.std() * y.std())
    interval = _lin_interval(n, coefficient, pearson, shift**2 / (x.std() * y.std()), confidence)
    return Concordance(n, float(coefficient), interval, float(pearson), float(coefficient / pearson))


def _lin_interval(n: int, coefficient: float, pearson: float, location: float, confidence: float) -> Interval:
    if abs(coefficient) >= 1:
        return (float(coefficient), float(coefficient))
    c2, r2 = coefficient**2, pearson**2
    variance = (
        (1 - r2) * c2 / ((1 - c2) * r2)
        + 2 * coefficient**3 * (1 - coefficient) * location / (pearson * (1 - c2) ** 2)
        - coefficient**4 * location**2 / (2 * r2 * (1 - c2) ** 2)
    ) / (n - 2)
    half = stats.norm.ppf(0.5 + confidence / 2) * np.sqrt(max(variance, 0.0))
    centre = np.arctanh(coefficient)
    return (float(np.tanh(centre - half)), float(np.tanh(centre + half)))


@dataclass(frozen=True)
class RelativeError:
    """Summary of (estimate − reference) / reference; all but `n` in per cent.

    Attributes
    ----------
    n
        Number of pairs with a reference other than zero.
    mean, median
        Bias.
    median_absolute
        Median of the absolute relative error.
    p95_absolute
        95th percentile of the absolute relative error.
    root_mean_square
        Root of the mean squared relative error.
    """

    n: int
    mean: float
    median: float
    median_absolute: float
    p95_absolute: float
    root_mean_square: float


def relative_error(reference: ArrayLike, estimate: ArrayLike) -> RelativeError:
    """Summary of the relative error of estimates, shapes (n,); pairs with reference 0 are left out."""
    x, y = _pairs(reference, estimate)
    error = 100 * (y[x != 0] - x[x != 0]) / x[x != 0]
    if len(error) == 0:
        return RelativeError(0, np.nan, np.nan, np.nan, np.nan, np.nan)
    size = np.abs(error)
    return RelativeError(
        n=len(error),
        mean=float(error.mean()),
        median=float(np.median(error)),
        median_absolute=float(np.median(size)),
        p95_absolute=float(np.percentile(size, 95)),
        root_mean_square=float(np.sqrt(np.mean(error**2))),
    )


@dataclass(frozen=True)
class Reliability:
    """Intraclass correlation ICC(2,1) and its confidence interval."""

    n: int
    coefficient: float
    interval: Interval


def intraclass_correlation(values: ArrayLike, *, confidence: float = 0.95) -> Reliability:
    """ICC(2,1): two-way random effects, absolute agreement, single measurement.

    Parameters
    ----------
    values
        Shape (subjects, sessions); subjects with a value that is not finite are left out.
    confidence
        Level of the interval.

    Returns
    -------
    NaN for fewer than three subjects or without any variance.

    Notes
    -----
    Shrout and Fleiss, Psychol Bull 1979;86:420; McGraw and Wong, Psychol Methods 1996;1:30.
    """
    table = np.asarray(values, float)
    table = table[np.isfinite(table).all(axis=1)]
    n, k = table.shape
    if n < 3 or np.ptp(table) == 0:
        return Reliability(n, np.nan, _UNKNOWN)
    subjects, sessions, residual = _mean_squares(table)
    coefficient = (subjects - residual) / (subjects + (k - 1) * residual + k * (sessions - residual) / n)
    interval = _icc_interval(n, k, coefficient, subjects, sessions, residual, confidence)
    return Reliability(n, float(coefficient), interval)


def _mean_squares(table: Array) -> tuple[float, float, float]:
    """Mean squares of a two-way layout: between subjects, between sessions, residual."""
    n, k = table.shape
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    residual = table - rows[:, None] - columns[None, :] + table.mean()
    return (
        float(k * rows.var(ddof=1)),
        float(n * columns.var(ddof=1)),
        float(np.sum(residual**2) / ((n - 1) * (k - 1))),
    )


def _icc_interval(
    n: int, k: int, coefficient: float, subjects: float, sessions: float, residual: float, confidence: float
) -> Interval:
    if residual <= 0:
        return _UNKNOWN
    ratio = sessions / residual
    own = n * (1 + (k - 1) * coefficient) - k * coefficient
    freedom = (
        (k - 1) * (n - 1) * (k * coefficient * ratio + own) ** 2 / ((n - 1) * k**2 * coefficient**2 * ratio**2 + own**2)
    )
    level = 0.5 + confidence / 2
    low, high = float(stats.f.ppf(level, n - 1, freedom)), float(stats.f.ppf(level, freedom, n - 1))
    rest = k * sessions + (k * n - k - n) * residual
    return (
        float(n * (subjects - low * residual) / (low * rest + n * subjects)),
        float(n * (high * subjects - residual) / (rest + n * high * subjects)),
    )


def _pairs(reference: ArrayLike, estimate: ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(reference, float), np.asarray(estimate, float)
    finite = np.isfinite(x) & np.isfinite(y)
    return x[finite], y[finite]


def _around(centre: float, half: float) -> Interval:
    return (float(centre - half), float(centre + half))
