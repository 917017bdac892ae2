"""Metrics of a curve whose uncertainty is calibrated: its area, its peak, and Patlak Ki of usual tissues."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitSettings, fit_regions
from dlif_core.networks.prediction.continuous import ContinuousCurve
from dlif_core.phantom.physiology import OrganKinetics, organ_curves
from dlif_core.phantom.tracers import FDG
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

Array = NDArray[np.float64]

#: Tissues whose Ki gets an interval, and the start of the linear phase of their Patlak plots [min].
KI_TISSUES, T_STAR = ("brain", "myocardium"), 10.0
#: Names of the scores of a calibration: of the band, and of every metric.
SCORES = ("band", "auc", "peak", *(f"Ki {tissue}" for tissue in KI_TISSUES))

_MINUTE = 60.0
# no curve is taken to be wrong by more than this factor
_WORST = 1e6


def area_and_peak(curve: ContinuousCurve) -> dict[str, float]:
    """Area under the curve ``auc`` [SUV·min] and ``peak`` [SUV]."""
    return {"auc": float(np.trapezoid(curve.values, curve.time)) / _MINUTE, "peak": float(curve.values.max())}


def influx_ratios(curve: ContinuousCurve, truth: ContinuousCurve, timing: FrameTiming) -> dict[str, float]:
    """Patlak Ki of usual tissues by a curve over that by the true one; NaN where the scan is too short or it reaches 0.

    The tissues have taken up tracer from the true curve. Whole blood serves as plasma, which cancels in ratios.
    """
    true = InputFunction(truth.time, truth.values, truth.values, "truth")
    tissues = organ_curves({name: _irreversible(name) for name in KI_TISSUES}, true, timing)
    regions = RegionCurves(KI_TISSUES, tissues, np.full(len(tissues), np.nan))
    scan = DynamicScan(timing, Acquisition("FDG", math.inf), regions)
    own = InputFunction(curve.time, curve.values, curve.values, "learned")
    settings = FitSettings("patlak", t_star=T_STAR, weights="uniform")
    try:
        found, expected = (fit_regions(scan, each, settings)["Ki"].values for each in (own, true))
    except InputError:
        return {f"Ki {tissue}": math.nan for tissue in KI_TISSUES}
    ratios = np.where(found > 0.0, found / expected, np.nan)
    return {f"Ki {tissue}": float(ratio) for tissue, ratio in zip(KI_TISSUES, ratios, strict=True)}


def _irreversible(tissue: str) -> OrganKinetics:
    """FDG kinetics of a tissue without dephosphorylation."""
    return replace(OrganKinetics(*FDG.tissue[tissue]), k4=0.0)


def log_error(ratio: float) -> float:
    """Size of the logarithm of estimated over true; that of a million where the estimate has the wrong sign or is 0."""
    return abs(math.log(min(max(ratio, 1.0 / _WORST), _WORST)))
