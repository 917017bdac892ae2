"""Metrics of one curve, against hand-made curves whose errors are known."""

from dataclasses import replace

import numpy as np
import pytest

from dlif_core.curve import InputFunction
from dlif_core.evaluation.metrics import (
    band_metrics,
    curve_errors,
    fit_errors,
    fit_organs,
    interval_metrics,
    ki_interval_metrics,
    tail_tilt,
)
from dlif_core.frames import FrameTiming, integral_at
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

TIMING = FrameTiming(np.arange(0.0, 3600.0, 60.0), np.full(60, 60.0))
SUV = 1e-3  # 1 SUV is 1000 Bq/mL


def curve(time, values, plasma=1.2, **more):
    values = np.asarray(values, float)
    return InputFunction(time, values, plasma * values, "test", **more)


@pytest.fixture
def triangle():
    """Peak of 8 SUV at 300 s, base 0 to 600 s: width 300 s at half maximum, area 2400 SUV·s."""
    return curve([0, 300, 600, 3600], [0, 8000, 0, 0])


def test_a_curve_that_is_too_high_everywhere(triangle):
    high = curve(triangle.time, 1.1 * triangle.whole_blood)
    found = curve_errors(high, triangle, TIMING, SUV)
    averages = SUV * triangle.frame_average(TIMING)[0]
    assert found["rmse"] == pytest.approx(0.1 * np.sqrt(np.mean(averages**2)))
    assert found["early_rmse"] == pytest.approx(0.1 * np.sqrt(np.mean(averages[:20] ** 2)))
    assert found["bias"] == pytest.approx(0.1 * 2400 / 3600)
    assert (found["auc_ratio"], found["peak_ratio"], found["fwhm_error"]) == pytest.approx((1.1, 1.1, 0.0))


def test_a_curve_that_is_too_wide(triangle):
    wide = curve([0, 300, 900, 3600], [0, 4000, 0, 0])
    found = curve_errors(wide, triangle, TIMING, SUV)
    assert found["fwhm_error"] == pytest.approx(2.5)
    assert found["peak_ratio"] == pytest.approx(0.5)
    assert found["auc_ratio"] == pytest.approx(0.75)


def test_a_tail_is_turned_by_what_it_gains_on_the_middle():
    """The ratio to the true curve falls from 1.1 in the middle to 1 in the tail."""
    flat = curve([0, 300, 600, 3600], [0, 8000, 1000, 1000])
    assert tail_tilt(flat, flat, TIMING) == 0.0
    assert tail_tilt(curve(flat.time, 1.3 * flat.whole_blood), flat, TIMING) == pytest.approx(0.0)
    time = np.arange(0.0, 3601.0, 10.0)
    values = np.interp(time, flat.time, flat.whole_blood)
    tilted = curve(time, np.where(time < 1500.0, 1.1, 1.0) * values)
    assert tail_tilt(tilted, flat, TIMING) == pytest.approx(0.1)
    assert tail_tilt(curve(time, np.where(time < 1500.0, 1.0, 1.25) * values), flat, TIMING) == pytest.approx(0.2)
    short = FrameTiming(TIMING.start[:20], TIMING.duration[:20])
    assert np.isnan(tail_tilt(tilted, flat, short))
    assert curve_errors(tilted, flat, TIMING, SUV)["tilt"] == pytest.approx(0.1)


def test_nothing_beyond_the_scan_is_judged(triangle):
    short = FrameTiming(TIMING.start[:5], TIMING.duration[:5])
    wrong_late = curve([0, 300, 600, 3600], [0, 8000, 4000, 4000])
    found = curve_errors(wrong_late, triangle, short, SUV)
    assert (found["rmse"], found["auc_ratio"]) == pytest.approx((0.0, 1.0))


def test_a_band_holds_the_curve_in_every_frame_or_not_at_all(triangle):
    time = np.linspace(0, 3600, 361)
    true = np.interp(time, triangle.time, triangle.whole_blood)
    sound = curve(time, true, lower=true - 300, upper=true + 500)
    assert band_metrics(sound, triangle, TIMING, SUV) == pytest.approx({"band_covers": 1.0, "band_width": 0.8})
    pierced = replace(sound, upper=np.where(time > 3500, true - 1, true + 500))
    assert band_metrics(pierced, triangle, TIMING, SUV)["band_covers"] == 0.0
    touching = replace(sound, lower=true, upper=true)
    assert band_metrics(touching, triangle, TIMING, SUV) == pytest.approx({"band_covers": 1.0, "band_width": 0.0})
    assert band_metrics(triangle, triangle, TIMING, SUV) == {}


def test_intervals_are_judged_in_suv_and_minutes(triangle):
    inside = {"auc": (39.0, 41.0), "peak": [7.9, 8.1]}
    assert interval_metrics(inside, triangle, TIMING, SUV) == {"auc_covered": 1.0, "peak_covered": 1.0}
    outside = {"auc": (40.5, 41.0), "peak": None}
    assert interval_metrics(outside, triangle, TIMING, SUV) == {"auc_covered": 0.0}


def patlak_scan(truth, rates):
    """A scan whose regions take up plasma at a constant rate beside a volume of .3, exactly."""
    fine = np.arange(0.0, 3601.0)
    plasma = np.interp(fine, truth.time, truth.plasma)
    taken = integral_at(fine, plasma, fine) / 60.0
    activity = [TIMING.average(fine, rate * taken + 0.3 * plasma) for rate in rates.values()]
    regions = RegionCurves(tuple(rates), np.array(activity), np.full(len(rates), 100.0))
    return DynamicScan(TIMING, Acquisition("FDG", 6586.2, 1e7, 0.02, species="mouse"), regions)


def test_parameters_are_those_of_the_organs_and_errors_follow_the_input_function():
    truth = curve([0, 30, 60, 300, 3600], [0, 9000, 3000, 1500, 500])
    scan = patlak_scan(truth, {"liver": 0.3, "brain": 0.05, "tumour": 0.08})
    found = fit_organs(scan, truth)
    assert set(found) == {"ki_brain", "ki_tumour", "k1_brain", "k1_tumour"}
    assert (found["ki_brain"], found["ki_tumour"]) == pytest.approx((0.05, 0.08), rel=1e-3)
    low = curve(truth.time, 0.9 * truth.whole_blood)
    errors = fit_errors(fit_organs(scan, low), found)
    assert errors["ki_brain_error"] == pytest.approx(100 / 0.9 - 100, rel=1e-6)
    assert fit_errors(found, found) == dict.fromkeys((f"{name}_error" for name in found), 0.0)


def test_an_organ_that_is_hardly_in_view_is_not_evaluated():
    truth = curve([0, 30, 60, 300, 3600], [0, 9000, 3000, 1500, 500])
    scan = patlak_scan(truth, {"brain": 0.05, "tumour": 0.08})
    human = replace(scan, acquisition=replace(scan.acquisition, body_weight=70.0, species="human"))
    for volume, brain in ((3e4, False), (1.2e6, True), (np.nan, True)):
        regions = replace(scan.regions, volume=np.array([volume, 3e4]))
        assert ("ki_brain" in fit_organs(replace(human, regions=regions), truth)) is brain
    regions = replace(scan.regions, volume=np.array([3e4, 3e4]))
    assert "ki_tumour" in fit_organs(replace(human, regions=regions), truth)


def test_intervals_of_ki_are_relative_to_what_the_curve_gives():
    found, reference = {"ki_brain": 0.05, "ki_myocardium": 0.2}, {"ki_brain": 0.052, "ki_myocardium": 0.2}
    limits = {"Ki brain": [0.97, 1.03], "Ki myocardium": [0.97, 1.03], "auc": [1, 2]}
    assert ki_interval_metrics(limits, found, reference) == {"ki_brain_covered": 0.0, "ki_myocardium_covered": 1.0}
    assert ki_interval_metrics({"Ki brain": [0.95, 1.05]}, found, reference) == {"ki_brain_covered": 1.0}
    assert ki_interval_metrics(limits, {}, {}) == {}
