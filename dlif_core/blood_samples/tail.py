"""Extrapolation of a series beyond its last sample, never in silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.blood_samples.series import Series
from dlif_core.errors import BloodError

Array = NDArray[np.float64]

_FEWEST = 3


@dataclass(frozen=True)
class Tail:
    """A mono-exponential line through the last samples: value·e^(−rate·(t − last)).

    Attributes
    ----------
    last
        Time of the last sample [s].
    value
        Fitted value there, in the unit of the series.
    rate
        Zero or positive [min⁻¹]: a tail never grows.
    samples
        Number of samples it was fitted to.
    """

    last: float
    value: float
    rate: float
    samples: int

    def at(self, time: ArrayLike) -> Array:
        """Extrapolated value at given times [s]."""
        return np.asarray(self.value * np.exp(-self.rate * (np.asarray(time, float) - self.last) / 60.0))

    @property
    def provenance(self) -> dict[str, Any]:
        """Plain values for the record of a curve."""
        return {
            "model": "log-linear",
            "from [s]": self.last,
            "rate [1/min]": self.rate,
            "samples": self.samples,
        }


def fit_tail(series: Series, *, where: object = "") -> Tail:
    """Fit the logarithm of the samples in the last third of the recorded time, three at least, by a line.

    Raises
    ------
    BloodError
        If fewer than three of them are positive.
    """
    last = float(series.time[-1])
    chosen = (series.time >= 2 / 3 * last) | (np.arange(len(series.time)) >= len(series.time) - _FEWEST)
    chosen &= series.value > 0
    if chosen.sum() < _FEWEST:
        raise BloodError(
            f"the last samples before {last:g} s hold no activity, so that the tail can't be extrapolated.",
            where=where,
            hint="Check the last samples; remove those that were not measured.",
        )
    time, value = series.time[chosen], series.value[chosen]
    slope, level = np.polyfit((time - last) / 60.0, np.log(value), 1)
    return Tail(last, float(np.exp(level)), float(max(-slope, 0.0)), int(chosen.sum()))


def require_reach(series: Series, quantity: str, end: float, limit: float, *, where: object = "") -> float:
    """Share of the scan that lies after the last sample.

    Parameters
    ----------
    series
        Samples.
    quantity
        What they measure, for the error message.
    end
        End of the scan [s].
    limit
        Largest share that may be extrapolated.
    where
        File.

    Raises
    ------
    BloodError
        If more than `limit` of the scan would have to be extrapolated.
    """
    last = float(series.time[-1])
    share = max(0.0, 1.0 - last / end)
    if share > limit:
        raise BloodError(
            f"the last arterial {quantity} sample is at {last:g} s, the scan ends at {end:g} s: "
            f"{share:.0%} of the scan would have to be extrapolated, {limit:.0%} is allowed.",
            where=where,
            hint="Add the later samples, or allow more with the option max_extrapolation.",
        )
    return share
