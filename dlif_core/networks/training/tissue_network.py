"""Training of the tissue network: seeded, in steps that can be stopped and resumed without a trace."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.features import features
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.prediction.refinement import tissue_network
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.prediction.unmixing import noise_confidence, unmix
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.arithmetic import Arithmetic, convolving
from dlif_core.networks.training.augmentation import varied
from dlif_core.networks.training.examples import Example
from dlif_core.networks.training.run import TrainingRun

# blood and myocardium, of which spill-over is made, count so many times more than other tissues
_BLOOD, _MYOCARDIUM, _EMPHASIS = TISSUES.index("blood"), TISSUES.index("myocardium"), 4.0
# tissues much smaller than this count less [voxels]
_SMALL = 30.0
# the tail begins so long after the start [s]; its errors are relative to the curve plus this [SUV]
_TAIL, _TAIL_FLOOR, _TAIL_WEIGHT = 240.0, 0.3, 0.5
# spread of the factors by which tissues are more or less active, standard deviation of their logarithm
_KINETICS = 0.4


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    seed
        Of the first weights, the order of the examples and what is changed in them.
    channels
        Of the network, see `TissueNetwork`.
    revisions
        How often the network revises its drawing, see `RevisingNetwork`; its first drawing stays as the run began.
    steps
        Updates of the weights; the learning rate falls to a fiftieth over them, along a cosine.
    batch
        Examples to an update.
    learning_rate
        Highest, after `warm_up` updates.
    fit, bias, drawing
        Weights of the error of the curve, of its bias with other kinetics, and of the error of the drawn tissues. With
        `fit` zero a network learns to draw alone, which takes it far in few updates; the curve refines it.
    validate_every
        Updates between two validations.
    patience
        Validations without improvement after which training ends.
    """

    seed: int = 0
    channels: tuple[int, int, int] = (12, 24, 32)
    revisions: Annotated[int, Field(ge=0)] = 0
    steps: int = 20_000
    batch: int = 2
    learning_rate: float = 4e-3
    warm_up: int = 100
    fit: float = 1.0
    bias: float = 1.0
    drawing: float = 1.5
    validate_every: int = 1000
    patience: int = 5

    def rate(self, step: int) -> float:
        """Learning rate of an update."""
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up) * (0.02 + 0.98 * cosine)


class Training(TrainingRun[Recipe, TissueNetwork]):
    """A training of the tissue network under way."""

    def new_network(self) -> TissueNetwork:
        """A network with weights at random."""
        return tissue_network(self.recipe.channels, self.recipe.revisions)

    def begin_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Begin from the weights of a network with these channels; one that doesn't revise begins both drawings."""
        super().begin_from(self.network.starting_weights(weights))

    def loss(self, example: Example, rng: np.random.Generator) -> torch.Tensor:
        """Loss at the example as it might also have been."""
        return example_loss(self.network, varied(example, rng), self.recipe, rng, self.arithmetic)

    def error(self, network: TissueNetwork, scan: Example) -> float:
        """Root mean square error of the whole-blood curve of a scan [SUV]."""
        predicted = predict(network, scan.activity, scan.timing, scan.body_weight).whole_blood
        return float((predicted - scan.whole_blood).square().mean().sqrt())


def example_loss(
    network: TissueNetwork, example: Example, recipe: Recipe, rng: np.random.Generator, arithmetic: Arithmetic
) -> torch.Tensor:
    """Error of the curve, its bias were the kinetics different, and the error of the drawn tissues.

    Only the network computes in `arithmetic`, all else is in float32. An example that has no tissues, because nobody
    knows them, is judged by its curve alone.
    """
    activity, timing = example.activity, example.timing
    counting = noise_confidence(activity, torch.tensor(timing.duration))
    # a gradient goes through the last revision alone, so that each is the last at times
    revisions = int(rng.integers(1, network.revisions + 1)) if network.revisions else 0
    with convolving(arithmetic, activity.device):
        drawn = network.draw(activity, features(activity, timing, example.body_weight), counting, revisions)
    if not recipe.fit:
        return drawing_loss(drawn.logits, example.tissues)
    unmixed = unmix(activity, drawn.tissues, counting * drawn.confidence)
    fit = curve_loss(unmixed.curves[0], example.whole_blood, timing)
    if not len(example.tissues):
        return fit
    bias = leakage(unmixed.weight_map[0], example, counting, rng)
    biased = curve_loss(example.whole_blood + bias, example.whole_blood, timing)
    return recipe.fit * fit + recipe.bias * biased + recipe.drawing * drawing_loss(drawn.logits, example.tissues)


def leakage(
    weight_map: torch.Tensor, example: Example, counting: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Error of the curve that a weight map would make without noise, the tissues' activities being drawn anew.

    What a weight map lets through of every tissue is known from the true tissues. With curves that differ from those
    in the image, a network can't balance the share of one tissue by that of another.

    Parameters
    ----------
    weight_map
        Signed weights of blood, shape (z, y, x).
    example
        Whose true tissues and their curves are taken.
    counting
        Its `noise_confidence`.
    rng
        Draws by which factor each tissue is more or less active.

    Returns
    -------
    Shape (frames,) [SUV].
    """
    passed = example.tissues.flatten(1) @ weight_map.flatten()
    passed = passed - torch.eye(len(TISSUES))[_BLOOD].to(passed)
    curves = unmix(example.activity, example.tissues, counting).curves
    curves[_BLOOD] = example.whole_blood
    factor = torch.from_numpy(np.exp(_KINETICS * rng.standard_normal(len(TISSUES)))).to(curves)
    factor[_BLOOD] = 1.0
    return (passed * factor) @ curves


def curve_loss(predicted: torch.Tensor, whole_blood: torch.Tensor, timing: FrameTiming) -> torch.Tensor:
    """Root mean square error over the frames [SUV], relative error of the area and of the tail.

    Short frames make the first weigh the peak; the second and third keep what long frames add up to.
    """
    duration = torch.tensor(timing.duration).to(predicted)
    error = predicted - whole_blood
    root = torch.sqrt(error.square().mean() + 1e-4)
    area = (error @ duration).abs() / (whole_blood @ duration)
    tail = torch.from_numpy(timing.mid > timing.start[0] + _TAIL).to(predicted)
    late = (error.abs() / (whole_blood + _TAIL_FLOOR)) @ tail / tail.sum().clamp(min=1.0)
    return root + area + _TAIL_WEIGHT * late


def drawing_loss(logits: torch.Tensor, tissues: torch.Tensor) -> torch.Tensor:
    """Relative entropy of the drawn tissues to the true ones, in which small tissues count as much as large ones.

    Parameters
    ----------
    logits
        Shape (1 + tissues, z, y, x), background first.
    tissues
        Shape (tissues, z, y, x).
    """
    background = (1.0 - tissues.sum(dim=0, keepdim=True)).clamp(min=0.0)
    truth = torch.cat([background, tissues])
    truth = truth / truth.sum(dim=0)
    entropy = torch.special.xlogy(truth, truth).sum(dim=0) - (truth * logits.log_softmax(dim=0)).sum(dim=0)
    volume = truth.sum(dim=(1, 2, 3))
    worth = 1.0 / (volume + _SMALL)
    worth[[1 + _BLOOD, 1 + _MYOCARDIUM]] *= _EMPHASIS
    weight = torch.einsum("k,kzyx->zyx", worth, truth)
    loss: torch.Tensor = (weight * entropy).sum() / (worth * volume).sum()
    return loss
