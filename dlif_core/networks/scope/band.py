"""Whether a curve is known: one whose band is wide, or whose end was read below zero, makes a scan doubtful."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlif_core.frames import FrameTiming
from dlif_core.networks.calibration.calibration import CalibratedCurve
from dlif_core.networks.prediction.correction import OFFSET
from dlif_core.networks.prediction.predict import Prediction
from dlif_core.networks.scope.features import as_array
from dlif_core.networks.scope.verdict import Verdict

# share of sound scans within the limit, and the least that the limit is
_WITHIN, _LEAST = 0.99, 1.0
# the end of a scan in which blood is compared with zero, and the earliest that it begins [s]
_END, _LATE = 600.0, 600.0


def band_width(curve: CalibratedCurve) -> float:
    """Mean width of the band over time, as a multiple of the mean of the curve; NaN if there is no band."""
    if curve.lower is None or curve.upper is None:
        return float("nan")
    width, mean = _mean(curve, curve.upper - curve.lower), _mean(curve, curve.whole_blood)
    return width / max(mean, 1e-9)


def check_end(members: Sequence[Prediction], timing: FrameTiming) -> Verdict:
    """Doubt a scan in whose last ten minutes blood was read below zero, before any correction.

    Parameters
    ----------
    members
        Predictions of the networks.
    timing
        Start and duration of the frames.
    """
    late = timing.mid > max(timing.end[-1] - _END, timing.begin + _LATE)
    if not late.any():
        return Verdict()
    read = np.mean([as_array((one.whole_blood + OFFSET) / one.factor - OFFSET) for one in members], axis=0)
    level = float(np.average(read[late], weights=timing.duration[late]))
    if level >= 0.0:
        return Verdict()
    return Verdict(
        "doubtful",
        (
            "blood was read below zero at the end of the scan, as beside a very active heart: the end of the curve is "
            "what the time before lets expect.",
        ),
        1.0,
    )


def _mean(curve: CalibratedCurve, values: np.typing.NDArray[np.float64]) -> float:
    return float(np.trapezoid(values, curve.time) / (curve.time[-1] - curve.time[0]))


def fit_band(widths: Sequence[float]) -> float:
    """Limit on `band_width` that 99 % of sound scans keep, never below 1: a band as wide as the curve is no fault.

    Parameters
    ----------
    widths
        `band_width` of each sound scan.
    """
    known = [width for width in widths if np.isfinite(width)]
    return max(_LEAST, float(np.quantile(known, _WITHIN))) if known else _LEAST


def check_band(curve: CalibratedCurve, limit: float) -> Verdict:
    """Doubt a scan whose band is wider than a limit.

    Parameters
    ----------
    curve
        The curve of the scan with its band.
    limit
        Largest `band_width`.
    """
    width = band_width(curve)
    if not width > limit:
        return Verdict(score=width / limit if np.isfinite(width) else 0.0)
    mean = _mean(curve, curve.whole_blood)
    reason = (
        f"the {100 * curve.level:.0f} % band is {width * mean:.2g} SUV wide on average, {width:.2g} times the mean of "
        f"the curve ({mean:.2g} SUV), in sound scans up to {limit:.2g} times: the curve is hardly known."
    )
    return Verdict("doubtful", (reason,), width / limit)
