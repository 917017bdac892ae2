"""Ranges from which the numbers of a simulated scan are drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlif_core.errors import ConfigurationError


@dataclass(frozen=True, init=False)
class Span:
    """A number drawn uniformly from one interval, or from several.

    Parameters
    ----------
    *intervals
        Lower and upper ends, which don't overlap.
    share
        Probability that the number is drawn from the intervals at all.
    otherwise
        Value in the other cases.

    Raises
    ------
    ConfigurationError
        If an interval ends before it starts or `share` is no probability.
    """

    intervals: tuple[tuple[float, float], ...]
    share: float
    otherwise: float

    def __init__(self, *intervals: tuple[float, float], share: float = 1.0, otherwise: float = 0.0) -> None:
        if not intervals or any(high < low for low, high in intervals) or not 0.0 <= share <= 1.0:
            raise ConfigurationError(
                f"no number can be drawn from {intervals} with probability {share}.",
                hint="Give intervals as (low, high) and a share from 0 to 1.",
            )
        object.__setattr__(self, "intervals", tuple(intervals))
        object.__setattr__(self, "share", share)
        object.__setattr__(self, "otherwise", otherwise)

    def draw(self, rng: np.random.Generator) -> float:
        """One number; it always costs one random number, so that changing a span leaves later draws alone."""
        place = rng.random()
        if place >= self.share:
            return self.otherwise
        lengths = np.array([high - low for low, high in self.intervals])
        place = place / self.share * max(lengths.sum(), np.finfo(float).tiny)
        first = int(np.searchsorted(np.cumsum(lengths)[:-1], place, side="right"))
        low, _ = self.intervals[first]
        return float(low + min(place - lengths[:first].sum(), lengths[first]))

    def holds(self, value: float) -> bool:
        """Whether a value can be drawn."""
        drawn = any(low <= value <= high for low, high in self.intervals)
        return drawn or (self.share < 1.0 and value == self.otherwise)

    def excludes(self, other: Span) -> bool:
        """Whether no interval overlaps one of another span; they may touch."""
        return all(a <= low or high <= b for low, high in self.intervals for b, a in other.intervals)
