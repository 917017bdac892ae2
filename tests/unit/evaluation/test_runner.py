"""Conditions, and methods on their scans: nothing is lost, nothing is done twice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dlif_core.blood_samples.merge import merge
from dlif_core.compute.pool import open_mapper
from dlif_core.errors import ConfigurationError, InputError, OutOfScopeError
from dlif_core.evaluation.candidates import Candidate, candidates, published_curve
from dlif_core.evaluation.conditions import SHORT_END, Condition, conditions, make_case
from dlif_core.evaluation.laboratories import OTHER_TRACERS, SITES
from dlif_core.evaluation.runner import evaluate, evaluate_scan, measure, require_unseen, unmade
from dlif_core.input_function import METHODS
from dlif_core.networks.prediction.fc_dlif import FCDLIF, predict_curve
from dlif_core.networks.prediction.scan import network_image
from dlif_core.networks.training.splits import SplitManifest
from dlif_core.phantom import FAULTS, HELD_OUT, draw


def shown(scans, atlas=None):
    return {condition.name: condition for condition in conditions(scans, atlas)}


@pytest.fixture(scope="module")
def standard():
    """Scans of the population HELD_OUT, which are small."""
    return Condition("standard", "held-out mice", range(2), HELD_OUT)


@pytest.fixture(scope="module")
def case(standard):
    return make_case(standard, 0)


def method(function, name="test", digest="1", **more):
    return Candidate(name, name, digest, function, **more)


class TestConditions:
    def test_sixty_four_scans_are_eight_animals_of_eight_laboratories(self):
        found = shown(64, __file__)
        assert list(found["standard"].seeds) == list(found["truncated"].seeds) == list(range(64))
        assert list(found["atlas"].seeds) == list(range(16000, 16032))
        assert list(found["home"].seeds) == list(range(3300, 3364))
        assert len(found["tracers"].seeds) == 32
        faults = [condition for condition in found.values() if condition.fault]
        assert [condition.fault for condition in faults] == list(FAULTS)
        assert {len(condition.seeds) for condition in faults} == {11}
        assert not set(faults[0].seeds) & set(found["standard"].seeds)

    @pytest.mark.parametrize(("scans", "seeds"), [(1, (0,)), (2, (0, 8)), (4, (0, 1, 8, 9)), (6, (0, 1, 8, 9, 16, 17))])
    def test_few_scans_are_of_several_laboratories(self, scans, seeds):
        found = shown(scans)
        assert found["standard"].seeds == seeds
        assert "atlas" not in found

    def test_no_animal_has_two_laboratories_and_names_differ_between_them(self):
        found = shown(64, __file__)
        assert found["standard"].site(15) == "held-out-laboratories 1"
        assert found["atlas"].site(16009) == "atlas-laboratories 2001"
        assert (found["home"].site(3300), found["home"].site(3301)) == ("held-out 3300", "held-out 3301")
        assert found["shifted"].animals == found["standard"].animals
        apart = [found[name].animals for name in ("standard", "atlas", "tracers", "home", "fault-units")]
        assert len({animal for animals in apart for animal in animals}) == sum(map(len, apart))

    def test_laboratories_take_turns_among_the_tracers(self):
        tracers = [OTHER_TRACERS.of(8 * number).tracer for number in range(3)]
        assert tracers[:2] == ["FDOPA", "PSMA"]
        assert not isinstance(tracers[2], str)

    def test_only_the_injection_of_a_shifted_laboratory_differs(self):
        usual, shifted = SITES.of(9), shown(64)["shifted"].population.of(9)
        assert replace(shifted, injection=usual.injection) == usual
        assert replace(shifted.injection, shift=usual.injection.shift) == usual.injection

    def test_a_scan_of_a_laboratory_knows_its_truth(self):
        condition = shown(4)["standard"]
        found, drawn = make_case(condition, 8), draw(8, SITES)
        assert found.traits["body_weight"] == drawn.mouse.body_weight
        assert (found.traits["site"], found.traits["tracer"]) == ("held-out-laboratories 1", "FDG")
        assert found.scan.activity.shape[1:] == drawn.grid.shape

    @pytest.mark.realdata
    def test_a_scan_on_the_atlas_knows_its_truth(self, real_data):
        path = real_data / "digimouse" / "labels.nii.gz"
        if not path.is_file():
            pytest.skip(f"the label atlas is not at {path}; set DLIF_TEST_DATA to the folder of measured data")
        found = make_case(shown(1, str(path))["atlas"], 16000)
        assert found.traits["site"] == "atlas-laboratories 2000"
        assert found.traits["body_weight"] == found.scan.acquisition.body_weight
        record = measure(found, method(lambda scan, blood: found.truth), {})
        assert (record["rmse"], record["outcome"]) == (0.0, "made")

    def test_a_scan_of_a_population_knows_its_truth(self, case):
        drawn = draw(0, HELD_OUT)
        assert case.scan.acquisition.injected_activity == drawn.mouse.injected_activity
        assert case.traits["noise"] == drawn.mouse.noise_level
        vessel = case.scan.regions.activity[case.scan.regions.names.index("left_ventricle")]
        true = case.truth.frame_average(case.scan.timing)[0]
        assert abs(int(vessel.argmax()) - int(true.argmax())) <= 2

    def test_the_sample_is_exact_and_late(self, case):
        sample = merge(case.blood).whole_blood
        assert sample.time == [2400.0]
        assert sample.value == pytest.approx(np.interp(2400.0, case.truth.time, case.truth.whole_blood))

    def test_a_scan_cut_short_is_the_beginning_of_the_same_scan(self, case, standard):
        short = make_case(replace(standard, end=SHORT_END), 0)
        frames = len(short.scan.timing)
        assert short.scan.timing.end[-1] <= SHORT_END < case.scan.timing.end[frames]
        np.testing.assert_array_equal(short.scan.activity, case.scan.activity[:frames])
        np.testing.assert_array_equal(short.scan.regions.activity, case.scan.regions.activity[:, :frames])

    def test_faulty_units(self, standard):
        faulty = make_case(replace(standard, fault="units"), 1000)
        assert faulty.traits["fault"].startswith("units: x ")

    @pytest.mark.parametrize("scans", [0, 1001])
    def test_impossible_numbers_are_refused(self, scans):
        with pytest.raises(ConfigurationError, match="can't be evaluated"):
            conditions(scans)

    def test_a_missing_atlas_is_refused_before_anything_is_simulated(self):
        with pytest.raises(ConfigurationError, match="no label atlas here"):
            conditions(4, "nowhere/labels.nii.gz")


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
        fault = Condition("fault-axes", "fault: axes", (0,), HELD_OUT, fault="axes")
        blind = method(lambda scan, blood: 1 / 0, name="blind")
        judge = method(lambda scan, blood: 1 / 0, name="judge", judges=True)
        ticks = []
        table = evaluate([blind, judge], [fault], tmp_path, ticks.append)
        assert table["method"].tolist() == ["judge"]
        assert ticks == ["fault: axes"]
        assert table["reason"].tolist() == ["ZeroDivisionError: division by zero"]
        assert unmade(table).empty

    def test_a_model_is_not_judged_on_animals_that_it_has_seen(self, tmp_path):
        splits = SplitManifest({"training": ("held-out-laboratories:8", "training:0")})
        seen = method(lambda scan, blood: 1 / 0, splits=splits)
        with pytest.raises(ConfigurationError, match="held-out-laboratories:8"):
            evaluate([seen], conditions(2), tmp_path)
        require_unseen([seen], [replace(conditions(2)[0], seeds=(0,))])


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

    def test_the_published_network_gives_the_mean_of_its_members(self, standard):
        import torch

        torch.manual_seed(1)
        networks = [FCDLIF().eval(), FCDLIF().eval()]
        short = make_case(replace(standard, end=120.0), 0)
        curve = published_curve(short.scan, (), networks=networks)
        image = network_image(short.scan)
        averages = np.mean([predict_curve(network, image).numpy() for network in networks], axis=0)
        expected = np.maximum(averages, 0.0) / short.scan.acquisition.suv_factor
        found = curve.frame_average(short.scan.timing)[0]
        assert np.corrcoef(found, expected)[0, 1] > 0.9
        assert curve.provenance["members"] == 2


def test_several_processes_find_the_same(standard, tmp_path):
    chosen = candidates(["population", "image-derived+sample"])
    both = [standard, replace(standard, name="truncated", end=SHORT_END)]
    with open_mapper(2) as mapper:
        titles: list[str] = []
        found = evaluate(chosen, both, tmp_path / "there", titles.append, mapper)
    expected = evaluate(chosen, both, tmp_path / "here")
    assert titles == [condition.title for condition in both for _ in condition.seeds]
    pd.testing.assert_frame_equal(found.drop(columns="seconds"), expected.drop(columns="seconds"))
