"""Conformal quantiles: limits that the error of a new scan keeps with a stated probability.

Of n scores of scans that are exchangeable with a new one, the ⌈(n + 1)·level⌉-th smallest is not exceeded by the new
score with at least that probability, whatever their distribution. Source: Vovk, Gammerman & Shafer, Algorithmic
Learning in a Random World, 2005; for curves with the largest normalised deviation as score, Diquigiovanni, Fontana &
Vantini, J Multivar Anal 2022;189:104879 (arXiv 2106.01792). It holds on average over scans, not for each one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from dlif_core.errors import ConfigurationError


def fewest_scores(level: float) -> int:
    """Fewest scores that give a limit at a level: 9 for .9, 19 for .95."""
    return math.ceil(round(level / (1.0 - level), 9))


def refusal(scores: int, level: float) -> str:
    """Reason why so many scores give no limit at a level; empty if they give one."""
    fewest = fewest_scores(level)
    if scores >= fewest:
        return ""
    return f"{scores} calibration scans are too few for {100 * level:g} %; it takes {fewest}."


def conformal_quantile(scores: ArrayLike, level: float) -> float:
    """Limit that the score of a new scan keeps with at least this probability.

    Parameters
    ----------
    scores
        Scores of the calibration scans, shape (n,).
    level
        Probability, between 0 and 1.

    Raises
    ------
    ConfigurationError
        If there are too few scores for the level, or it is not between 0 and 1.
    """
    scores = np.sort(np.asarray(scores, float))
    if not 0.0 < level < 1.0:
        raise ConfigurationError(f"{level} is not a level of confidence.", hint="Give a number between 0 and 1.")
    if why := refusal(len(scores), level):
        raise ConfigurationError(why, hint="Calibrate on more scans, or ask for a lower level.")
    # rounded, because (n + 1)·level may be a whole number that binary fractions miss
    return float(scores[math.ceil(round((len(scores) + 1) * level, 9)) - 1])
