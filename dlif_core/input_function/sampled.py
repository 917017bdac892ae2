"""Sampled activities laid out on a time grid, with the checks that samples of any source undergo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.blood_samples.series import Interpolation, Series
from dlif_core.blood_samples.tail import fit_tail, require_reach
from dlif_core.errors import BloodError

Array = NDArray[np.float64]

#: Fewest samples that can describe the rise, the peak and the tail of an arterial curve.
MIN_SAMPLES = 5
# extrapolation over less than this share of the scan is recorded without a warning
_NOTABLE_EXTRAPOLATION = 0.01
# a first sample above this share of the peak means that the rise was not sampled
_LATE_START = 0.5
# plasma to whole-blood ratios beyond this are found in no tracer and mean a mistaken unit
_PLAUSIBLE_RATIO = (0.2, 5.0)


@dataclass(frozen=True, eq=False)
class SampledCurve:
    """Values on a time grid.

    Attributes
    ----------
    values
        Shape (points,).
    provenance
        How they were made: plain values that JSON can hold.
    warnings
        What was extrapolated or assumed.
    with_metabolites
        Whether parent plasma made of the values holds metabolites, which were not measured.
    """

    values: Array
    provenance: dict[str, Any]
    warnings: tuple[str, ...] = ()
    with_metabolites: bool = False


def on_grid(
    series: Series,
    quantity: str,
    time: Array,
    *,
    max_extrapolation: float,
    interpolation: Interpolation = "linear",
    where: str = "",
) -> SampledCurve:
    """A sampled activity on a time grid from 0 to the end of the scan, with a log-linear tail after the last sample.

    Parameters
    ----------
    series
        Samples [Bq/mL].
    quantity
        What they measure, for messages.
    time
        The grid, shape (points,) [s].
    max_extrapolation
        Largest share of the scan that may be extrapolated.
    interpolation
        How values between samples are found.
    where
        File.

    Raises
    ------
    BloodError
        If there are too few samples, or they end too early.
    """
    end = float(time[-1])
    _require_enough(series, quantity, end, where)
    share = require_reach(series, quantity, end, max_extrapolation, where=where)
    values = series.at(time, interpolation)
    beyond = time > series.time[-1]
    if not beyond.any():
        return SampledCurve(values, {"from": "samples", "extrapolation": None})
    tail = fit_tail(series, where=where)
    warning = f"{quantity} is extrapolated log-linearly from {tail.last:g} s to {end:g} s ({share:.0%} of the scan)."
    return SampledCurve(
        np.where(beyond, tail.at(time), values),
        {"from": "samples", "extrapolation": tail.provenance},
        (warning,) if share > _NOTABLE_EXTRAPOLATION else (),
    )


def _require_enough(series: Series, quantity: str, end: float, source: str) -> None:
    within = int((series.time <= end).sum())
    if within >= MIN_SAMPLES:
        return
    raise BloodError(
        f"{within} arterial {quantity} samples lie within the scan (0 to {end:g} s), {MIN_SAMPLES} are needed; "
        f"the file has {len(series.time)}, from {series.time[0]:g} to {series.time[-1]:g} s.",
        where=source,
        hint="Sample times count in seconds from TimeZero of the scan; check for clock times and lost samples.",
    )


def implausible_ratio(ratio: Series | None) -> tuple[str, ...]:
    """A warning if total plasma over whole blood is one that no tracer has."""
    if ratio is None or _PLAUSIBLE_RATIO[0] <= np.median(ratio.value) <= _PLAUSIBLE_RATIO[1]:
        return ()
    return (f"plasma is {np.median(ratio.value):.2g} times whole blood (median); check the units of both columns.",)


def late_start(series: Series) -> tuple[str, ...]:
    """A warning if the first sample is so high that the rise was not sampled."""
    share = series.value[0] / series.value.max()
    if share <= _LATE_START:
        return ()
    return (
        f"the first arterial sample ({series.time[0]:g} s) already has {share:.0%} of the highest activity; "
        "the rise of the curve is a straight line from injection.",
    )
