"""Width of the band relative to the curve."""

import numpy as np
import pytest

from dlif_core.networks.calibration.calibration import CalibratedCurve
from dlif_core.networks.scope.band import band_width, check_band, fit_band

TIME = np.array([0.0, 60.0, 600.0, 3000.0])
CURVE = np.array([0.0, 20.0, 4.0, 1.0])
#: Mean over time: 60 s of 10, 540 s of 12 and 2400 s of 2.5 SUV.
MEAN = (60 * 10 + 540 * 12 + 2400 * 2.5) / 3000


def curve(half):
    lower, upper = (None, None) if half is None else (CURVE - half, CURVE + half)
    return CalibratedCurve(TIME, CURVE, np.ones(4), lower, upper, CURVE[None], 0.9, {}, "")


def test_width_is_relative_to_the_mean_of_the_curve():
    assert band_width(curve(1.0)) == pytest.approx(2.0 / MEAN)
    assert np.isnan(band_width(curve(None)))


def test_a_wide_band_is_doubtful_with_its_numbers():
    verdict = check_band(curve(3.0), 1.0)
    assert verdict.state == "doubtful"
    assert f"6 SUV wide on average, {6 / MEAN:.2g} times the mean of the curve ({MEAN:.2g} SUV)" in verdict.reasons[0]
    assert verdict.score == pytest.approx(6 / MEAN)


def test_a_narrow_band_or_none_is_in_scope():
    assert check_band(curve(1.0), 1.0).state == "in scope"
    assert check_band(curve(None), 1.0).state == "in scope"


def test_the_limit_is_what_sound_scans_keep_and_at_least_the_curve_itself():
    assert fit_band([0.5, 0.7]) == 1.0
    assert fit_band([]) == fit_band([float("nan")]) == 1.0
    assert fit_band(np.linspace(0.0, 3.0, 101)) == pytest.approx(2.97)
