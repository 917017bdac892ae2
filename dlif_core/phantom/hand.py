"""How a laboratory is drawn: narrow ranges somewhere within wide ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlif_core.phantom.span import Span


@dataclass(frozen=True)
class Hand:
    """Draws what a laboratory is like.

    Attributes
    ----------
    rng
        Source of randomness.
    margin
        How much wider every range is on either side, relative to its width.
    """

    rng: np.random.Generator
    margin: float = 0.0

    def number(self, low: float, high: float) -> float:
        """A number from a range with its margins, which never reach below zero where the range does not."""
        reach = self.margin * (high - low)
        lowest = low - reach
        return float(self.rng.uniform(lowest if low < 0.0 else max(lowest, 0.0), high + reach))

    def near(self, low: float, high: float, variation: float = 0.1) -> Span:
        """A range of some width, relative to the wide one, about a value within it."""
        middle, reach = self.number(low, high), 0.5 * variation * (high - low)
        lowest = -np.inf if low < 0.0 else min(low - reach, 0.0)
        return Span((max(middle - reach, lowest), middle + reach))

    def sometimes(self, share: float, span: Span) -> Span:
        """A range that counts at a share of the laboratories."""
        return span if self.rng.random() < share else Span((0.0, 0.0))

    def uptakes(self, spreads: dict[str, float]) -> dict[str, Span]:
        """Factors on the uptake of organs, by the spread of their logarithm among laboratories."""
        factors = {}
        for organ, spread in spreads.items():
            middle = float(np.exp(spread * self.rng.standard_normal()))
            factors[organ] = Span((0.9 * middle, 1.1 * middle))
        return factors
