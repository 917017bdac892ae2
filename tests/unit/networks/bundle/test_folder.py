"""Folders of models and splits of animals: what they refuse, and what they say."""

import json
from dataclasses import replace

import pytest

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.networks.bundle import folder as folders
from dlif_core.networks.bundle.folder import (
    Manifest,
    file_digest,
    list_models,
    read_manifest,
    use_model,
    write_manifest,
)
from dlif_core.networks.bundle.preprocessing import preprocessing_fingerprint, require_same_preprocessing
from dlif_core.networks.training.splits import SplitManifest, animal_folds, simulated_animals


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """No model but those of the test."""
    monkeypatch.setenv("DLIF_MODELS", str(tmp_path / "user"))
    monkeypatch.setattr(folders, "SHIPPED", tmp_path / "shipped")


def model(folder, kind="weight-map", content="weights"):
    """A folder with a manifest and all other files that a model needs, of which only the weights tell anything."""
    folder.mkdir(parents=True)
    (folder / "member-1.safetensors").write_text(content)
    others = ("CARD.md", "calibration.json", "scope.json", "splits.json")
    for name in others:
        (folder / name).write_text("{}")
    files = {name: file_digest(folder / name) for name in ("member-1.safetensors", *others)}
    manifest = Manifest(folder.name, kind, "1", {}, {}, {"members": [{"file": "member-1.safetensors"}]}, files)
    write_manifest(folder, manifest)
    return manifest


def test_a_model_of_an_earlier_version_is_said_to_be_replaced():
    with pytest.raises(ConfigurationError, match=r"no model 'mouse-fdg'") as refused:
        folders.model_folder("mouse-fdg")
    assert refused.value.hint == "The model mouse replaces it: name this one."


class TestManifest:
    def test_comes_back(self, tmp_path):
        written = model(tmp_path / "a")
        assert read_manifest(tmp_path / "a") == written

    def test_a_changed_file_is_refused_by_name(self, tmp_path):
        model(tmp_path / "a")
        (tmp_path / "a" / "member-1.safetensors").write_text("other weights")
        with pytest.raises(InputError, match=r"member-1\.safetensors.*not the one with which the model was made"):
            read_manifest(tmp_path / "a")

    def test_a_missing_file_is_refused_by_name(self, tmp_path):
        model(tmp_path / "a")
        (tmp_path / "a" / "CARD.md").unlink()
        with pytest.raises(InputError, match=r"CARD\.md.*missing"):
            read_manifest(tmp_path / "a")

    def test_a_changed_manifest_is_refused(self, tmp_path):
        model(tmp_path / "a")
        path = tmp_path / "a" / "model.json"
        content = json.loads(path.read_text())
        (tmp_path / "a" / "member-1.safetensors").write_text("other weights")
        content["files"]["member-1.safetensors"] = file_digest(tmp_path / "a" / "member-1.safetensors")
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"model\.json was changed"):
            read_manifest(tmp_path / "a")

    @pytest.mark.parametrize("text", ["", "[]", '{"format": 99}', '{"format": 1}'])
    def test_another_file_of_that_name_is_refused(self, tmp_path, text):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(InputError):
            read_manifest(tmp_path)

    def test_digest_is_that_of_what_decides_predictions(self, tmp_path):
        first = model(tmp_path / "a")
        assert replace(first, name="b", files={**first.files, "CARD.md": "0" * 64}).digest == first.digest
        assert replace(first, files={**first.files, "member-1.safetensors": "0" * 64}).digest != first.digest
        assert replace(first, preprocessing={"voxel": 2.0}).digest != first.digest


class TestChoice:
    def test_the_shipped_default_is_used_until_another_is_chosen(self, tmp_path):
        shipped = tmp_path / "shipped" / folders.DEFAULT_MODEL
        model(shipped)
        model(tmp_path / "user" / "mine")
        assert folders.model_folder() == shipped
        assert use_model("mine") == tmp_path / "user" / "mine"
        assert folders.model_folder() == tmp_path / "user" / "mine"
        assert {listed.name: (listed.shipped, listed.in_use) for listed in list_models()} == {
            "mine": (False, True),
            folders.DEFAULT_MODEL: (True, False),
        }

    def test_a_folder_can_be_used(self, tmp_path, monkeypatch):
        model(tmp_path / "elsewhere")
        monkeypatch.chdir(tmp_path)
        use_model("elsewhere")
        monkeypatch.chdir("/")
        assert folders.model_folder() == tmp_path / "elsewhere"

    def test_a_users_model_hides_a_shipped_one_of_its_name(self, tmp_path):
        model(tmp_path / "shipped" / "one")
        model(tmp_path / "user" / "one", content="own")
        assert folders.model_folder("one") == tmp_path / "user" / "one"
        assert len(list_models()) == 1

    def test_an_unknown_name_is_answered_with_those_there_are(self, tmp_path):
        model(tmp_path / "shipped" / "one")
        with pytest.raises(ConfigurationError, match="there are: one"):
            folders.model_folder("two")

    def test_a_network_for_comparison_is_not_used_for_analyses(self, tmp_path):
        model(tmp_path / "shipped" / "published", kind="fc-dlif")
        with pytest.raises(ConfigurationError, match="comparison"):
            use_model("published")

    def test_a_damaged_model_is_listed_with_its_fault(self, tmp_path):
        model(tmp_path / "shipped" / "one")
        (tmp_path / "shipped" / "one" / "CARD.md").write_text("changed")
        (listed,) = list_models()
        assert "CARD.md" in listed.fault


class TestPreprocessing:
    @pytest.mark.parametrize("kind", ["weight-map", "fc-dlif"])
    def test_is_that_of_now(self, kind):
        kept = json.loads(json.dumps(preprocessing_fingerprint(kind)))
        require_same_preprocessing(kind, kept)

    def test_a_changed_constant_is_named(self):
        trained = preprocessing_fingerprint("weight-map") | {"ridge of unmixing [voxels]": 0.5}
        with pytest.raises(InputError, match=r"ridge of unmixing \[voxels\]: 0\.5 → 0\.02"):
            require_same_preprocessing("weight-map", trained)

    def test_a_changed_computation_is_noticed(self, monkeypatch):
        from dlif_core.networks.prediction import predict as prediction

        trained = preprocessing_fingerprint("weight-map")
        features = prediction.features

        def without_root(*arguments):
            seen = features(*arguments)
            return replace(seen, image=seen.image**2)

        monkeypatch.setattr(prediction, "features", without_root)
        with pytest.raises(InputError, match="gives other numbers"):
            require_same_preprocessing("weight-map", trained)


class TestSplits:
    def test_come_back_from_runs_of_numbers(self):
        splits = SplitManifest(
            {"training": (*simulated_animals("a", range(5, 900)), "study:sub-01", "a:3"), "validation": ()}
        )
        assert splits.to_dict() == {"training": ["a:5..899", "study:sub-01", "a:3"], "validation": []}
        assert SplitManifest.from_dict(json.loads(json.dumps(splits.to_dict()))) == splits

    def test_an_animal_has_one_use(self):
        with pytest.raises(ConfigurationError, match="animal a:4 and 1 more would be used for training and for calibr"):
            SplitManifest(
                {"training": simulated_animals("a", range(6)), "calibration": simulated_animals("a", [9, 5, 4])}
            )

    def test_an_evaluation_may_not_use_what_was_trained_on(self):
        splits = SplitManifest({"training": ("a:1",)})
        splits.require_apart("evaluation", ["a:2"])
        with pytest.raises(ConfigurationError, match="a:1 would be used for training and for evaluation"):
            splits.require_apart("evaluation", ["a:2", "a:1"])

    def test_what_was_used_earlier_counts(self):
        earlier = SplitManifest({"training": ("s:1",), "validation": ("s:2",)})
        assert SplitManifest({"training": ("s:1", "s:3")}).joined(earlier).splits == {
            "training": ("s:1", "s:3"),
            "validation": ("s:2",),
        }
        with pytest.raises(ConfigurationError, match="s:1"):
            SplitManifest({"calibration": ("s:1",)}).joined(earlier)

    def test_folds_hold_all_scans_of_an_animal(self):
        animals = [f"s:{k // 3}" for k in range(30)]
        folds = animal_folds(animals, 4, seed=0)
        assert sorted(animal for fold in folds for animal in fold) == sorted(set(animals))
        assert sorted(len(fold) for fold in folds) == [2, 2, 3, 3]
        assert animal_folds(animals, 4, seed=0) == folds
        assert animal_folds(animals, 4, seed=1) != folds

    def test_more_folds_than_animals_are_refused(self):
        with pytest.raises(ConfigurationError, match="2 animals can't be divided into 3"):
            animal_folds(["a", "a", "b"], 3, seed=0)
