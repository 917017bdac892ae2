"""The arithmetic of a training: the faster one unless it is stated, recorded with every network."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from dlif_core.errors import ConfigurationError
from dlif_core.networks.release.facts import trained_facts
from dlif_core.networks.training import arithmetic
from dlif_core.networks.training.arithmetic import VARIABLE, convolving, training_arithmetic
from dlif_core.networks.training.tissue_network import Recipe, Training, example_loss

CPU = torch.device("cpu")
RECIPE = Recipe(channels=(4, 4, 4), steps=3, batch=1, warm_up=1, validate_every=3)


@pytest.fixture
def unstated(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    arithmetic._faster_on_cpu.cache_clear()
    yield monkeypatch
    arithmetic._faster_on_cpu.cache_clear()


@pytest.mark.parametrize(("seconds", "expected"), [(0.5, "bfloat16"), (0.9, "float32"), (53.0, "float32")])
def test_bfloat16_is_taken_where_it_is_clearly_faster(unstated, seconds, expected):
    unstated.setattr(arithmetic, "_convolution_time", {"float32": 1.0, "bfloat16": seconds}.__getitem__)
    assert training_arithmetic(CPU) == expected


def test_the_processor_is_timed_once_and_no_random_number_is_drawn(unstated):
    timed, real = [], arithmetic._convolution_time
    unstated.setattr(arithmetic, "_convolution_time", lambda one: timed.append(one) or real(one))
    before = torch.random.get_rng_state()
    with torch.no_grad():
        found = {training_arithmetic(CPU) for _ in range(3)}
    assert len(found) == 1
    assert timed == ["float32", "bfloat16"]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_gpu_is_not_timed(unstated):
    unstated.setattr(arithmetic, "_convolution_time", lambda _: pytest.fail("the processor was timed"))
    assert training_arithmetic(torch.device("cuda")) == "bfloat16"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("stated", ["float32", "bfloat16"])
def test_the_environment_decides(unstated, stated, device):
    unstated.setenv(VARIABLE, stated)
    assert training_arithmetic(torch.device(device)) == stated


def test_another_arithmetic_is_refused(unstated, examples):
    unstated.setenv(VARIABLE, "float16")
    with pytest.raises(ConfigurationError, match=r"DLIF_TRAINING_DTYPE: 'float16'.*float32, bfloat16"):
        Training(RECIPE, examples, examples[:1])


@pytest.mark.parametrize(("stated", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_convolutions_are_computed_in_it(stated, expected):
    with convolving(stated, CPU):
        assert torch.nn.functional.conv1d(torch.ones(1, 1, 4), torch.ones(1, 1, 2)).dtype == expected


def test_both_arithmetics_give_the_same_loss_but_for_rounding(examples):
    """Eight bits of bfloat16 keep two to three digits."""
    network = Training(RECIPE, examples, examples[:1]).network
    losses = [
        float(example_loss(network, examples[0], RECIPE, np.random.default_rng(0), one).detach())
        for one in ("float32", "bfloat16")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.03)
    assert losses[0] != losses[1]


class TestRecord:
    @pytest.fixture
    def checkpoint(self, unstated, examples, tmp_path):
        """Of a training that did one update in bfloat16."""
        unstated.setenv(VARIABLE, "bfloat16")
        begun = Training(RECIPE, examples, examples[:1])
        begun.run(updates=1)
        begun.save(tmp_path / "checkpoint.safetensors")
        return tmp_path / "checkpoint.safetensors"

    def test_facts_name_it(self, unstated, examples):
        unstated.setenv(VARIABLE, "float32")
        training = Training(RECIPE, examples, examples[:1])
        training.run()
        assert [member["arithmetic"] for member in trained_facts([training], "mice", [])["members"]] == ["float32"]

    def test_a_training_resumes_in_another_one_and_both_are_named(self, unstated, examples, checkpoint):
        unstated.setenv(VARIABLE, "float32")
        resumed = Training.resume(checkpoint, RECIPE, examples, examples[:1])
        assert resumed.arithmetics == ["bfloat16"]
        resumed.run()
        assert trained_facts([resumed], "", [])["members"][0]["arithmetic"] == "bfloat16, then float32"

    def test_checkpoints_from_before_are_in_bfloat16(self, examples, checkpoint):
        with safe_open(checkpoint, "pt") as file:
            metadata = file.metadata()
        progress = json.loads(metadata["progress"])
        assert progress.pop("arithmetics") == ["bfloat16"]
        content = save(load_file(checkpoint), metadata | {"progress": json.dumps(progress)})
        checkpoint.write_bytes(content)
        assert Training.resume(checkpoint, RECIPE, examples, examples[:1]).arithmetics == ["bfloat16"]
