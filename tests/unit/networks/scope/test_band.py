"""Width of the band relative to the curve."""

import numpy as np
import pytest
import torch

from dlif_core.frames import FrameTiming
from dlif_core.networks.calibration.calibration import CalibratedCurve
from dlif_core.networks.prediction.correction import corrected_curve
from dlif_core.networks.prediction.predict import Prediction
from dlif_core.networks.scope.band import band_width, check_band, check_end, fit_band

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


@pytest.mark.parametrize(("end", "state"), [(-0.2, "doubtful"), (0.1, "in scope")])
def test_blood_that_was_read_below_zero_at_the_end_is_doubtful(end, state):
    """Whatever the correction makes of it: a factor of 3 lifts the curve above zero."""
    timing = FrameTiming(np.arange(0.0, 3000.0, 300.0), np.full(10, 300.0))
    read = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.8, 0.6, 0.4, 0.2, end, end])
    factor = torch.full((10,), 3.0)
    unused = torch.zeros(0)
    member = Prediction(
        corrected_curve(read, factor), unused, unused, unused, unused, unused, factor=factor, expected=unused
    )
    verdict = check_end((member,), timing)
    assert verdict.state == state
    assert not verdict.reasons or "below zero" in verdict.reasons[0]
