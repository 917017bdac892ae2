"""Networks on a GPU as far as it can be told without one.

PyTorch's fake tensors have a device and no values, and refuse to be mixed with those of another device as real ones do.
Here that device is `meta`, which every PyTorch has. What is read from values, the arrival of the bolus, is told
beforehand, and there is no half precision.
"""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorDeviceMismatchError, FakeTensorMode

from dlif_core.networks.prediction import features as features_module
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.prediction.refinement import tissue_network
from dlif_core.networks.prediction.resampling import to_network_grid
from dlif_core.networks.training.augmentation import blurred, stretched
from dlif_core.networks.training.tissue_network import Recipe, Training, example_loss

CHANNELS = (4, 6, 8)


@pytest.fixture
def gpu(monkeypatch):
    """A device on which tensors are fake."""
    monkeypatch.setattr(features_module, "arrival", lambda timing, total: float(timing.start[0]) + 30.0)
    monkeypatch.setattr(FakeTensor, "numpy", lambda tensor, force: np.zeros(tensor.shape))
    monkeypatch.setattr(torch, "autocast", lambda *_args: nullcontext())
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield torch.device("meta")


@pytest.fixture
def example(examples, gpu):
    """A simulated scan on that device."""
    return examples[0].to(gpu)


def network(gpu, revisions):
    with gpu:
        return tissue_network(CHANNELS, revisions)


def test_devices_are_told_apart(example):
    """In products too, in which tensors of `meta` that are not fake would pass."""
    with pytest.raises(FakeTensorDeviceMismatchError):
        torch.einsum("f,fzyx->zyx", torch.ones(len(example.scan.activity)), example.scan.activity)


@pytest.mark.parametrize("revisions", [0, 2])
def test_a_prediction_stays_on_its_device(example, gpu, revisions):
    activity = to_network_grid(example.scan.activity, (1.2, 1.0, 1.1))
    found = predict(network(gpu, revisions).eval(), example.scan.with_activity(activity))
    assert {part.device for part in found} == {gpu}
    assert found.whole_blood.shape == (len(example.scan.timing),)


@pytest.mark.parametrize("revisions", [0, 2])
def test_gradients_come_from_the_device(example, gpu, revisions):
    trained = network(gpu, revisions)
    example_loss(trained, example, Recipe(channels=CHANNELS), np.random.default_rng(0), "bfloat16").backward()
    gradients = [part.grad for part in trained.parameters() if part.requires_grad]
    assert {gradient.device for gradient in gradients} == {gpu}


def test_examples_are_augmented_on_the_device(example, gpu):
    for changed in (stretched(example, (1.1, 0.9, 1.0)), blurred(example, 0.8)):
        assert {changed.scan.activity.device, changed.tissues.device, changed.displacement.device} == {gpu}


def test_a_training_takes_scans_to_its_device(examples, monkeypatch):
    seen = []

    def loss(_run, example, _rng):
        seen.append(example.scan.activity.device.type)
        return torch.zeros((), requires_grad=True)

    def error(_run, _network, scan):
        seen.append(scan.tissues.device.type)
        return 1.0

    monkeypatch.setattr(Training, "loss", loss)
    monkeypatch.setattr(Training, "error", error)
    recipe = Recipe(channels=CHANNELS, steps=1, batch=3)
    training = Training(recipe, examples, examples[:1], torch.device("meta"))
    training.run()
    assert seen == 4 * ["meta"]
    assert {part.device.type for part in training.network.parameters()} == {"meta"}
