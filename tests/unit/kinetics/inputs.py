"""Uncertain input functions for the tests: Feng curves with random parameters."""

from dataclasses import replace

import numpy as np

from dlif_core.curve import InputFunction
from tests.unit.kinetics.truth import mouse_input

#: Delay [min], A1, A2, A3 [SUV/min, SUV, SUV] and λ1, λ2, λ3 [min⁻¹] of `kinetics_truth.feng`.
FENG = np.array([0.613, 102.8, 1.82, 1.85, -5.55, -0.227, -0.0333])
#: Standard deviation of the delay over the relative one of the other parameters [min].
_DELAY = 0.05
TIME = np.unique(np.concatenate([np.arange(30, 150, 3), np.arange(150, 600, 50), np.arange(600, 2731, 213)]))


def feng_curve(parameters: np.ndarray) -> np.ndarray:
    """Whole blood at `TIME` [Bq/mL]."""
    delay, a1, a2, a3, *rates = parameters
    u = np.clip(TIME / 60 - delay, 0, None)
    terms = ((a1 * u - a2 - a3), a2, a3)
    curve = sum(term * np.exp(rate * u) for term, rate in zip(terms, rates, strict=True))
    return 1e4 * np.where(delay < TIME / 60, curve, 0.0)


def draw(centre: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Log-normal around a centre with a coefficient of variation; the delay is normal."""
    drawn = centre * np.exp(spread * rng.standard_normal(len(centre)))
    drawn[0] = centre[0] + _DELAY * spread * rng.standard_normal()
    return drawn


def uncertain_input(centre: np.ndarray, spread: float, count: int, rng: np.random.Generator) -> InputFunction:
    """The curve of a centre, with samples around it."""
    samples = np.array([feng_curve(draw(centre, spread, rng)) for _ in range(count)])
    return replace(with_plasma(feng_curve(centre)), samples=samples)


def with_plasma(whole_blood: np.ndarray) -> InputFunction:
    """A curve at `TIME` with the plasma of a mouse."""
    blank = mouse_input(TIME)
    ratio = 0.386 * np.exp(-0.191 * TIME / 60) + 1.165
    return replace(blank, whole_blood=whole_blood, plasma=whole_blood * ratio)
