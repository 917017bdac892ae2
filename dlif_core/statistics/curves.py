"""Metrics of input functions (peak, width, area) and the cohort's table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from dlif_core.curve import InputFunction
from dlif_core.frames import integral_at

Array = NDArray[np.float64]
Curves = Mapping[str, Mapping[str, InputFunction]]

_UNIT = "Bq/mL"


@dataclass(frozen=True)
class CurveMetrics:
    """Metrics that describe one curve.

    Attributes
    ----------
    peak
        Highest value [Bq/mL].
    time_to_peak
        Time of the highest value [s from injection].
    fwhm
        Full width at half of the peak [s]; NaN where the curve doesn't fall to it.
    auc
        Area under the curve from its first point to `auc_end` [Bq/mL·s].
    auc_end
        Time up to which the area is taken [s].
    """

    peak: float
    time_to_peak: float
    fwhm: float
    auc: float
    auc_end: float


def curve_metrics(time: ArrayLike, values: ArrayLike, until: float | None = None) -> CurveMetrics:
    """Compute peak, width and area of a piecewise linear curve.

    Parameters
    ----------
    time, values
        Shape (points,) [s] and [Bq/mL].
    until
        End of the area [s], not after the last point; the last point by default.
    """
    time, values = np.asarray(time, float), np.asarray(values, float)
    end = float(time[-1] if until is None else min(until, time[-1]))
    top = int(np.argmax(values))
    area = float(integral_at(time, values, [end])[0])
    return CurveMetrics(float(values[top]), float(time[top]), _width(time, values, top), area, end)


def _width(time: Array, values: Array, top: int) -> float:
    half = 0.5 * values[top]
    rise = _crossing(time[top::-1], values[top::-1], half)
    fall = _crossing(time[top:], values[top:], half)
    # A curve is zero before its first point, so one that starts above half rises there.
    return fall - (float(time[0]) if np.isnan(rise) else rise)


def _crossing(time: Array, values: Array, level: float) -> float:
    """Time at which a curve that starts above `level` first falls to it; NaN if never."""
    below = np.flatnonzero(values <= level)
    if len(below) == 0 or below[0] == 0:
        return float("nan")
    i = below[0]
    part = (values[i - 1] - level) / (values[i - 1] - values[i])
    return float(time[i - 1] + part * (time[i] - time[i - 1]))


def common_end(curves: Sequence[InputFunction]) -> float:
    """Last time [s] that every curve reaches, so that their areas can be compared."""
    return min(float(curve.time[-1]) for curve in curves)


def common_grid(end: float) -> Array:
    """Time grid onto which all input functions of a cohort are interpolated.

    Step 1 s up to 3 min, where the peak is; 5 s up to 10 min; 30 s from there, up to `end` [s].

    Returns
    -------
    Shape (time,) [s].
    """
    parts = (np.arange(0.0, 180.0, 1.0), np.arange(180.0, 600.0, 5.0), np.arange(600.0, end + 30.0, 30.0))
    grid = np.concatenate(parts)
    return np.append(grid[grid < end], end)


def input_function_table(curves: Curves) -> xr.Dataset:
    """All input functions of a cohort on one time grid, with the metrics of each.

    Curves are interpolated linearly, which is what an input function is between its points, onto
    `common_grid`. They are zero before their first point and NaN after the last: nothing is extrapolated.
    The metrics come from the curves themselves, not from the grid. Areas run to `auc_end`, the last time
    that all methods of the scan reach.

    Parameters
    ----------
    curves
        Scan id → method → curve.

    Returns
    -------
    Dims (scan, method, time): ``whole_blood``, ``plasma``, and ``lower``, ``upper`` (NaN without band);
    dims (scan, method): ``peak``, ``time_to_peak``, ``fwhm``, ``auc`` (whole blood), ``plasma_auc``, ``auc_end``.
    Select with ``table.sel({"method": "arterial"})``: as a keyword, `method` means something else to xarray.
    """
    scans = [scan for scan in curves if curves[scan]]
    methods = list(dict.fromkeys(method for scan in scans for method in curves[scan]))
    end = max((float(c.time[-1]) for scan in scans for c in curves[scan].values()), default=0.0)
    time = common_grid(end)
    coordinates = {"scan": scans, "method": methods, "time": ("time", time, _describe("time from injection", "s"))}
    table = xr.Dataset(coords=coordinates)
    for name, long_name in _CURVES.items():
        values = np.full((len(scans), len(methods), len(time)), np.nan)
        for i, scan in enumerate(scans):
            for method, curve in curves[scan].items():
                values[i, methods.index(method)] = _resampled(curve, name, time)
        table[name] = (("scan", "method", "time"), values, _describe(long_name, _UNIT))
    return table.assign(_metric_variables(input_function_metrics(curves), scans, methods))


_CURVES = {
    "whole_blood": "whole blood",
    "plasma": "parent plasma",
    "lower": "lower band of whole blood",
    "upper": "upper band of whole blood",
}
_METRICS = {
    "peak": ("peak of whole blood", _UNIT),
    "time_to_peak": ("time to peak of whole blood", "s"),
    "fwhm": ("full width at half maximum of whole blood", "s"),
    "auc": ("area under whole blood up to auc_end", "Bq/mL*s"),
    "plasma_auc": ("area under parent plasma up to auc_end", "Bq/mL*s"),
    "auc_end": ("end of the areas", "s"),
}


def input_function_metrics(curves: Curves) -> pd.DataFrame:
    """Metrics of every curve, one row for each scan and method.

    Returns
    -------
    Columns scan_id, method, peak [Bq/mL], time_to_peak [s], fwhm [s], auc and plasma_auc [Bq/mL·s] up to auc_end [s].
    """
    rows = [
        {"scan_id": scan, "method": method} | _metrics_of(curve, common_end(list(methods.values())))
        for scan, methods in curves.items()
        for method, curve in methods.items()
    ]
    return pd.DataFrame(rows, columns=["scan_id", "method", *_METRICS])


def _metrics_of(curve: InputFunction, end: float) -> dict[str, float]:
    blood = curve_metrics(curve.time, curve.whole_blood, end)
    plasma = curve_metrics(curve.time, curve.plasma, end)
    return {
        "peak": blood.peak,
        "time_to_peak": blood.time_to_peak,
        "fwhm": blood.fwhm,
        "auc": blood.auc,
        "plasma_auc": plasma.auc,
        "auc_end": blood.auc_end,
    }


def _metric_variables(metrics: pd.DataFrame, scans: list[str], methods: list[str]) -> dict[str, xr.DataArray]:
    square = metrics.set_index(["scan_id", "method"])
    variables = {}
    for name, (long_name, unit) in _METRICS.items():
        values = square[name].unstack("method").reindex(index=scans, columns=methods)
        variables[name] = xr.DataArray(
            values.to_numpy(float), dims=("scan", "method"), attrs=_describe(long_name, unit)
        )
    return variables


def _resampled(curve: InputFunction, name: str, time: Array) -> Array:
    values = getattr(curve, name)
    if values is None:
        return np.full(len(time), np.nan)
    return np.asarray(np.interp(time, curve.time, values, left=0.0, right=np.nan))


def _describe(long_name: str, unit: str) -> dict[str, str]:
    return {"long_name": long_name, "units": unit}
