"""Continuous curves from frame averages, against the exact curves of simulated injections."""

import numpy as np
import pytest

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.continuous import continuous_curve
from dlif_core.phantom import HELD_OUT, TRAINING, draw
from dlif_core.phantom.injection import Injection, MixedBlood
from dlif_core.phantom.scanner import MOUSE_FRAMES, frame_timing
from dlif_core.statistics.curves import curve_metrics

TIMING = frame_timing(MOUSE_FRAMES, np.inf)
USUAL = FengInput(0.613, 102.8, 1.82, 1.85, -5.55, -0.227, -0.0333, 0.18)


def truth(blood, timing):
    time = np.arange(-60.0, timing.end[-1] + 1.0)
    values = blood.curve(time)
    return time, values, timing.average(time, values)


def metrics(blood, timing, share=0.0, rng=None):
    """Peak ratio, error of the width [min] and area ratio over the frames."""
    time, values, averages = truth(blood, timing)
    noise = share * (averages + 0.4)
    seen = averages + (noise * rng.standard_normal(len(noise)) if rng else 0.0)
    curve = continuous_curve(timing, seen, noise)
    own, true = curve_metrics(curve.time, curve.values), curve_metrics(time, values)
    area = timing.average(curve.time, curve.values) @ timing.duration / (averages @ timing.duration)
    return own.peak / true.peak, abs(own.fwhm - true.fwhm) / 60, area


class TestExactAverages:
    @pytest.mark.parametrize("seed", range(3))
    def test_bolus_within_five_second_frames(self, seed):
        peak, width, area = metrics(draw(seed, HELD_OUT).mouse.blood, TIMING)
        assert peak == pytest.approx(1.0, abs=0.01)
        assert width < 0.01
        assert area == pytest.approx(1.0, abs=0.003)

    @pytest.mark.parametrize("infusion", [20.0, 60.0])
    def test_slow_infusion(self, infusion):
        peak, width, area = metrics(MixedBlood(USUAL, Injection(infusion=infusion)), TIMING)
        assert peak == pytest.approx(1.0, abs=0.03)
        assert width < 0.05
        assert area == pytest.approx(1.0, abs=0.003)

    def test_second_bolus_is_kept(self):
        blood = MixedBlood(USUAL, Injection(repeat=0.4, gap=90.0))
        time, values, averages = truth(blood, TIMING)
        curve = continuous_curve(TIMING, averages, np.zeros(len(averages)))
        found = np.interp([125.0, 155.0], curve.time, curve.values)  # the valley and the second peak
        np.testing.assert_allclose(found, np.interp([125.0, 155.0], time, values), rtol=0.1)

    def test_begins_before_the_scan_if_the_bolus_came_first(self):
        blood = MixedBlood(USUAL, Injection(shift=-50.0))
        averages = truth(blood, TIMING)[2]
        curve = continuous_curve(TIMING, averages, np.zeros(len(averages)))
        assert curve.time[0] <= curve.arrival < 0
        np.testing.assert_allclose(TIMING.average(curve.time, curve.values), averages, atol=0.05)


class TestNoise:
    def test_peak_and_width_are_unbiased(self):
        rng = np.random.default_rng(0)
        found = [metrics(draw(seed, HELD_OUT).mouse.blood, TIMING, 0.04, rng) for seed in range(7)]
        peak, width, area = np.median(found, axis=0)
        assert peak == pytest.approx(1.0, abs=0.03)
        assert width < 0.05
        assert area == pytest.approx(1.0, abs=0.02)

    def test_curve_is_nearer_to_the_truth_than_the_averages_are(self):
        rng, (_, _, averages) = np.random.default_rng(1), truth(USUAL, TIMING)
        noise = 0.06 * (averages + 0.3)
        ratios = []
        for _ in range(3):
            seen = averages + noise * rng.standard_normal(len(averages))
            curve = continuous_curve(TIMING, seen, noise)
            smooth = TIMING.average(curve.time, curve.values)
            ratios.append(np.linalg.norm(smooth - averages) / np.linalg.norm(seen - averages))
        assert np.median(ratios) < 0.7

    def test_is_a_curve_on_any_schedule(self):
        mouse, _, protocol = draw(21, TRAINING)
        averages = truth(mouse.blood, protocol.timing)[2]
        curve = continuous_curve(protocol.timing, averages, 0.05 * averages)
        assert (np.diff(curve.time) > 0).all()
        assert curve.time[-1] == protocol.timing.end[-1]
        assert (curve.values >= 0).all()

    def test_scales_with_the_unit(self):
        averages = truth(USUAL, TIMING)[2]
        once, thousand = (continuous_curve(TIMING, k * averages, 0.05 * k * averages) for k in (1.0, 1000.0))
        np.testing.assert_allclose(thousand.values, 1000 * once.values, rtol=1e-3, atol=1.0)

    def test_no_activity_is_refused(self):
        with pytest.raises(InputError, match="no activity"):
            continuous_curve(TIMING, np.zeros(len(TIMING)), np.zeros(len(TIMING)))


@pytest.mark.parametrize(
    "before", [[(-60.0, 60.0)], [(-600.0, 600.0)], [(-300.0, 120.0)], [(-90.0, 30.0), (-60.0, 60.0)]]
)
def test_frames_before_the_injection_change_nothing(before):
    _, _, averages = truth(USUAL, TIMING)
    start, duration = np.array(before).T
    longer = FrameTiming(np.append(start, TIMING.start), np.append(duration, TIMING.duration))
    usual = continuous_curve(TIMING, averages, np.zeros(len(averages)))
    curve = continuous_curve(longer, np.append(np.zeros(len(start)), averages), np.zeros(len(longer)))
    assert curve.time[0] == 0.0
    assert curve.arrival == pytest.approx(usual.arrival, abs=0.5)
    np.testing.assert_allclose(
        np.interp(usual.time, curve.time, curve.values), usual.values, atol=0.02 * usual.values.max()
    )


@pytest.mark.parametrize("begin", [-1.0, -60.0, -600.0])
def test_a_first_frame_may_begin_before_the_injection_and_show_the_bolus(begin):
    """The first frame lasts until 45 s; the bolus arrives at 37 s."""
    kept = TIMING.start >= 45.0
    timing = FrameTiming(np.append(begin, TIMING.start[kept]), np.append(45.0 - begin, TIMING.duration[kept]))
    averages = truth(USUAL, timing)[2]
    curve = continuous_curve(timing, averages, np.zeros(len(averages)))
    assert 0.0 < curve.arrival < 45.0
    area = timing.average(curve.time, curve.values)[1:] @ timing.duration[1:]
    assert area == pytest.approx(averages[1:] @ timing.duration[1:], rel=0.01)
