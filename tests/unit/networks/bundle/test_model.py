"""A model from its recipe to its folder and back: training, calibration, scope, further training."""

import json
import pickle
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dlif_core.compute.pool import open_mapper
from dlif_core.errors import ConfigurationError, InputError
from dlif_core.networks.bundle.model import Trained, add_evaluation, load_model, save_model
from dlif_core.networks.calibration.calibration import Calibration
from dlif_core.networks.prediction.correction import Correction
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.release import build as release
from dlif_core.networks.release import runs
from dlif_core.networks.release.build import settled_recipe, train_run
from dlif_core.networks.release.facts import trained_facts, training_log
from dlif_core.networks.release.fine_tuning import Alternating, TuningRecipe, divide, train_further
from dlif_core.networks.release.own_scan import OwnScan
from dlif_core.networks.release.recipe import ModelRecipe, Seeds, load_recipe, parse_recipe, shortened
from dlif_core.networks.release.runs import checkpoint
from dlif_core.networks.scope.assessment import Scope
from dlif_core.networks.training.examples import make_example
from dlif_core.networks.training.splits import SplitManifest
from dlif_core.networks.training.tissue_network import Training
from dlif_core.phantom import TRAINING

TINY = ModelRecipe(
    name="tiny",
    examples=(Seeds(first=10_000, count=2),),
    validation=(Seeds(first=0, count=1),),
    correction=Seeds(first=3000, count=2),
    calibration=Seeds(first=2000, count=3),
    scope=Seeds(first=2300, count=2),
    training={"channels": (4, 4, 4), "steps": 4, "batch": 1, "warm_up": 1, "validate_every": 2},
    runs={"first": {}, "second": {"begin": "first", "seed": 7, "steps": 2, "revisions": 1}},
    members=("second",),
    limits=("A limit.",),
)


class Plain:
    """Stands for a calibration or a scope, of which folders only keep the plain values."""

    def __init__(self, **content):
        self.content = content

    def to_dict(self):
        return self.content

    @classmethod
    def from_dict(cls, content):
        return cls(**content)

    def recalibrated(self, cases, population, groups):
        return Plain(scans=len(cases), population=population, groups=list(groups))

    def refusal(self, metric, level):
        return "too few calibration scans"


@pytest.fixture(autouse=True)
def plain_statements(monkeypatch):
    """What calibration and scope are worth is tested elsewhere; here they are numbers that travel."""
    monkeypatch.setattr(Calibration, "from_dict", Plain.from_dict)
    monkeypatch.setattr(Scope, "from_dict", Plain.from_dict)
    monkeypatch.setattr(release, "calibrate", lambda networks, scans, population, mapper: Plain(scans=len(scans)))
    monkeypatch.setattr(release, "fit_scope", lambda networks, calibration, scans, mapper: Plain(scans=len(scans)))


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Scans and checkpoints of the tiny recipe, trained without a break."""
    folder = tmp_path_factory.mktemp("model")
    for run in TINY.in_order():
        train_run(folder, TINY, run)
    return folder


@pytest.fixture
def model(output, tmp_path):
    """A copy of the model, its work left out."""
    made = release.finish_model(output, TINY)
    facts = {key: value for key, value in made.manifest.training.items() if key != "torch"}
    members = [{key: value for key, value in member.items() if key != "file"} for member in facts["members"]]
    trained = Trained(made.networks, made.manifest.recipe, {**facts, "members": members}, "", made.splits)
    return save_model(tmp_path / "model", "tiny", trained, made.calibration, made.scope)


class TestRelease:
    def test_resumes_after_a_kill_to_the_same_bits(self, output, tmp_path, monkeypatch):
        monkeypatch.setattr(runs, "SAVE_EVERY", 1)
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "scans").symlink_to(output / "work" / "scans")

        def killed(state):
            if state.done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train_run(tmp_path, TINY, TINY.run("first"), killed)
        resumed = train_run(tmp_path, TINY, TINY.run("first"))
        whole = train_run(output, TINY, TINY.run("first"))
        assert resumed.log == whole.log
        for name, value in whole.best.items():
            assert torch.equal(resumed.best[name], value)

    def test_a_run_begins_with_the_averaged_weights_of_another(self, output):
        scans = [release.simulated(output, TINY.examples)] * 2
        first = Training.resume(checkpoint(output, "first"), TINY.run("first").recipe, *scans)
        begun = Training(TINY.run("second").recipe, *scans)
        begun.begin_from(first.averaged_weights)
        begun.run()
        second = Training.resume(checkpoint(output, "second"), TINY.run("second").recipe, *scans)
        assert all(
            torch.equal(a, b) for a, b in zip(begun.network.parameters(), second.network.parameters(), strict=True)
        )

    def test_finished_networks_are_taken_as_they_are(self, output, tmp_path):
        (tmp_path / "work").mkdir()
        checkpoint(tmp_path, "second").symlink_to(checkpoint(output, "second"))
        assert [run.name for run in release.needed_runs(tmp_path, TINY)] == ["second"]
        training = train_run(tmp_path, TINY, TINY.run("second"))
        assert training.finished
        assert not list((tmp_path / "work" / "scans").iterdir())

    def test_a_changed_recipe_is_refused_once_networks_are_there(self, output, tmp_path):
        settled_recipe(tmp_path, None, members=1, scans=5, steps=3)
        assert sum(part.count for part in settled_recipe(tmp_path).examples) == 5
        checkpoint(tmp_path, "1").write_bytes(b"")
        with pytest.raises(ConfigurationError, match="trained on other scans"):
            settled_recipe(tmp_path, scans=6)

    def test_corrections_are_fitted_again_by_another_recipe(self, tmp_path):
        settled_recipe(tmp_path, None, scans=5)
        fitted = tmp_path / "work" / "corrected-1.safetensors"
        fitted.write_bytes(b"")
        settled_recipe(tmp_path, scans=5)
        assert fitted.exists()
        settled_recipe(tmp_path, scans=5, steps=3)
        assert not fitted.exists()


class TestFolder:
    def test_comes_back_with_the_same_predictions(self, output, model):
        loaded = load_model(model.folder)
        scan = release.simulated(output, TINY.validation)[0]
        for kept, made in zip(loaded.networks, model.networks, strict=True):
            found = predict(kept, scan.scan).whole_blood
            assert torch.equal(found, predict(made, scan.scan).whole_blood)
        assert (loaded.name, loaded.digest, loaded.splits) == ("tiny", model.digest, TINY.splits())
        assert loaded.calibration.content == {"scans": 3}
        assert loaded.scope.content == {"scans": 2}

    def test_changed_weights_are_refused(self, model):
        path = model.folder / "member-1.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"member-1\.safetensors"):
            load_model(model.folder)

    def test_another_preprocessing_is_refused(self, model, monkeypatch):
        from dlif_core.networks.bundle import preprocessing

        changed = preprocessing._CONSTANTS["weight-map"] | {"voxel of the network [mm]": 0.8}
        monkeypatch.setitem(preprocessing._CONSTANTS, "weight-map", changed)
        with pytest.raises(InputError, match=r"voxel of the network \[mm\]: 1\.0 → 0\.8"):
            load_model(model.folder)

    def test_an_animal_in_two_splits_is_refused(self, output):
        with pytest.raises(ConfigurationError, match="laboratories:2001 would be used for calibration and for scope"):
            parse_recipe(
                {"name": "a", "calibration": {"first": 2000, "count": 2}, "scope": {"first": 2001, "count": 1}},
                where="",
            )

    def test_nothing_is_unpickled(self, model, monkeypatch):
        def refuse(*_arguments, **_options):
            raise AssertionError("something was unpickled")

        monkeypatch.setattr(pickle, "load", refuse)
        monkeypatch.setattr(pickle, "loads", refuse)
        monkeypatch.setattr(pickle, "Unpickler", refuse)
        monkeypatch.setattr(torch, "load", refuse)
        load_model(model.folder)
        allowed = (".safetensors", ".json", ".tsv", ".md")
        assert {path.suffix for path in model.folder.iterdir()} <= set(allowed)

    def test_an_evaluation_goes_into_the_card_and_not_into_the_digest(self, model):
        row = {
            "condition": "standard",
            "method": "learned",
            "figure": "rmse",
            "title": "whole-blood RMSE",
            "unit": "SUV",
        }
        row |= {"value": 0.2468, "low": 0.2, "high": 0.3, "n": 60, "required": "≤ 0.3", "reached": True}
        about = {"conditions": [{"name": "standard", "title": "mice", "population": "held-out", "seeds": [0, 60]}]}
        groups = [{"method": "learned", "group": "with tumour", "scans": 40, "rmse": 0.1357}]
        add_evaluation(model.folder, {"about": about, "figures": [row], "groups": groups}, "seed\n0\n")
        card = (model.folder / "CARD.md").read_text()
        for said in (
            "0.247",
            "0.200 to 0.300",
            "seeds 0 to 59",
            "with tumour",
            "0.136",
            "A limit.",
            "research use only",
        ):
            assert said in card
        assert load_model(model.folder).digest == model.digest


class TestRecipe:
    def test_that_of_the_shipped_model_is_sound(self):
        recipe = load_recipe()
        assert isinstance(recipe, ModelRecipe)
        assert shortened(recipe, members=2, scans=7, steps=9).run(recipe.ensemble[0]).recipe.steps == 9

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ({"name": "a", "membres": 3}, "membres"),
            ({"name": "a", "training": {"step": 3}}, "unknown setting of the training: step"),
            ({"name": "a", "runs": {"x": {"begin": "y"}}}, "no run 'y'"),
            ({"name": "a", "runs": {"x": {"begin": "y"}, "y": {"begin": "x"}}}, "begin from each other"),
            ({"name": "a", "runs": {"x": {"revisions": 1}}}, "run 'x' refines a segmentation"),
            ({"name": "a", "runs": {"x": {}, "y": {"begin": "x", "channels": [4, 4, 4]}}}, "'y' has other channels"),
            (
                {"name": "a", "runs": {"x": {}, "y": {"begin": "x", "revisions": 2}, "z": {"begin": "y"}}},
                "'z' makes no revisions",
            ),
            ({"name": "a", "training": {"revisions": -1}}, "revisions"),
            ({"name": "../a"}, "name"),
        ],
    )
    def test_faults_are_named(self, content, said):
        with pytest.raises(ConfigurationError, match=rf"recipe\.yaml.*{said}"):
            parse_recipe(content, where="recipe.yaml")


def own_scan(animal, seed):
    """A scan as a study has it: without tissues and displacement."""
    example = make_example(seed, TRAINING)
    planes = slice(10, 34)
    activity = example.scan.activity[:, planes]
    tissues = activity.new_zeros(0, *activity.shape[1:])
    bare = replace(example, scan=example.scan.with_activity(activity), tissues=tissues)
    return OwnScan(animal, f"scan {seed}", replace(bare, displacement=torch.zeros_like(bare.displacement)))


class TestFurther:
    RECIPE = TuningRecipe(simulated=Seeds(first=10_000, count=1), steps=2, validate_every=1)

    @pytest.fixture
    def model(self, model):
        """The model, were its networks such that what they read is the mean of the image."""
        networks = deepcopy(model.networks)
        for network in networks:
            for layer in (network.out, network.first.out):
                torch.nn.init.zeros_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
            network.correction = Correction()
        return replace(model, networks=networks)

    @pytest.fixture(scope="class")
    @staticmethod
    def scans():
        """Of 18 animals, one of which has two; many share an image, which is quick."""
        some = [own_scan("", k + 1) for k in range(3)]
        return [some[k % 3]._replace(animal=f"study:sub-{k % 18:02d}", name=f"scan {k}") for k in range(19)]

    def test_nine_animals_correct_and_calibrate_and_no_weights_change(self, model, scans, tmp_path):
        made = train_further(tmp_path / "own", model, scans[:9], self.RECIPE)
        assert made.calibration.content["scans"] == 9
        assert made.calibration.content["groups"] == [scan.animal for scan in scans[:9]]
        for kept, base in zip(made.networks, model.networks, strict=True):
            changed = [
                name for name, value in kept.state_dict().items() if not torch.equal(value, base.state_dict()[name])
            ]
            assert changed == ["correction.site"]
            found = (kept.correction.site - base.correction.site).exp()
            assert found.tolist() == pytest.approx(made.manifest.training["site"]["factors"], abs=1e-3)
        assert made.manifest.training["site"]["level"] == "site"
        assert set(made.splits.splits["calibration"]) == {scan.animal for scan in scans[:9]}
        card = (made.folder / "CARD.md").read_text()
        for said in (
            "too few calibration scans",
            model.digest[:12],
            "No weights were changed",
            "took no part",
            "-25 to -5",
        ):
            assert said in card

    def test_eighteen_train_by_half_and_calibrate_by_the_others(self, model, scans, tmp_path):
        reports = []
        with open_mapper(2) as mapper:
            made = train_further(tmp_path / "own", model, scans, self.RECIPE, reports.append, mapper=mapper)
        division = divide([scan.animal for scan in scans], 0)
        kept = [scan.animal for scan in scans if scan.animal in division.calibration]
        assert made.calibration.content["groups"] == kept
        assert set(made.splits.splits["calibration"]) == set(division.calibration)
        assert len(division.calibration) == 9
        assert set(made.splits.splits["earlier calibration"]) == {f"laboratories:{seed}" for seed in (2000, 2001, 2002)}
        assert made.manifest.training["site"]["level"] == "training"
        assert "trained further on half" in (made.folder / "CARD.md").read_text()
        assert [(one.done, one.total) for one in reports if one.stage == "training"] == [(1, 2), (2, 2)]
        # the weights it began with are validated too, so that it never becomes worse
        assert "\t0\t\t" in (made.folder / "training.tsv").read_text()

    def test_training_ends_when_the_time_is_over(self, model, scans, tmp_path):
        recipe = self.RECIPE.model_copy(update={"steps": 50, "minutes": 1e-6})
        made = train_further(tmp_path / "own", model, scans, recipe)
        assert made.manifest.training["members"][0]["updates"] == 1

    def test_an_animal_that_trained_before_cant_calibrate(self, model, scans, tmp_path):
        seen = SplitManifest({**model.splits.splits, "training": (scans[3].animal,)})
        with pytest.raises(ConfigurationError, match=f"{scans[3].animal} would be used"):
            train_further(tmp_path / "own", replace(model, splits=seen), scans[:9], TuningRecipe())

    def test_an_animal_that_corrected_before_cant_calibrate(self, model, scans, tmp_path):
        made = train_further(tmp_path / "own", model, scans[:9], self.RECIPE)
        with pytest.raises(ConfigurationError, match=f"{scans[0].animal} and 8 more would be used for the correction"):
            train_further(tmp_path / "again", made, scans[:9], self.RECIPE)

    def test_too_few_animals_are_refused(self):
        with pytest.raises(ConfigurationError, match="3 animals"):
            divide(["a", "b", "c", "a"], 0)

    def test_folds_leave_out_other_animals_for_each_network(self):
        division = divide([f"s:{k // 2}" for k in range(40)], seed=3)
        assert len(division.calibration) == 10
        everyone = [*division.calibration, *(animal for fold in division.folds for animal in fold)]
        assert sorted(everyone) == sorted({f"s:{k}" for k in range(20)})
        assert division.validation_of(1) != division.validation_of(2)

    def test_own_and_simulated_scans_alternate(self):
        both = Alternating([SimpleNamespace(k=k) for k in "ab"], [SimpleNamespace(k=k) for k in "xyz"])
        assert "".join(both[k].k for k in range(len(both))) == "axbyaz"


def test_log_and_facts_tell_of_every_network():
    entry = SimpleNamespace(step=4, loss=1.0, rmse=0.5)
    run = SimpleNamespace(
        recipe=SimpleNamespace(seed=3),
        network=torch.nn.Linear(2, 1),
        step=5,
        best_entry=entry,
        log=[],
        arithmetics=["float32"],
    )
    facts = trained_facts([run], "mice", [])
    expected = {"seed": 3, "parameters": 3, "updates": 5, "best_update": 4, "rmse": 0.5, "arithmetic": "float32"}
    assert facts["members"] == [expected]
    assert json.dumps(facts)
    assert training_log([]).strip() in ("", '""')
    assert np.isfinite(facts["members"][0]["rmse"])
