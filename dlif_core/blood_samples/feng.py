"""The Feng model of an arterial input function after a bolus, with delay and dispersion, in closed form.

With u = t − τ in minutes, for u ≥ 0:

    C(u) = (A1·u − A2 − A3)·e^(λ1·u) + A2·e^(λ2·u) + A3·e^(λ3·u)

Source: Feng, Huang & Wang, Int J Biomed Comput 1993;32:95-110. Dispersion convolves C with (1/τd)·e^(−t/τd)
(Iida et al., J Cereb Blood Flow Metab 1986;6:536-545).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import ConfigurationError

Array = NDArray[np.float64]

_SECONDS_PER_MINUTE = 60.0

# ∫₀¹ x·e^(w·x) dx near w = 0, where the closed form cancels
_FIRST_MOMENT = np.polynomial.Polynomial([1 / 2, 1 / 3, 1 / 8, 1 / 30, 1 / 144, 1 / 840, 1 / 5760])


@dataclass(frozen=True)
class FengInput:
    """Parameters of one Feng input function.

    Attributes
    ----------
    delay
        τ [min].
    a1
        A1 [SUV/min].
    a2, a3
        A2, A3 [SUV].
    lambda1, lambda2, lambda3
        λ1, λ2, λ3 [min⁻¹], negative or zero.
    dispersion
        τd [min]; 0 for none.

    Raises
    ------
    ConfigurationError
        If a rate is positive, the dispersion negative or a value not finite.
    """

    delay: float
    a1: float
    a2: float
    a3: float
    lambda1: float
    lambda2: float
    lambda3: float
    dispersion: float = 0.0

    def __post_init__(self) -> None:
        rates = (self.lambda1, self.lambda2, self.lambda3)
        finite = np.isfinite([self.delay, self.a1, self.a2, self.a3, *rates, self.dispersion]).all()
        if not finite or max(rates) > 0 or self.dispersion < 0:
            raise ConfigurationError(
                f"{self} is not a Feng input function.",
                hint="Rates must be negative or zero [1/min], the dispersion zero or positive [min], all finite.",
            )

    def curve(self, time: ArrayLike) -> Array:
        """Value of the dispersed curve at given times.

        Parameters
        ----------
        time
            Any shape [s from injection].

        Returns
        -------
        Same shape [SUV, g/mL]; zero until the delay has passed.
        """
        minutes = np.clip(np.asarray(time, float) / _SECONDS_PER_MINUTE - self.delay, 0.0, None)
        plain = ((-self.a2 - self.a3, self.lambda1), (self.a2, self.lambda2), (self.a3, self.lambda3))
        if self.dispersion == 0.0:
            exponentials = sum(height * np.exp(rate * minutes) for height, rate in plain)
            return np.asarray(self.a1 * minutes * np.exp(self.lambda1 * minutes) + exponentials)
        washout = -1.0 / self.dispersion
        exponentials = sum(height * _convolved_exponential(minutes, rate, washout) for height, rate in plain)
        ramp = self.a1 * _convolved_ramp(minutes, self.lambda1, washout)
        return np.asarray((ramp + exponentials) / self.dispersion)


def _convolved_exponential(time: Array, rate: float, washout: float) -> Array:
    """∫₀ᵗ e^(rate·s)·e^(washout·(t−s)) ds, exact also where both rates are equal."""
    slower = max(rate, washout)
    return np.asarray(time * np.exp(slower * time) * scipy.special.exprel(-abs(rate - washout) * time))


def _convolved_ramp(time: Array, rate: float, washout: float) -> Array:
    """∫₀ᵗ s·e^(rate·s)·e^(washout·(t−s)) ds, exact also where both rates are equal."""
    distance = -abs(rate - washout) * time
    moment = _first_moment(distance)
    if rate > washout:
        return np.asarray(time**2 * np.exp(rate * time) * (scipy.special.exprel(distance) - moment))
    return np.asarray(time**2 * np.exp(washout * time) * moment)


def _first_moment(w: Array) -> Array:
    """∫₀¹ x·e^(w·x) dx for w ≤ 0."""
    small = np.abs(w) < 1e-2
    safe = np.where(small, -1.0, w)
    return np.where(small, _FIRST_MOMENT(w), (np.exp(safe) * (safe - 1.0) + 1.0) / safe**2)
