"""Conditions, and methods on their scans: nothing is lost, nothing is done twice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dlif_core.blood_samples.merge import merge
from dlif_core.compute.pool import open_mapper
from dlif_core.errors import ConfigurationError, InputError, OutOfScopeError
from dlif_core.evaluation.candidates import Candidate, candidates, published_curve
from dlif_core.evaluation.conditions import SHORT_END, conditions, make_case
from dlif_core.evaluation.runner import evaluate, evaluate_scan, measure, require_unseen, unmade
from dlif_core.input_function import METHODS
from dlif_core.networks.prediction.fc_dlif import FCDLIF, predict_curve
from dlif_core.networks.prediction.scan import network_image
from dlif_core.networks.training.splits import SplitManifest
from dlif_core.phantom import HELD_OUT, draw


@pytest.fixture(scope="module")
def standard():
    return conditions(2)[0]


@pytest.fixture(scope="module")
def case(standard):
    return make_case(standard, 0)


def method(function, name="test", digest="1", **more):
    return Candidate(name, name, digest, function, **more)


class TestConditions:
    def test_cohort_and_faults_share_no_seed(self):
        shown = {condition.name: condition for condition in conditions(60)}
        assert list(shown["standard"].seeds) == list(range(3300, 3360))
        faults = [condition for condition in shown.values() if condition.fault]
        assert len(faults) == 4
        assert sum(len(condition.seeds) for condition in faults) == 60
        assert not set(faults[0].seeds) & set(shown["standard"].seeds)

    def test_a_scan_is_of_the_held_out_population_and_knows_its_truth(self, case):
        drawn = draw(0, HELD_OUT)
        assert case.scan.acquisition.injected_activity == drawn.mouse.injected_activity
        assert case.traits["noise"] == drawn.mouse.noise_level
        assert case.scan.activity.shape[1:] == drawn.grid.shape
        vessel = case.scan.regions.activity[case.scan.regions.names.index("left_ventricle")]
        true = case.truth.frame_average(case.scan.timing)[0]
        assert abs(int(vessel.argmax()) - int(true.argmax())) <= 2

    def test_the_sample_is_exact_and_late(self, case):
        sample = merge(case.blood).whole_blood
        assert sample.time == [2400.0]
        assert sample.value == pytest.approx(np.interp(2400.0, case.truth.time, case.truth.whole_blood))

    def test_a_scan_cut_short_is_the_beginning_of_the_same_scan(self, case):
        short = make_case(conditions(2)[1], 0)
        frames = len(short.scan.timing)
        assert short.scan.timing.end[-1] <= SHORT_END < case.scan.timing.end[frames]
        np.testing.assert_array_equal(short.scan.activity, case.scan.activity[:frames])
        np.testing.assert_array_equal(short.scan.regions.activity, case.scan.regions.activity[:, :frames])

    def test_only_the_injection_of_a_shifted_scan_differs(self, case):
        shifted = make_case(conditions(2)[2], 0)
        delay = shifted.traits["shift"]
        assert 0 < abs(delay) <= 60
        assert shifted.traits["body_weight"] == case.traits["body_weight"]
        moved = case.truth.shifted(delay)
        late = np.arange(300.0, 2400.0, 60.0)
        np.testing.assert_allclose(
            np.interp(late, shifted.truth.time, shifted.truth.whole_blood),
            np.interp(late, moved.time, moved.whole_blood),
            rtol=1e-3,
        )

    def test_faulty_units(self):
        faulty = make_case(next(c for c in conditions(4) if c.fault == "units"), 1000)
        assert faulty.traits["fault"].startswith("units: x ")

    @pytest.mark.parametrize("scans", [0, 1001])
    def test_impossible_numbers_are_refused(self, scans):
        with pytest.raises(ConfigurationError, match="can't be evaluated"):
            conditions(scans)


class TestMeasure:
    def test_the_truth_itself_is_without_error(self, case):
        from dlif_core.evaluation.metrics import fit_organs

        record = measure(case, method(lambda scan, blood: case.truth), fit_organs(case.scan, case.truth))
        assert record["outcome"] == "made"
        assert record["rmse"] == 0.0
        assert record["auc_ratio"] == record["peak_ratio"] == 1.0
        assert record["ki_brain_error"] == record["k1_brain_error"] == 0.0
        assert "verdict" not in record

    def test_errors_are_in_suv(self, case):
        off = 1000.0
        record = measure(
            case,
            method(lambda scan, blood: replace(case.truth, whole_blood=case.truth.whole_blood + off)),
            {},
        )
        assert record["rmse"] == pytest.approx(off * case.scan.acquisition.suv_factor, rel=1e-6)
        assert "ki_brain_error" not in record

    def test_verdict_and_intervals_come_from_the_provenance(self, case):
        provenance = {"scope": {"state": "doubtful", "score": 2.5}, "intervals": {"auc": (0.0, 1e6)}}
        record = measure(case, method(lambda scan, blood: replace(case.truth, provenance=provenance)), {})
        assert (record["verdict"], record["score"], record["auc_covered"]) == ("doubtful", 2.5, 1.0)

    def test_a_curve_that_cannot_be_fitted_with_keeps_its_errors(self, case):
        stops = np.where(case.truth.time < 900.0, 1.0, 0.0)
        short = replace(case.truth, whole_blood=stops * case.truth.whole_blood, plasma=stops * case.truth.plasma)
        record = measure(case, method(lambda scan, blood: short), {"ki_brain": 0.1})
        assert record["outcome"] == "made"
        assert record["rmse"] > 0
        assert "not positive" in record["fit_reason"]
        found = unmade(pd.DataFrame([record])).iloc[0]
        assert (found["what"], found["scans"]) == ("not fitted", 1)

    @pytest.mark.parametrize(
        ("fault", "outcome", "verdict"),
        [
            (OutOfScopeError("another tracer."), "refused", "out of scope"),
            (InputError("no bolus."), "refused", None),
            (ZeroDivisionError("oops"), "failed", None),
        ],
    )
    def test_a_curve_that_was_not_made_is_counted_with_its_reason(self, case, fault, outcome, verdict):
        def fail(scan, blood):
            raise fault

        record = measure(case, method(fail), {})
        assert record["outcome"] == outcome
        assert fault.args[0] in record["reason"]
        assert record.get("verdict") == verdict
        assert "rmse" not in record


class TestEvaluate:
    def test_what_is_done_is_not_done_again_unless_the_method_changed(self, standard, tmp_path):
        calls = []

        def counted(scan, blood):
            calls.append(scan)
            raise InputError("no.")

        first = evaluate_scan([method(counted)], standard, 0, tmp_path)
        assert evaluate_scan([method(counted)], standard, 0, tmp_path) == first
        assert len(calls) == 1
        evaluate_scan([method(counted, digest="2")], standard, 0, tmp_path)
        assert len(calls) == 2

    def test_faults_are_shown_only_to_methods_that_judge(self, tmp_path):
        fault = next(c for c in conditions(1) if c.fault == "axes")
        blind = method(lambda scan, blood: 1 / 0, name="blind")
        judge = method(lambda scan, blood: 1 / 0, name="judge", judges=True)
        ticks = []
        table = evaluate([blind, judge], [fault], tmp_path, ticks.append)
        assert table["method"].tolist() == ["judge"]
        assert ticks == ["fault: axes"]
        assert table["reason"].tolist() == ["ZeroDivisionError: division by zero"]
        assert unmade(table).empty

    def test_a_model_is_not_judged_on_animals_that_it_has_seen(self, tmp_path):
        splits = SplitManifest({"training": ("held-out:3301", "training:0")})
        seen = method(lambda scan, blood: 1 / 0, splits=splits)
        with pytest.raises(ConfigurationError, match="held-out:3301"):
            evaluate([seen], conditions(2), tmp_path)
        require_unseen([seen], [replace(conditions(2)[0], seeds=range(3300, 3301))])


class TestCandidates:
    def test_all_of_the_registry_but_blood(self):
        names = [candidate.name for candidate in candidates(["image-derived", "population", "population+sample"])]
        assert names == ["image-derived", "population", "population+sample"]

    def test_an_unknown_method_is_refused(self):
        with pytest.raises(ConfigurationError, match="Did you mean 'population'"):
            candidates(["populations"])
        with pytest.raises(ConfigurationError, match="no method 'arterial'"):
            candidates(["arterial"])

    def test_a_sample_scales_the_population_curve(self, case):
        assert METHODS["population"].options().scale_sample is None
        plain, scaled = candidates(["population", "population+sample"])
        shape = [each.function(case.scan, case.blood).whole_blood for each in (plain, scaled)]
        assert np.ptp(shape[1][1:] / np.maximum(shape[0][1:], 1e-9)) < 1e-6 * shape[1].max()
        record = measure(case, scaled, {})
        assert record["outcome"] == "made"

    def test_digests_differ_by_method(self):
        first, second = candidates(["population", "population+sample"])
        assert first.digest != second.digest
        assert candidates(["population"])[0].digest == first.digest

    def test_the_published_network_gives_the_mean_of_its_members(self, case):
        import torch

        torch.manual_seed(1)
        networks = [FCDLIF().eval(), FCDLIF().eval()]
        short = make_case(replace(conditions(1)[0], end=120.0), 0)
        curve = published_curve(short.scan, (), networks=networks)
        image = network_image(short.scan)
        averages = np.mean([predict_curve(network, image).numpy() for network in networks], axis=0)
        expected = np.maximum(averages, 0.0) / short.scan.acquisition.suv_factor
        found = curve.frame_average(short.scan.timing)[0]
        assert np.corrcoef(found, expected)[0, 1] > 0.9
        assert curve.provenance["members"] == 2


def test_several_processes_find_the_same(tmp_path):
    chosen, shown = candidates(["population", "image-derived+sample"]), conditions(2)[:2]
    with open_mapper(2) as mapper:
        titles: list[str] = []
        found = evaluate(chosen, shown, tmp_path / "there", titles.append, mapper)
    expected = evaluate(chosen, shown, tmp_path / "here")
    assert titles == [condition.title for condition in shown for _ in condition.seeds]
    pd.testing.assert_frame_equal(found.drop(columns="seconds"), expected.drop(columns="seconds"))
