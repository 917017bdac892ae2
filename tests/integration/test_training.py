"""A model from nothing: the flow of `dlif train` with a small recipe."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dlif_core.networks.bundle.model import load_model
from dlif_core.networks.prediction.ensemble import predict_ensemble
from dlif_core.networks.training.examples import make_example
from dlif_core.phantom import TRAINING

pytestmark = [pytest.mark.slow, pytest.mark.service]

RECIPE = {
    "name": "small",
    "examples": [{"first": 10000, "count": 2}, {"population": "training", "first": 10000, "count": 2}],
    "validation": [{"first": 0, "count": 1}],
    "calibration": {"population": "training", "first": 2000, "count": 75},
    "scope": {"population": "training", "first": 2400, "count": 26},
    "correction": {"first": 3000, "count": 3},
    "training": {"channels": [8, 12, 16], "steps": 120, "batch": 1, "warm_up": 10, "validate_every": 120, "fit": 0.0},
    "runs": {"one": {}},
    "limits": ["Hardly trained."],
}

FLOW = """
from prefect.artifacts import Artifact
from prefect.testing.utilities import prefect_test_harness
from flows.train import train
with prefect_test_harness(server_startup_timeout=240):
    digest = train("model", "recipe.yaml")
    page = Artifact.get("model-card").data
open("page.md", "w").write(page)
print("digest", digest)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In which the flow has made a model."""
    root = tmp_path_factory.mktemp("training")
    (root / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    done = run([sys.executable, "-c", FLOW], root)
    (root / "digest").write_text(done.stdout.split("digest ")[1].strip())
    return root


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=560)
    assert done.returncode == 0, done.stderr
    return done


def test_the_flow_makes_a_model_that_predicts(folder: Path) -> None:
    model = load_model(str(folder / "model"))
    assert model.digest == (folder / "digest").read_text()
    example = make_example(77, TRAINING)
    prediction = predict_ensemble(model.networks, example.scan)
    curve = model.calibration.curve(prediction, 8)
    assert not curve.refused
    assert (curve.lower <= curve.whole_blood).all()
    assert (curve.whole_blood <= curve.upper).all()


def test_the_card_is_an_artifact_and_names_both_populations(folder: Path) -> None:
    page = (folder / "page.md").read_text()
    assert page == (folder / "model" / "CARD.md").read_text()
    assert "`laboratories:10000..10001`" in page
    assert "`training:10000..10001`" in page
    assert "Hardly trained." in page
