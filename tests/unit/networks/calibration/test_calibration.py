"""Calibration: coverage of bands, samples and intervals on scans whose errors are drawn from a known law."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import ConfigurationError
from dlif_core.evaluation.laboratories import SITES
from dlif_core.frames import FrameTiming
from dlif_core.networks.calibration.calibration import Calibration, fit_calibration
from dlif_core.networks.calibration.cases import CalibrationCase
from dlif_core.networks.calibration.conformal import conformal_quantile, fewest_scores, group_weights
from dlif_core.networks.calibration.metrics import log_error
from dlif_core.networks.prediction.continuous import ContinuousCurve
from dlif_core.networks.prediction.ensemble import EnsemblePrediction
from dlif_core.networks.prediction.predict import Prediction
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.training.populations import CALIBRATION, LABORATORIES, SOUND
from dlif_core.phantom import HELD_OUT, TRAINING
from dlif_core.phantom.scanner import MOUSE_FRAMES, frame_timing

LONG, SHORT = frame_timing(MOUSE_FRAMES, np.inf), frame_timing(MOUSE_FRAMES, 1200.0)


def make_case(rng, known=True):
    """A curve with an error of 4 % of itself, common to all frames, and noise; both larger in some scans, where
    members differ more."""
    timing = SHORT if rng.random() < 0.3 else LONG
    feng = FengInput(rng.normal(0.6, 0.05), 100 * rng.uniform(0.7, 1.3), 1.8, 1.8, -5.5, -0.23, -0.033, 0.18)
    time = np.concatenate([np.arange(0.0, 300.0, 2.0), np.arange(300.0, timing.end[-1] + 1, 30.0)])
    predicted = feng.curve(time)
    averages, wild = timing.average(time, predicted), np.exp(rng.normal(0.0, 0.6))
    spread, noise = 0.03 * wild * averages + 1e-3, 0.02 * wild * np.sqrt(averages + 0.1)
    truth = averages + 0.04 * wild * averages * rng.standard_normal() + noise * rng.standard_normal(len(averages))
    truth = truth if known else np.where(np.arange(len(truth)) == len(truth) - 1, np.nan, truth)
    deviation = torch.from_numpy(spread / np.sqrt(2))
    middle, tissue = torch.from_numpy(averages), torch.from_numpy(np.cumsum(averages * timing.duration) / 3000)
    curves = torch.cat([middle[None], tissue.expand(len(TISSUES) - 1, -1)])
    members = tuple(
        Prediction(
            whole_blood=middle + k * deviation,
            weight_maps=torch.ones(2, 1, 1, 1),
            shares=torch.full((2, len(middle)), 0.5),
            displacement=torch.zeros(len(middle), 3),
            tissues=torch.empty(0),
            curves=curves,
            factor=torch.ones(len(middle)),
            expected=torch.zeros(len(middle)),
        )
        for k in (-1, 1)
    )
    prediction = EnsemblePrediction(timing, 0.025, members, noise)
    return CalibrationCase(prediction, ContinuousCurve(time, predicted, 60 * feng.delay), truth)


@pytest.fixture(scope="module")
def calibration():
    rng = np.random.default_rng(0)
    return fit_calibration([make_case(rng, known=k % 5 == 0) for k in range(300)], "drawn from a known law")


@pytest.fixture(scope="module")
def fresh():
    rng = np.random.default_rng(1)
    return [make_case(rng, known=False) for _ in range(200)]


class TestConformalQuantile:
    @pytest.mark.parametrize(("scans", "level"), [(9, 0.9), (19, 0.95), (25, 0.8)])
    def test_holds_in_finite_samples(self, scans, level):
        """Coverage over many calibrations is between the level and the level + 1/(n + 1), whatever the scores' law."""
        scores = np.random.default_rng(2).standard_t(2, (20_000, scans + 1))
        held = [new <= conformal_quantile(others, level) for *others, new in scores]
        assert level - 0.007 <= np.mean(held) <= level + 1 / (scans + 1) + 0.007

    def test_too_few_scans_give_no_band(self):
        assert (fewest_scores(0.9), fewest_scores(0.95)) == (9, 19)
        assert conformal_quantile(np.arange(9), 0.9) == 8
        with pytest.raises(ConfigurationError, match=r"8 calibration scans are too few for 90 %"):
            conformal_quantile(np.arange(8), 0.9)
        with pytest.raises(ConfigurationError, match="not a level"):
            conformal_quantile(np.arange(9), 1.0)


class TestGroups:
    """Scans of an animal, or animals of a laboratory, are alike."""

    def test_a_band_holds_in_a_new_group(self):
        """Within groups scores differ little, between them much, and groups are of different sizes."""
        rng, held = np.random.default_rng(5), []
        for _ in range(1500):
            sizes = rng.integers(1, 6, 20)
            scores = [np.abs(rng.normal(0, 3) + rng.normal(0, 0.3, size)) for size in sizes]
            groups = np.repeat(np.arange(20), sizes)
            limit = conformal_quantile(np.concatenate(scores), 0.9, group_weights(list(groups)))
            held.append(abs(rng.normal(0, 3) + rng.normal(0, 0.3)) <= limit)
        assert 0.88 <= np.mean(held) <= 0.97

    def test_a_group_counts_as_one(self):
        scores = np.arange(20.0)
        with pytest.raises(ConfigurationError, match="2 calibration scans are too few"):
            conformal_quantile(scores, 0.9, group_weights(["a"] * 10 + ["b"] * 10))

    def test_groups_of_one_are_no_groups(self):
        scores = np.random.default_rng(0).normal(size=40)
        for level in (0.5, 0.8, 0.9):
            assert conformal_quantile(scores, level, group_weights(range(40))) == conformal_quantile(scores, level)

    def test_a_calibration_keeps_its_groups(self, calibration, fresh):
        grouped = calibration.recalibrated(fresh[:60], "animals with three scans", [k // 3 for k in range(60)])
        again = Calibration.from_dict(json.loads(json.dumps(grouped.to_dict())))
        assert again.refusal("band", 0.95) == ""
        assert "20 calibration scans are too few for 99 %" in again.refusal("band", 0.99)
        np.testing.assert_allclose(again.curve(fresh[0].prediction).upper, grouped.curve(fresh[0].prediction).upper)


class TestBand:
    def test_covers_fresh_scans_at_its_level(self, calibration, fresh):
        scores = calibration.recalibrated(fresh, "fresh").scores["band"]
        for level in (0.8, 0.9):
            limit = conformal_quantile(calibration.scores["band"], level)
            assert np.mean(scores <= limit) == pytest.approx(level, abs=0.07)

    def test_is_wider_where_the_error_is_larger(self, calibration, fresh):
        from scipy.stats import spearmanr

        size = [np.sqrt(np.nanmean((one.whole_blood - one.prediction.whole_blood) ** 2)) for one in fresh]
        width = [calibration.scale.at(one.prediction, one.curve).mean() for one in fresh]
        assert spearmanr(size, width).statistic > 0.5

    def test_lies_about_the_curve(self, calibration, fresh):
        found = calibration.curve(fresh[0].prediction)
        assert (found.lower <= found.whole_blood).all()
        assert (found.whole_blood <= found.upper).all()
        half = found.upper - found.whole_blood
        np.testing.assert_allclose(half, conformal_quantile(calibration.scores["band"], 0.9) * found.scale)
        assert found.refused == ""


class TestSamples:
    def test_spread_and_course_are_those_of_the_errors(self, calibration, fresh):
        """Most of the error is common to all frames, so the area varies by about 4 % of itself times the scan's own
        factor, far more than independent errors of the frames would allow."""
        found = [calibration.curve(one.prediction, samples=200, seed=k) for k, one in enumerate(fresh[:6])]
        areas = [np.trapezoid(one.samples, one.time, axis=1) for one in found]
        relative = [
            area.std() / np.trapezoid(one.whole_blood, one.time) for area, one in zip(areas, found, strict=True)
        ]
        expected = [np.mean(one.prediction.spread / one.prediction.whole_blood.clip(0.05)) / 0.75 for one in fresh[:6]]
        assert np.median(np.divide(relative, expected)) == pytest.approx(1.0, abs=0.35)

    def test_band_holds_nine_in_ten(self, calibration, fresh):
        held = []
        for one in fresh[:6]:
            found, timing = calibration.curve(one.prediction, samples=200), one.prediction.timing
            low, high, drawn = (
                timing.average(found.time, curves) for curves in (found.lower, found.upper, found.samples)
            )
            held.append(((low - 1e-9 <= drawn) & (drawn <= high + 1e-9)).all(axis=1).mean())
        assert np.mean(held) == pytest.approx(0.9, abs=0.05)

    def test_same_seed_same_curves(self, calibration, fresh):
        first, second = (calibration.curve(fresh[0].prediction, samples=4).samples for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert (first >= 0).all()


class TestIntervals:
    def test_cover_fresh_scans(self, calibration):
        rng = np.random.default_rng(3)
        scores = calibration.recalibrated([make_case(rng) for _ in range(24)], "fresh").scores
        for name in ("auc", "peak", "Ki brain"):
            covered = np.mean(scores[name] <= conformal_quantile(calibration.scores[name], 0.9))
            assert covered >= 0.7, name

    def test_hold_the_curve_itself(self, calibration, fresh):
        found = calibration.curve(fresh[0].prediction)
        low, high = found.intervals["auc"]
        assert low < np.trapezoid(found.whole_blood, found.time) / 60 < high
        low, high = found.intervals["peak"]
        assert low < found.whole_blood.max() < high
        low, high = found.intervals["Ki brain"]
        assert low < 1 < high


class TestFewScans:
    def test_own_scans_keep_the_scale(self, calibration, fresh):
        own = calibration.recalibrated(fresh[:12], "twelve mice")
        assert own.scale is calibration.scale
        assert len(own.scores["band"]) == 12
        assert own.curve(fresh[20].prediction).lower is not None
        assert "auc" not in own.curve(fresh[20].prediction).intervals  # blood was not known to the end

    def test_no_band_from_eight(self, calibration, fresh):
        found = calibration.recalibrated(fresh[:8], "eight mice").curve(fresh[20].prediction)
        assert found.lower is None
        assert "8 calibration scans are too few" in found.refused
        assert found.intervals == {}

    def test_scale_needs_enough(self, fresh):
        with pytest.raises(ConfigurationError, match="too few to learn"):
            fit_calibration(fresh[:60], "sixty")


class TestFile:
    def test_is_read_back(self, calibration, fresh):
        kept = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
        first, second = (each.curve(fresh[3].prediction) for each in (calibration, kept))
        np.testing.assert_array_equal(first.upper, second.upper)
        np.testing.assert_array_equal(first.samples, second.samples)
        assert first.intervals == second.intervals
        assert kept.population == "drawn from a known law"

    def test_of_another_grid_is_refused(self, calibration):
        with pytest.raises(ConfigurationError, match="another time grid"):
            Calibration.from_dict(calibration.to_dict() | {"nodes": [0.0, 1.0]})


class TestPopulations:
    def test_no_two_draw_the_same_scan(self):
        sites = (LABORATORIES, CALIBRATION, SOUND, SITES)
        assert len({source.stream for source in (*sites, TRAINING, HELD_OUT)}) == len(sites) + 2
        assert len({source.name for source in sites}) == len(sites)

    def test_calibration_has_laboratories_beyond_those_of_the_training(self):
        def voxels(sites):
            return [sites.site(number).acquisition.voxel_size.intervals[0][0] for number in range(200)]

        assert min(voxels(CALIBRATION)) < min(voxels(LABORATORIES))
        assert max(voxels(CALIBRATION)) > max(voxels(LABORATORIES))


def with_frame_before(case, duration=60.0):
    """The case as if a frame had been recorded before the injection: no activity, no prediction of any."""
    timing = case.prediction.timing
    earlier = FrameTiming(np.append(-duration, timing.start), np.append(duration, timing.duration))

    def padded(values):
        return torch.cat([torch.zeros_like(values[..., :1]), values], dim=-1)

    members = tuple(
        member._replace(
            whole_blood=padded(member.whole_blood),
            curves=padded(member.curves),
            factor=padded(member.factor),
            expected=padded(member.expected),
            shares=torch.cat([member.shares[:, :1], member.shares], dim=1),
            displacement=torch.zeros(len(earlier), 3),
        )
        for member in case.prediction.members
    )
    noise = np.append(1e-3, case.prediction.noise)
    return CalibrationCase(
        EnsemblePrediction(earlier, case.prediction.body_weight, members, noise),
        case.curve,
        np.append(0.0, case.whole_blood),
    )


def test_frames_before_the_injection_change_no_score_and_give_finite_samples(calibration, fresh):
    """Nothing is predicted before the injection, so there is no error to be normalised."""
    some = [case for case in fresh if case.curve.time[0] >= 0][:30]
    usual = calibration.recalibrated(some, "usual")
    before = calibration.recalibrated([with_frame_before(case) for case in some], "with a frame before")
    assert np.isfinite(before.inflation)
    np.testing.assert_allclose(before.scores["band"], usual.scores["band"], rtol=0.15)
    curve = before.curve(with_frame_before(some[0]).prediction)
    for values in (curve.lower, curve.upper, curve.samples):
        assert np.isfinite(values).all()


@pytest.mark.parametrize(
    ("ratio", "size"), [(2.0, 0.6931472), (0.5, 0.6931472), (1.0, 0.0), (0.0, 13.815511), (-3.0, 13.815511)]
)
def test_a_curve_of_no_area_or_of_the_wrong_sign_is_as_wrong_as_can_be(ratio, size):
    assert log_error(ratio) == pytest.approx(size)
    assert np.isnan(log_error(float("nan")))


def test_a_curve_next_to_nothing_has_intervals_that_say_nothing(calibration, fresh):
    prediction = fresh[0].prediction
    members = tuple(one._replace(whole_blood=1e-9 * one.whole_blood) for one in prediction.members)
    found = calibration.curve(replace(prediction, members=members)).intervals
    assert all(np.isfinite(limits).all() for limits in found.values())
    lower, upper = found["Ki brain"]
    assert upper / max(lower, 1e-30) > 1e6
