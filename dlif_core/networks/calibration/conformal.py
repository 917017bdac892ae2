"""Conformal quantiles: limits that the error of a new scan keeps with a stated probability.

Of n scores of scans that are exchangeable with a new one, the ⌈(n + 1)·level⌉-th smallest is not exceeded by the new
score with at least that probability, whatever their distribution. Source: Vovk, Gammerman & Shafer, Algorithmic
Learning in a Random World, 2005; for curves with the largest normalised deviation as score, Diquigiovanni, Fontana &
Vantini, J Multivar Anal 2022;189:104879 (arXiv 2106.01792). It holds on average over scans, not for each one.

Several scans of an animal, or animals of a laboratory, are alike. Then the groups are exchangeable with that of the new
scan, and the scans within each: a group counts as one, its scores share its weight. Source: Lee, Barber & Willett,
Distribution-free inference with hierarchical data, arXiv 2306.06342.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import ConfigurationError

Array = NDArray[np.float64]


def fewest_scores(level: float) -> int:
    """Fewest scores that give a limit at a level: 9 for .9, 19 for .95."""
    return math.ceil(round(level / (1.0 - level), 9))


def refusal(scores: int, level: float) -> str:
    """Reason why so many scores give no limit at a level; empty if they give one."""
    fewest = fewest_scores(level)
    if scores >= fewest:
        return ""
    return f"{scores} calibration scans are too few for {100 * level:g} %; it takes {fewest}."


def group_weights(groups: Sequence[object]) -> Array:
    """Weight of each score in its group, such that those of a group add up to 1."""
    sizes = Counter(groups)
    return np.array([1.0 / sizes[group] for group in groups])


def conformal_quantile(scores: ArrayLike, level: float, weights: ArrayLike | None = None) -> float:
    """Limit that the score of a new scan keeps with at least this probability.

    Parameters
    ----------
    scores
        Scores of the calibration scans, shape (n,).
    level
        Probability, between 0 and 1.
    weights
        Result of `group_weights`, shape (n,); left out, every score is a group of its own.

    Raises
    ------
    ConfigurationError
        If there are too few scores for the level, or it is not between 0 and 1.
    """
    scores = np.asarray(scores, float)
    weight = np.ones(len(scores)) if weights is None else np.asarray(weights, float)
    if not 0.0 < level < 1.0:
        raise ConfigurationError(f"{level} is not a level of confidence.", hint="Give a number between 0 and 1.")
    groups = round(weight.sum())
    if why := refusal(groups, level):
        raise ConfigurationError(why, hint="Calibrate on more scans, or ask for a lower level.")
    order = np.argsort(scores, kind="stable")
    # (n + 1)·level may be a whole number that binary fractions miss
    reached = np.cumsum(weight[order]) >= (groups + 1) * level - 1e-9
    return float(scores[order][np.argmax(reached)])
