"""Training of FC-DLIF, the published network, with the published loss.

Published are Adam at a constant rate of 1e-4, 8 scans to an update, 1000 epochs of some 70 scans, flips in the plane,
and voxels of the scanner. Here voxels are of 1 mm, which loses little at a resolution of about .9 mm and costs an
eighth, convolutions are in bfloat16 where that is fast, and no noise is added to scans that are simulated with noise.
Scans have frames of many kinds and are laid on the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from dlif_core.networks.prediction.fc_dlif import (
    FCDLIF,
    PUBLISHED_SHAPE,
    padded,
    predict_curve,
    published_loss,
    published_timing,
    to_frames,
)
from dlif_core.networks.training.arithmetic import convolving
from dlif_core.networks.training.examples import Example
from dlif_core.networks.training.run import TrainingRun
from dlif_core.phantom import draw
from dlif_core.phantom.population import Source

_FRAMES = PUBLISHED_SHAPE[0]


@dataclass(frozen=True)
class PublishedRecipe:
    """Settings of the training of FC-DLIF; the defaults are as published.

    Attributes
    ----------
    seed
        Seed of the initial weights, of the order of the examples and of their flips.
    steps
        Number of updates of the weights.
    batch
        Number of examples in an update.
    learning_rate
        Learning rate of the first update.
    last_rate
        Learning rate of the last update relative to the first; it falls along a cosine.
    validate_every
        Number of updates between two validations.
    patience
        Number of validations without improvement after which training ends.
    """

    seed: int = 0
    steps: int = 8750
    batch: int = 8
    learning_rate: float = 1e-4
    last_rate: float = 1.0
    validate_every: int = 250
    patience: int = 10

    def rate(self, step: int) -> float:
        """Learning rate at an update."""
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return self.learning_rate * (self.last_rate + (1.0 - self.last_rate) * cosine)


class PublishedTraining(TrainingRun[PublishedRecipe, FCDLIF]):
    """Training of FC-DLIF on scans that last for its 42 frames."""

    #: The training is short: a longer mean would hold much of the initial weights to the end.
    decay: ClassVar[float] = 0.99

    def new_network(self) -> FCDLIF:
        """Make a network of the published layers with random weights."""
        return FCDLIF()

    def loss(self, example: Example, rng: np.random.Generator) -> torch.Tensor:
        """Published loss at an example that may be flipped along y and along x."""
        axes = [axis for axis in (2, 3) if rng.random() < 0.5]
        image, whole_blood = on_published_frames(example)
        activity = padded(image.flip(axes))[None]
        with convolving(self.arithmetic, activity.device):
            curve = self.network(activity)
        return published_loss(curve.float(), whole_blood[None])

    def error(self, network: FCDLIF, scan: Example) -> float:
        """Root mean square error of the curve of a scan [SUV]."""
        image, whole_blood = on_published_frames(scan)
        return float((predict_curve(network, image) - whole_blood).square().mean().sqrt())


def on_published_frames(example: Example) -> tuple[torch.Tensor, torch.Tensor]:
    """Image, shape (42, z, y, x), and whole blood, shape (42,), of an example on the published frames [SUV]."""
    timing = example.scan.timing
    frames = published_timing(timing).first(_FRAMES)
    return to_frames(example.scan.activity, timing, frames), to_frames(example.whole_blood, timing, frames)


def complete_scans(seeds: Iterable[int], population: Source) -> list[int]:
    """Select the seeds whose scan lasts for the 42 frames that the network is made for, in some 4 ms a seed."""
    return [seed for seed in seeds if len(published_timing(draw(seed, population).protocol.timing)) >= _FRAMES]
