"""Training of the tissue network on examples with known curves, and known tissues where there are any."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.arterial import read_arterial
from dlif_core.networks.prediction.features import features
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.prediction.refinement import tissue_network
from dlif_core.networks.prediction.tissues import ARTERIAL, TISSUES, VENOUS
from dlif_core.networks.prediction.unmixing import noise_confidence, unmix
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.arithmetic import Arithmetic, convolving
from dlif_core.networks.training.augmentation import augmented_for_training
from dlif_core.networks.training.examples import Example
from dlif_core.networks.training.run import TrainingRun

# blood and myocardium, of which spill-over is made, count so many times more than other tissues
_EMPHASISED, _EMPHASIS = [1 + ARTERIAL, 1 + VENOUS, 1 + TISSUES.index("myocardium")], 4.0
# tissues much smaller than this count less [voxels]
_SMALL = 30.0
# start of the tail after the injection or a later start of the scan [s]; offset [SUV] of its relative errors; weight
# in the loss
_TAIL, _TAIL_FLOOR, _TAIL_WEIGHT = 240.0, 0.3, 1.0
# standard deviation of the logarithm of the factors by which tissues are more or less active
_KINETICS = 0.4


@dataclass(frozen=True)
class Recipe:
    """Settings of the training of a tissue network.

    Attributes
    ----------
    seed
        Seed of the initial weights, of the order of the examples and of their augmentation.
    channels
        Channels of the network on its three levels, see `TissueNetwork`.
    revisions
        Number of times that the network refines its segmentation, see `RefiningNetwork`; the weights of the first
        segmentation are not trained then.
    steps
        Number of updates of the weights; the learning rate falls to a fiftieth over them, along a cosine.
    batch
        Number of examples in an update.
    learning_rate
        Highest learning rate, reached after `warm_up` updates.
    warm_up
        Number of updates over which the learning rate rises.
    fit, bias, drawing
        Weights in the loss of the error of the curve, of its bias with other kinetics, and of the error of the
        segmentation. With `fit` zero a network learns to segment alone, which takes it far in few updates.
    validate_every
        Number of updates between two validations.
    patience
        Number of validations without improvement after which training ends.
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
        """Learning rate at an update."""
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up) * (0.02 + 0.98 * cosine)


class Training(TrainingRun[Recipe, TissueNetwork]):
    """Training of a tissue network, new or resumed."""

    def new_network(self) -> TissueNetwork:
        """Make a network with random weights."""
        return tissue_network(self.recipe.channels, self.recipe.revisions)

    def begin_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Begin from the weights of a network with the same channels; one without refinement gives both networks."""
        super().begin_from(self.network.starting_weights(weights))

    def loss(self, example: Example, rng: np.random.Generator) -> torch.Tensor:
        """Loss at the augmented example."""
        return example_loss(self.network, augmented_for_training(example, rng), self.recipe, rng, self.arithmetic)

    def error(self, network: TissueNetwork, scan: Example) -> float:
        """Root mean square error of the whole-blood curve of a scan [SUV]."""
        error = predict(network, scan.scan).whole_blood - scan.whole_blood
        return float(error[scan.whole_blood.isfinite()].square().mean().sqrt())


class ShortTraining(Training):
    """A training whose running mean of the weights remembers some tens of updates, of a few hundred."""

    decay = 0.98


def example_loss(
    network: TissueNetwork, example: Example, recipe: Recipe, rng: np.random.Generator, arithmetic: Arithmetic
) -> torch.Tensor:
    """Weighted sum of the error of the curve, of its bias if kinetics were different, and of the segmentation's error.

    Only the network computes in `arithmetic`, all else is in float32. An example whose
    tissues are unknown has only the error of its curve.
    """
    activity, timing = example.scan.activity, example.scan.timing
    counting = noise_confidence(activity, example.scan.seconds)
    # a gradient goes through the last refinement alone, so each of them is the last in some updates
    revisions = int(rng.integers(1, network.revisions + 1)) if network.revisions else 0
    described = features(example.scan)
    with convolving(arithmetic, activity.device):
        found = network.segment(activity, described, counting, revisions)
    if not recipe.fit:
        return segmentation_loss(found.logits, example.tissues)
    unmixed = unmix(activity, found.tissues, counting * found.confidence)
    with torch.no_grad():  # how much each pool counts is not learned, or noise could be hidden from its estimate
        read = read_arterial(activity, found.tissues, counting * found.confidence, unmixed, described.since)
    curve = (read.shares * unmixed.curves[[ARTERIAL, VENOUS]]).sum(dim=0)
    fit = curve_loss(curve, example.whole_blood, timing)
    if not len(example.tissues):
        return fit
    bias = leakage(unmixed.weight_map[ARTERIAL], example, counting, rng)
    biased = curve_loss(example.whole_blood + bias, example.whole_blood, timing)
    segmentation = segmentation_loss(found.logits, example.tissues)
    return recipe.fit * fit + recipe.bias * biased + recipe.drawing * segmentation


def leakage(
    weight_map: torch.Tensor, example: Example, counting: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Error of the curve that a weight map would give without noise if the tissues had other activities.

    How much of every tissue a weight map lets through is known from the true tissues. With curves that differ from
    those in the image, a network can't balance the contribution of one tissue by that of another.

    Parameters
    ----------
    weight_map
        Signed weights of blood, shape (z, y, x).
    example
        Example with true tissues.
    counting
        `noise_confidence` of its image.
    rng
        Random numbers for the factors by which tissues are more or less active.

    Returns
    -------
    Error of the curve, shape (frames,) [SUV].
    """
    passed = example.tissues.flatten(1) @ weight_map.flatten()
    passed = passed - torch.eye(len(TISSUES))[ARTERIAL].to(passed)
    curves = unmix(example.scan.activity, example.tissues, counting).curves
    curves[ARTERIAL] = example.whole_blood
    factor = torch.from_numpy(np.exp(_KINETICS * rng.standard_normal(len(TISSUES)))).to(curves)
    factor[ARTERIAL] = 1.0
    return (passed * factor) @ curves


def curve_loss(predicted: torch.Tensor, whole_blood: torch.Tensor, timing: FrameTiming) -> torch.Tensor:
    """Sum of the root mean square error over the frames [SUV] and of the relative errors of the area and of the tail.

    Most frames are short, so the first weighs the peak; the other two weigh the long frames. Frames whose blood is
    unknown, NaN, don't count.
    """
    known = whole_blood.isfinite().to(predicted)
    whole_blood = whole_blood.nan_to_num()
    duration = torch.tensor(timing.duration).to(predicted) * known
    error = (predicted - whole_blood) * known
    root = torch.sqrt(error.square().sum() / known.sum() + 1e-4)
    area = (error @ duration).abs() / (whole_blood @ duration)
    tail = torch.from_numpy(timing.mid > timing.begin + _TAIL).to(predicted) * known
    late = (error.abs() / (whole_blood + _TAIL_FLOOR)) @ tail / tail.sum().clamp(min=1.0)
    return root + area + _TAIL_WEIGHT * late


def segmentation_loss(logits: torch.Tensor, tissues: torch.Tensor) -> torch.Tensor:
    """Relative entropy of the segmentation to the true tissues, in which small tissues count as much as large ones.

    Parameters
    ----------
    logits
        Logits of the segmentation, shape (1 + tissues, z, y, x), background first.
    tissues
        True parts of the tissues, shape (tissues, z, y, x).
    """
    background = (1.0 - tissues.sum(dim=0, keepdim=True)).clamp(min=0.0)
    truth = torch.cat([background, tissues])
    truth = truth / truth.sum(dim=0)
    entropy = torch.special.xlogy(truth, truth).sum(dim=0) - (truth * logits.log_softmax(dim=0)).sum(dim=0)
    volume = truth.sum(dim=(1, 2, 3))
    worth = 1.0 / (volume + _SMALL)
    worth[_EMPHASISED] *= _EMPHASIS
    weight = torch.einsum("k,kzyx->zyx", worth, truth)
    loss: torch.Tensor = (weight * entropy).sum() / (worth * volume).sum()
    return loss
