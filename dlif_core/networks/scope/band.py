"""Width of the band of a curve: a curve that is hardly known makes a scan doubtful."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlif_core.networks.calibration.calibration import CalibratedCurve
from dlif_core.networks.scope.verdict import Verdict

# share of sound scans within the limit, and the least that the limit is
_WITHIN, _LEAST = 0.99, 1.0


def band_width(curve: CalibratedCurve) -> float:
    """Mean width of the band over time, as a multiple of the mean of the curve; NaN if there is no band."""
    if curve.lower is None or curve.upper is None:
        return float("nan")
    width, mean = _mean(curve, curve.upper - curve.lower), _mean(curve, curve.whole_blood)
    return width / max(mean, 1e-9)


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
