"""Recipes of models of other species than mice, and what a model remembers of its species."""

import pytest

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.networks.bundle.folder import SHIPPED
from dlif_core.networks.bundle.preprocessing import (
    preprocessing_fingerprint,
    require_same_preprocessing,
    trained_subject,
)
from dlif_core.networks.prediction.subject import HUMAN, MOUSE
from dlif_core.networks.release.build import train_run
from dlif_core.networks.release.recipe import load_recipe, parse_recipe

SMALL = {
    "name": "small",
    "start": "mouse",
    "examples": [{"population": "human-laboratories", "first": 10, "count": 1}],
    "validation": [{"population": "human-laboratories", "first": 0, "count": 1}],
    "calibration": {"population": "human-calibration-laboratories", "first": 0, "count": 10},
    "scope": {"population": "human-sound-laboratories", "first": 0, "count": 20},
    "correction": {"population": "human-laboratories", "first": 20, "count": 2},
    "blood": [{"population": "human-laboratories", "first": 30, "count": 3}],
    "training": {"channels": [16, 32, 48], "steps": 1, "batch": 1},
    "runs": {"one": {}},
}


def test_the_recipe_of_humans_is_of_humans() -> None:
    recipe = load_recipe(SHIPPED / "human.yaml")
    assert (recipe.name, recipe.subject, recipe.start) == ("human", HUMAN, "mouse")
    assert load_recipe().subject == MOUSE


def test_scans_of_two_species_make_no_model() -> None:
    mixed = SMALL | {"validation": [{"population": "laboratories", "first": 0, "count": 1}]}
    with pytest.raises(ConfigurationError, match="scans of human and mouse"):
        parse_recipe(mixed, where="here")


def test_a_network_of_another_layout_is_no_start(tmp_path) -> None:
    recipe = parse_recipe(SMALL | {"training": {"channels": [4, 4, 4], "steps": 1}}, where="here")
    with pytest.raises(ConfigurationError, match="another layout"):
        train_run(tmp_path, recipe, recipe.run("one"))


def test_a_run_begins_with_the_networks_of_the_other_model(tmp_path) -> None:
    """One update moves no weight by more than the learning rate."""
    from dlif_core.networks.bundle.model import load_model

    recipe = parse_recipe(SMALL, where="here")
    trained = train_run(tmp_path, recipe, recipe.run("one")).network
    start = load_model("mouse").networks[0].state_dict()
    for name, weights in trained.named_parameters():
        assert float((weights - start[name]).detach().abs().max()) <= 2 * recipe.run("one").recipe.rate(0), name


def test_a_model_of_mice_names_no_species_and_one_of_humans_does() -> None:
    mouse, human = preprocessing_fingerprint("weight-map"), preprocessing_fingerprint("weight-map", HUMAN)
    assert "species" not in mouse
    assert (human["species"], human["voxel of the network [mm]"]) == ("human", HUMAN.voxel)
    assert (trained_subject(mouse), trained_subject(human)) == (MOUSE, HUMAN)
    require_same_preprocessing("weight-map", human)


def test_another_grid_of_the_species_is_noticed() -> None:
    other = preprocessing_fingerprint("weight-map", HUMAN) | {"voxel of the network [mm]": 8.0}
    with pytest.raises(InputError, match=r"voxel of the network \[mm\]: 8\.0 → 10\.0"):
        require_same_preprocessing("weight-map", other)
