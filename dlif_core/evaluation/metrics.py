"""Metrics of one input function of one scan against the true one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.evaluation.conditions import SHORT_END
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitSettings, fit_regions
from dlif_core.scan import DynamicScan, RegionCurves
from dlif_core.statistics.curves import common_end, curve_metrics

Array = NDArray[np.float64]

#: Regions whose parameters are compared.
ORGANS = ("brain", "myocardium", "tumour")
#: Least volume of an organ by body weight from which it is in view [mm³/kg]: a brain is about 17 mL for each kilogram.
_IN_VIEW = {"brain": 2000.0}

#: Start of the linear phase in the Patlak plots [min].
T_STAR = 10.0

#: Parameter of every fit by the name of its metric.
FITS = {
    "ki": ("Ki", FitSettings("patlak", t_star=T_STAR)),
    "k1": ("K1", FitSettings("2tcm-irreversible")),
}

#: Metrics of the curve with an interval in its provenance, and organs whose Ki has one.
INTERVALS, KI_INTERVALS = ("auc", "peak"), ("brain", "myocardium")

# a curve tilts if its ratio to the true one differs between these times after the arrival of the bolus [s], which is
# when blood passes this part of its peak
_MIDDLE, _TAIL, _ARRIVED = (300.0, 900.0), (1980.0, 2700.0), 0.1

# rounding of a band that touches the truth [SUV]
_TOUCHING = 1e-9


def curve_errors(curve: InputFunction, truth: InputFunction, timing: FrameTiming, suv: float) -> dict[str, float]:
    """Errors of the whole-blood curve.

    Parameters
    ----------
    curve, truth
        Estimated and true input function [Bq/mL].
    timing
        Frames of the scan.
    suv
        SUV of one Bq/mL.

    Returns
    -------
    ``rmse`` and ``bias`` of the frame averages [SUV], each frame counting once; ``early_rmse`` over the frames of the
    first 20 min; ``auc_ratio`` up to the end of the scan and ``peak_ratio``, estimated over true; ``fwhm_error``,
    estimated less true [min]; ``tilt``, see `tail_tilt`.
    """
    error = suv * (curve.frame_average(timing)[0] - truth.frame_average(timing)[0])
    early = timing.end <= SHORT_END
    until = min(common_end([curve, truth]), float(timing.end[-1]))
    own, true = (curve_metrics(each.time, each.whole_blood, until) for each in (curve, truth))
    return {
        "rmse": _root_mean_square(error),
        "early_rmse": _root_mean_square(error[early]) if early.any() else np.nan,
        "bias": float(error.mean()),
        "auc_ratio": own.auc / true.auc,
        "peak_ratio": own.peak / true.peak,
        "fwhm_error": (own.fwhm - true.fwhm) / 60.0,
        "tilt": tail_tilt(curve, truth, timing),
    }


def tail_tilt(curve: InputFunction, truth: InputFunction, timing: FrameTiming) -> float:
    """How much the tail is turned: size of the relative change of estimated over true area.

    The areas are those of the frames from 5 to 15 min and from 33 to 45 min after the bolus arrived, so that a wrong
    scale counts nothing. NaN if the scan has none of the later frames.
    """
    arrived = truth.time[int(np.argmax(truth.whole_blood > _ARRIVED * truth.whole_blood.max()))]
    since, areas = timing.mid - arrived, timing.duration * [each.frame_average(timing)[0] for each in (curve, truth)]
    middle, tail = (areas[:, (begin < since) & (since < end)].sum(axis=1) for begin, end in (_MIDDLE, _TAIL))
    if not middle.all() or not tail.all():
        return float("nan")
    return float(abs(middle[0] / middle[1] / (tail[0] / tail[1]) - 1.0))


def band_metrics(curve: InputFunction, truth: InputFunction, timing: FrameTiming, suv: float) -> dict[str, float]:
    """Whether the band contains the true averages of all frames, and its mean width over frames [SUV].

    Parameters are those of `curve_errors`; the result is empty if the method gives no band.
    """
    if curve.lower is None or curve.upper is None:
        return {}
    low, high = suv * timing.average(curve.time, np.stack([curve.lower, curve.upper]))
    true = suv * truth.frame_average(timing)[0]
    inside = (low <= true + _TOUCHING) & (true <= high + _TOUCHING)
    return {"band_covers": float(inside.all()), "band_width": float((high - low).mean())}


def interval_metrics(
    intervals: Mapping[str, Any], truth: InputFunction, timing: FrameTiming, suv: float
) -> dict[str, float]:
    """Whether the intervals of the area [SUV·min] and of the peak [SUV] contain the true values.

    Parameters
    ----------
    intervals
        (lower, upper) by one of `INTERVALS`; missing ones are left out.
    truth, timing, suv
        Parameters of `curve_errors`.
    """
    true = curve_metrics(truth.time, truth.whole_blood, float(timing.end[-1]))
    values = {"auc": suv * true.auc / 60.0, "peak": suv * true.peak}
    known = {name: intervals[name] for name in INTERVALS if intervals.get(name)}
    return {f"{name}_covered": float(low <= values[name] <= high) for name, (low, high) in known.items()}


def fit_organs(scan: DynamicScan, curve: InputFunction) -> dict[str, float]:
    """Patlak Ki and K1 of the irreversible two-tissue model, in each of `ORGANS` that the scan has in view.

    Returns
    -------
    Parameters by ``ki_brain``, ``k1_brain`` … [mL·cm⁻³·min⁻¹].
    """
    rows = [row for row in range(len(scan.regions.names)) if _in_view(scan, row)]
    if not rows:
        return {}
    scan, curve = replace(scan, regions=_only(scan.regions, rows)), _without_samples(curve)
    found: dict[str, float] = {}
    for name, (parameter, settings) in FITS.items():
        fits = fit_regions(scan, curve, settings)
        found |= {
            f"{name}_{organ}": float(value)
            for organ, value in zip(scan.regions.names, fits[parameter].values, strict=True)
        }
    return found


def fit_errors(found: Mapping[str, float], reference: Mapping[str, float]) -> dict[str, float]:
    """Relative errors of fitted parameters against the same fits with the true input function [%]."""
    return {f"{name}_error": 100.0 * (found[name] / true - 1.0) for name, true in reference.items() if true}


def ki_interval_metrics(
    intervals: Mapping[str, Any], found: Mapping[str, float], reference: Mapping[str, float]
) -> dict[str, float]:
    """Whether the intervals of Ki contain the Ki that the true input function gives.

    Parameters
    ----------
    intervals
        (lower, upper) by ``"Ki brain"`` …, relative to the Ki that the curve gives.
    found, reference
        Parameters from `fit_organs` with the estimated and with the true input function.
    """
    known = {organ: intervals.get(f"Ki {organ}") for organ in KI_INTERVALS if f"ki_{organ}" in found}
    return {
        f"ki_{organ}_covered": float(limits[0] <= reference[f"ki_{organ}"] / found[f"ki_{organ}"] <= limits[1])
        for organ, limits in known.items()
        if limits
    }


def _in_view(scan: DynamicScan, row: int) -> bool:
    """Whether a region is one of `ORGANS`, and not but a sliver of it at the edge of the image."""
    name, volume = scan.regions.names[row], float(scan.regions.volume[row])
    return name in ORGANS and not volume < _IN_VIEW.get(name, 0.0) * (scan.acquisition.body_weight or 0.0)


def _only(regions: RegionCurves, rows: list[int]) -> RegionCurves:
    names = tuple(regions.names[row] for row in rows)
    return RegionCurves(names, regions.activity[rows], regions.volume[rows], regions.source)


def _without_samples(curve: InputFunction) -> InputFunction:
    """The curve without samples: the fit of the mean curve is judged, not the spread of its samples."""
    return InputFunction(curve.time, curve.whole_blood, curve.plasma, curve.method)


def _root_mean_square(error: Array) -> float:
    return float(np.sqrt(np.mean(error**2)))
