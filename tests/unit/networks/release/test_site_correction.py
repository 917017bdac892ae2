"""Correction for a laboratory: predictions are off by a known factor over time, blood is late by a known time."""

import numpy as np
import pytest
import torch

from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.networks.calibration import calibration as calibrating
from dlif_core.networks.calibration.calibration import Calibration
from dlif_core.networks.calibration.cases import CalibrationCase, predicted_curve
from dlif_core.networks.calibration.conformal import conformal_quantile, group_weights
from dlif_core.networks.calibration.error_scale import FEATURES, PARTS, ErrorScale
from dlif_core.networks.calibration.metrics import SCORES
from dlif_core.networks.prediction.continuous import ContinuousCurve
from dlif_core.networks.prediction.correction import OFFSET
from dlif_core.networks.prediction.ensemble import EnsemblePrediction, predict_ensemble
from dlif_core.networks.prediction.features import COURSE, COURSE_EDGES, frame_matrix, window_matrix
from dlif_core.networks.prediction.predict import Prediction
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.release import site_correction
from dlif_core.networks.release.blood_delay import NO_DELAY, blood_of, common_delay, moved, scan_delay
from dlif_core.networks.release.own_facts import delay_in_words, site_facts
from dlif_core.networks.release.own_scan import OwnScan, WholeBlood, use_of
from dlif_core.networks.release.site_correction import (
    SiteCase,
    SiteCorrection,
    corrected_case,
    fit_site,
    leave_one_out,
    shrunk_mean,
    site_case,
    with_site,
)
from dlif_core.networks.training.examples import make_example
from dlif_core.phantom import TRAINING
from dlif_core.phantom.scanner import MOUSE_FRAMES, frame_timing

FRAMES = frame_timing(MOUSE_FRAMES, np.inf)
BEFORE = FrameTiming(np.append(-60.0, FRAMES.start), np.append(60.0, FRAMES.duration))
MIDDLES = 0.5 * (np.array(COURSE_EDGES[1:]) + np.array(COURSE_EDGES[:-1]))
# the network reads the peak too low, as where the heart is blurred, and the tail too high
TRUE = np.interp(MIDDLES, [0.0, 15.0, 60.0, 600.0], np.log([1.0, 1.5, 1.2, 0.85]))


def drawn(rng, animal, *, error=TRUE, delay=0.0, differing=0.1, timing=FRAMES, unknown=()):
    """A scan whose prediction is off by `error`, and by a smaller factor of the animal's own; blood late by `delay`."""
    feng = FengInput(rng.normal(0.6, 0.05), 100 * rng.uniform(0.7, 1.3), 1.8, 1.8, -5.5, -0.23, -0.033, 0.18)
    time = np.concatenate([np.arange(0.0, 300.0, 1.0), np.arange(300.0, timing.end[-1] + 1, 30.0)])
    values, arrived = feng.curve(time), 60.0 * feng.delay + 5.0
    truth = timing.average(time, values)
    weights, measured = window_matrix(timing, arrived, COURSE_EDGES)
    between = frame_matrix(timing.mid - arrived, measured)
    factor = np.exp(-(between @ error) + differing * rng.standard_normal())
    whole_blood = torch.from_numpy((truth + OFFSET) * factor - OFFSET)
    case = CalibrationCase(*predicted(timing, whole_blood), timing.average(time + delay, values))
    case.whole_blood[list(unknown)] = np.nan
    case = case._replace(curve=predicted_curve(case.prediction))
    blood = WholeBlood(time + delay, values)
    return SiteCase(animal, case, weights, between, blood, scan_delay(case)), truth


def predicted(timing, whole_blood):
    member = Prediction(
        whole_blood=whole_blood,
        weight_maps=torch.ones(2, 1, 1, 1),
        shares=torch.ones(2, len(timing)),
        displacement=torch.zeros(len(timing), 3),
        tissues=torch.empty(0),
        curves=torch.empty(0),
        factor=torch.ones(len(timing), dtype=torch.float64),
        expected=torch.zeros(len(timing)),
    )
    return EnsemblePrediction(timing, 0.025, (member,), np.full(len(timing), 1e-3)), None


def laboratory(seed, animals, **settings):
    rng = np.random.default_rng(seed)
    return [drawn(rng, f"animal {k}", **settings) for k in range(animals)]


@pytest.fixture(scope="module")
def late():
    """Twelve animals whose blood is six seconds late."""
    return laboratory(0, 12, delay=6.0)


@pytest.fixture(scope="module")
def calibration():
    """A calibration whose expected error is a tenth of the curve."""
    shares = np.array([{"first pass": 0.01, "tail": 0.01, "floor": 4.0}.get(part, 0.0) for part in PARTS])
    scale = ErrorScale(shares, *np.zeros((2, len(FEATURES))))
    nodes = len(calibrating._NODES)
    return Calibration(scale, np.ones((1, nodes)), np.full(nodes, 0.1), 1.0, {}, "none")


class TestRecovery:
    def test_delay_and_factors_are_found(self, late):
        """Without noise but with animals that differ by a tenth each, so by .03 on average."""
        site = fit_site([one for one, _ in late])
        assert site.delay.applied == pytest.approx(6.0, abs=0.7)
        assert site.delay.error < 0.5
        assert site.logarithm[2:] == pytest.approx(TRUE[2:], abs=0.12)

    def test_the_curve_is_right_afterwards(self, late):
        """Compared with the truth that blood without a delay would have shown."""
        left = leave_one_out([one for one, _ in late])
        errors = [case.prediction.whole_blood - truth for case, (_, truth) in zip(left.cases, late, strict=True)]
        before = [one.case.prediction.whole_blood - truth for one, truth in late]
        after, was = (np.median([np.sqrt(np.mean(error**2)) for error in each]) for each in (errors, before))
        assert after < 0.4 * was

    def test_blood_is_moved_to_the_time_of_the_image(self, late):
        (one, truth), *_ = late
        timing = one.case.prediction.timing
        found = moved(timing, one.case.whole_blood, one.blood, 6.0)
        assert found == pytest.approx(truth, abs=1e-6)
        assert moved(timing, one.case.whole_blood, one.blood, 0.0) is one.case.whole_blood

    def test_blood_without_samples_is_moved_by_a_continuous_curve(self, late):
        (one, truth), *_ = late
        timing = one.case.prediction.timing
        found = moved(timing, one.case.whole_blood, blood_of(timing, one.case.whole_blood), 6.0)
        assert np.abs(found - truth).max() < 0.15 * np.abs(one.case.whole_blood - truth).max()

    def test_without_a_common_delay_blood_is_not_moved(self):
        rng = np.random.default_rng(3)
        scattered = common_delay(rng.normal(1.0, 4.0, 9), [str(k) for k in range(9)])
        assert scattered.applied == 0.0
        assert "was not moved" in delay_in_words(scattered)
        assert common_delay([0.4, 0.5, 0.6], ["a", "b", "c"]).applied == 0.0
        assert common_delay([np.nan] * 4, list("abcd")) == NO_DELAY

    def test_an_animal_counts_as_one_in_the_delay(self):
        delays, animals = [9.0] * 8 + [2.0, 2.1, 1.9, 2.0], ["often"] * 8 + ["b", "c", "d", "e"]
        assert common_delay(delays, animals).median == pytest.approx(2.0)

    def test_words_tell_how_to_put_the_clock_right(self):
        said = delay_in_words(common_delay([6.0, 6.1, 5.9], ["a", "b", "c"]))
        assert "6.0" in said
        assert "later" in said
        assert "add -6.0 to its option delay_s" in said


class TestShrinkage:
    def errors(self, true, animals, seed=0):
        """Root mean square error of the shrunk and of the plain mean, over 100 laboratories."""
        rng, found = np.random.default_rng(seed), []
        for _ in range(100):
            apart = 0.15 * rng.standard_normal((animals, 1)) + 0.1 * rng.standard_normal((animals, COURSE))
            values = true + apart
            found.append([np.mean((guess - true) ** 2) for guess in (shrunk_mean(values), values.mean(axis=0))])
        return np.sqrt(np.mean(found, axis=0))

    @pytest.mark.parametrize("animals", [9, 17])
    def test_is_better_than_the_mean(self, animals):
        """Much better where there is nothing to correct, and no worse where there is much."""
        shrunk, plain = self.errors(np.zeros(COURSE), animals)
        assert shrunk < 0.75 * plain
        shrunk, plain = self.errors(TRUE, animals)
        assert shrunk < 1.02 * plain

    def test_a_clear_factor_is_taken_as_it_is(self):
        values = TRUE + 0.03 * np.random.default_rng(1).standard_normal((9, COURSE))
        assert shrunk_mean(values) == pytest.approx(TRUE, abs=0.05)

    def test_missing_windows_follow_from_their_neighbours(self):
        values = np.full((9, COURSE), 0.3) + 0.02 * np.random.default_rng(1).standard_normal((9, COURSE))
        values[:, -2:] = np.nan
        values[1:, 0] = np.nan
        assert shrunk_mean(values) == pytest.approx(np.full(COURSE, 0.3), abs=0.08)
        assert shrunk_mean(np.full((9, COURSE), np.nan)) == pytest.approx(np.zeros(COURSE))


class TestDifficultBlood:
    """Frames before the injection, blood that ends early or is unknown in some frames, several scans of an animal."""

    @pytest.fixture(scope="class")
    @staticmethod
    def cases():
        rng = np.random.default_rng(5)
        early = range(len(FRAMES) - 4, len(FRAMES))
        kinds = [{"timing": BEFORE}, {"unknown": early}, {"unknown": (3, 20)}, {"timing": BEFORE, "unknown": (0, 9)}]
        return [drawn(rng, f"animal {k % 10}", delay=4.0, **kinds[k % 4])[0] for k in range(14)]

    def test_all_of_it_is_used(self, cases):
        site = fit_site(cases)
        assert site.delay.applied == pytest.approx(4.0, abs=0.7)
        assert site.logarithm[2:] == pytest.approx(TRUE[2:], abs=0.15)

    def test_unknown_frames_stay_unknown(self, cases):
        site = fit_site(cases)
        for one in cases:
            unknown = np.isnan(one.case.whole_blood)
            assert np.isnan(corrected_case(one, site).whole_blood).tolist() == unknown.tolist()

    def test_the_band_is_finite(self, cases, calibration):
        animals = [one.animal for one in cases]
        made = calibration.recalibrated(leave_one_out(cases).cases, "own", animals)
        assert made.refusal("band", 0.9) == ""
        assert "10 calibration scans are too few" in made.refusal("band", 0.95)
        assert np.isfinite(made.inflation)
        assert np.isfinite(made.scores["band"]).all()
        assert made.weights["band"].sum() == pytest.approx(10.0)
        for one in cases[:4]:
            curve = made.curve(corrected_case(one, fit_site(cases)).prediction, samples=4)
            for values in (curve.lower, curve.upper, curve.samples):
                assert np.isfinite(values).all()

    def test_scans_of_an_animal_are_left_out_together(self, cases):
        left = leave_one_out(cases)
        assert left.sites[0] is left.sites[10]
        alone = fit_site([one for one in cases if one.animal != cases[0].animal])
        np.testing.assert_array_equal(left.sites[0].logarithm, alone.logarithm)

    def test_facts_are_finite_and_in_words(self, cases):
        facts = site_facts(fit_site(cases), cases, leave_one_out(cases))
        assert facts["rmse_left_out"] < facts["rmse_before"]
        assert len(facts["factors"]) == len(facts["windows_s"]) == COURSE
        assert "10 animals" in facts["words"][1]


def through_frames(prediction):
    """The curve through the frame averages, which is faster than a continuous one."""
    timing = prediction.timing
    return ContinuousCurve(timing.mid, prediction.whole_blood, 0.0)


def test_the_band_of_scores_left_out_covers_a_new_animal(calibration, monkeypatch):
    """Animals differ by a tenth, all are off by the same; ten give correction and band for the eleventh."""
    monkeypatch.setattr(site_correction, "predicted_curve", through_frames)
    monkeypatch.setitem(globals(), "predicted_curve", through_frames)
    monkeypatch.setitem(globals(), "scan_delay", lambda case: np.nan)
    monkeypatch.setattr(calibrating, "_inflation", lambda found, cases: 1.0)
    monkeypatch.setattr(calibrating, "_score", band_alone)
    held, narrow = [], []
    for seed in range(30):
        cases = [one for one, _ in laboratory(seed, 11)]
        for place, new in enumerate(cases):
            own = [*cases[:place], *cases[place + 1 :]]
            made = calibration.recalibrated(leave_one_out(own).cases, "own", [one.animal for one in own])
            limit = conformal_quantile(made.scores["band"], 0.9, made.weights["band"])
            fitted = calibration.recalibrated([corrected_case(new, fit_site(own))], "new").scores["band"][0]
            without = calibration.recalibrated([one.case for one in own], "as it was").scores["band"]
            held.append(fitted <= limit)
            narrow.append(limit / conformal_quantile(without, 0.9))
    assert 0.86 <= np.mean(held) <= 0.97
    assert np.median(narrow) < 0.8


def band_alone(calibration, case):
    timing, curve = case.prediction.timing, case.curve
    relative = case.errors / timing.average(curve.time, calibration.scale.at(case.prediction, curve))
    return dict.fromkeys(SCORES, np.nan) | {"band": float(np.nanmax(np.abs(relative)))}


def test_leave_one_out_scores_cover_about_nine_in_ten():
    """The same scheme with a mean in place of a curve, over 4,000 laboratories of each size."""
    rng = np.random.default_rng(2)
    for animals in (9, 12, 17):
        covered = []
        for _ in range(4000):
            values = rng.standard_t(4, (animals + 1, 5)).mean(axis=1)
            own, new = values[:-1], values[-1]
            left = np.abs(own - (own.sum() - own) / (animals - 1))
            limit = conformal_quantile(left, 0.9, group_weights(range(animals)))
            covered.append(abs(new - own.mean()) <= limit)
        assert 0.88 <= np.mean(covered) <= 0.9 + 1 / (animals + 1) + 0.02


class TestNetworks:
    @pytest.fixture(scope="class")
    @staticmethod
    def networks():
        torch.manual_seed(0)
        found = [TissueNetwork((4, 4, 4)).eval() for _ in range(2)]
        for network in found:  # what they read is the mean of the image
            torch.nn.init.zeros_(network.out.weight)
        return found

    def test_corrected_predictions_are_those_of_corrected_networks(self, networks):
        example = make_example(3, TRAINING)
        one = site_case(networks, [OwnScan("a", "scan", example)], 0)
        site = SiteCorrection(TRUE, NO_DELAY)
        expected = predict_ensemble(with_site(networks, site), example.scan)
        found = corrected_case(one, site).prediction
        assert found.whole_blood == pytest.approx(expected.whole_blood, rel=1e-4, abs=1e-5)
        assert found.noise == pytest.approx(expected.noise, rel=1e-3)
        assert found.factor == pytest.approx(expected.factor, rel=1e-4)
        assert not any(network.correction.site.any() for network in networks)


class TestUse:
    @pytest.mark.parametrize(("animals", "use"), [(9, "site"), (17, "site"), (18, "training"), (30, "training")])
    def test_by_the_number_of_animals(self, animals, use):
        assert use_of([f"{k // 2}" for k in range(2 * animals)]) == use

    def test_too_few_are_refused_with_what_it_takes(self):
        with pytest.raises(ConfigurationError, match=r"scans of 8 animals .* 9 animals calibrate .* 18 train"):
            use_of([f"{k % 8}" for k in range(40)])
