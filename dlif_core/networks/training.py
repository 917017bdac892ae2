"""Training of the tissue network: seeded, in steps that can be stopped and resumed without a trace."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.networks.examples import Example
from dlif_core.networks.features import features
from dlif_core.networks.prediction import predict
from dlif_core.networks.resampling import displaced
from dlif_core.networks.tissues import TISSUES
from dlif_core.networks.unmixing import noise_confidence, unmix
from dlif_core.networks.weight_map import TissueNetwork

# share of the examples in which frames are put right as a prediction does it, and what error that leaves [voxels]
_ALIGNED_SHARE, _ALIGNMENT_ERROR = 0.75, 0.06
# share of the examples that are cut along z, and to how many voxels at least
_CUT_SHARE, _FEWEST_PLANES = 0.8, 36
# blood and myocardium, of which spill-over is made, count so many times more than other voxels
_BLOOD, _MYOCARDIUM, _EMPHASIS = TISSUES.index("blood"), TISSUES.index("myocardium"), 5.0
# the tail begins so long after the start [s]; its errors are relative to the curve plus this [SUV]
_TAIL, _TAIL_FLOOR, _TAIL_WEIGHT = 240.0, 0.3, 0.5
_LARGEST_GRADIENT = 5.0
# decay per update of the running mean of the weights, which is what is validated and kept
_DECAY = 0.998


class Source(Protocol):
    """Examples by number."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Example: ...


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    seed
        Of the first weights, the order of the examples and what is changed in them.
    channels
        Of the network, see `TissueNetwork`.
    steps
        Updates of the weights; the learning rate falls to a fiftieth over them, along a cosine.
    batch
        Examples to an update.
    learning_rate
        Highest, after `warm_up` updates.
    drawing
        Weight of the error of the drawn tissues against the error of the curve.
    validate_every
        Updates between two validations.
    patience
        Validations without improvement after which training ends.
    """

    seed: int = 0
    channels: tuple[int, int, int] = (12, 24, 32)
    steps: int = 20_000
    batch: int = 2
    learning_rate: float = 4e-3
    warm_up: int = 100
    drawing: float = 1.5
    validate_every: int = 1000
    patience: int = 5

    def rate(self, step: int) -> float:
        """Learning rate of an update."""
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up) * (0.02 + 0.98 * cosine)


@dataclass(frozen=True)
class Entry:
    """A line of the training log.

    Attributes
    ----------
    step
        Updates done.
    loss
        Mean over the updates since the last entry.
    rmse
        Median over the validation scans of the root mean square error of the whole-blood curve [SUV].
    """

    step: int
    loss: float
    rmse: float


@dataclass
class Training:
    """A training under way.

    Attributes
    ----------
    recipe, examples, validation
        How and on what; the validation scans choose the weights that are kept.
    network, optimiser
        As they stand.
    averaged
        Running mean of the network's weights over some hundred updates.
    best
        Averaged weights that validated best so far, empty before the first validation.
    step
        Updates done.
    log
        One entry for each validation.
    """

    recipe: Recipe
    examples: Source
    validation: Source
    network: TissueNetwork = field(init=False)
    optimiser: torch.optim.Adam = field(init=False)
    averaged: AveragedModel = field(init=False)
    best: dict[str, torch.Tensor] = field(init=False, default_factory=dict)
    step: int = field(init=False, default=0)
    log: list[Entry] = field(init=False, default_factory=list)
    _losses: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            self.network = TissueNetwork(self.recipe.channels)
        self.optimiser = torch.optim.Adam(self.network.parameters(), self.recipe.learning_rate)
        self.averaged = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(_DECAY))  # type: ignore[no-untyped-call]

    @property
    def finished(self) -> bool:
        """Whether all updates are done, or validation has not improved for as long as the recipe waits."""
        scores = [entry.rmse for entry in self.log]
        stalled = len(scores) - 1 - int(np.argmin(scores)) >= self.recipe.patience if scores else False
        return stalled or self.step >= self.recipe.steps

    def run(self, updates: int | None = None, progress: Callable[[Training], None] | None = None) -> None:
        """Go on training.

        Parameters
        ----------
        updates
            At most so many; by default until training is finished.
        progress
            Called after every update.
        """
        last = self.recipe.steps if updates is None else min(self.step + updates, self.recipe.steps)
        while self.step < last and not self.finished:
            self._losses.append(self._update())
            self.step += 1
            if self.step % self.recipe.validate_every == 0 or self.step == self.recipe.steps:
                self._validate()
            if progress:
                progress(self)

    def _update(self) -> float:
        rng = np.random.default_rng([self.recipe.seed, self.step])
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        self.optimiser.zero_grad()
        total = 0.0
        for index in rng.integers(len(self.examples), size=self.recipe.batch):
            loss = example_loss(self.network, varied(self.examples[int(index)], rng), self.recipe.drawing)
            (loss / self.recipe.batch).backward()  # type: ignore[no-untyped-call]
            total += loss.item() / self.recipe.batch
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimiser.step()
        self.averaged.update_parameters(self.network)
        return total

    def _validate(self) -> None:
        averaged = cast(TissueNetwork, self.averaged.module)
        score = float(np.median(list(errors(averaged, self.validation))))
        if not self.log or score < min(entry.rmse for entry in self.log):
            self.best = {name: value.clone() for name, value in averaged.state_dict().items()}
        self.log.append(Entry(self.step, float(np.mean(self._losses)), score))
        self._losses.clear()

    def save(self, path: Path) -> None:
        """Write a checkpoint: all that `resume` needs, as safetensors; never seen half-written."""
        state = {
            f"{kind}.{name}": value for kind, tensors in self._tensors().items() for name, value in tensors.items()
        }
        progress = {"step": self.step, "losses": self._losses, "log": [asdict(entry) for entry in self.log]}
        partial = path.with_suffix(".part")
        save_file(
            state, partial, metadata={"recipe": json.dumps(asdict(self.recipe)), "progress": json.dumps(progress)}
        )
        os.replace(partial, path)

    def _tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        names = [name for name, _ in self.network.named_parameters()]
        moments = self.optimiser.state_dict()["state"]
        first = {names[i]: moment["exp_avg"] for i, moment in moments.items()}
        second = {names[i]: moment["exp_avg_sq"] for i, moment in moments.items()}
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "best": self.best,
            "first": first,
            "second": second,
        }

    @classmethod
    def resume(cls, path: Path, recipe: Recipe, examples: Source, validation: Source) -> Training:
        """A training as it stood when its checkpoint was written; it goes on to the same bits.

        Raises
        ------
        ConfigurationError
            If the checkpoint is of another recipe.
        """
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        if json.loads(metadata["recipe"]) != json.loads(json.dumps(asdict(recipe))):
            raise ConfigurationError(
                "the checkpoint is of another recipe.", where=path, hint="Train afresh, or take the recipe it states."
            )
        training, progress = cls(recipe, examples, validation), json.loads(metadata["progress"])
        training._restore(load_file(path), progress)
        return training

    def _restore(self, state: dict[str, torch.Tensor], progress: dict[str, Any]) -> None:
        def part(kind: str) -> dict[str, torch.Tensor]:
            return {name.split(".", 1)[1]: value for name, value in state.items() if name.startswith(f"{kind}.")}

        self.network.load_state_dict(part("network"))
        self.averaged.load_state_dict(part("averaged"))
        self.best, self.step, self._losses = part("best"), progress["step"], progress["losses"]
        self.log = [Entry(**entry) for entry in progress["log"]]
        first, second, step = part("first"), part("second"), torch.tensor(float(self.step))
        names = [name for name, _ in self.network.named_parameters()]
        moments = {
            i: {"step": step.clone(), "exp_avg": first[name], "exp_avg_sq": second[name]}
            for i, name in enumerate(names)
            if name in first
        }
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})


def varied(example: Example, rng: np.random.Generator) -> Example:
    """The example as it might also have been: mirrored, cut along z, mostly with its motion put right."""
    activity, tissues, displacement = example.activity, example.tissues, example.displacement
    if rng.random() < _ALIGNED_SHARE:
        error = _ALIGNMENT_ERROR * rng.standard_normal(tuple(displacement.shape))
        activity = displaced(activity, displacement + torch.from_numpy(error).to(displacement))
        displacement = torch.zeros_like(displacement)
    if rng.random() < 0.5:
        activity, tissues = activity.flip(3), tissues.flip(3)
        displacement = displacement * displacement.new_tensor([1.0, 1.0, -1.0])
    planes = activity.shape[1]
    if rng.random() < _CUT_SHARE and planes > _FEWEST_PLANES:
        kept = int(rng.integers(_FEWEST_PLANES, planes))
        first = int(rng.integers(planes - kept + 1))
        activity, tissues = activity[:, first : first + kept], tissues[:, first : first + kept]
    return Example(activity, example.timing, example.body_weight, tissues, displacement, example.whole_blood)


def example_loss(network: TissueNetwork, example: Example, drawing: float) -> torch.Tensor:
    """Error of the curve plus `drawing` times the error of the drawn tissues; convolutions in half precision."""
    with torch.autocast(example.activity.device.type, torch.bfloat16):
        drawn = network(features(example.activity, example.timing, example.body_weight))
    confidence = noise_confidence(example.activity, torch.tensor(example.timing.duration)) * drawn.confidence
    unmixed = unmix(example.activity, drawn.tissues, confidence)
    curve = curve_loss(unmixed.curves[0], example.whole_blood, example.timing)
    return curve + drawing * drawing_loss(drawn.logits, example.tissues)


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
    """Relative entropy of the drawn tissues to the true ones, weighted to where blood is.

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
    weight = 1.0 + _EMPHASIS * (tissues[_BLOOD] + tissues[_MYOCARDIUM])
    loss: torch.Tensor = (weight * entropy).sum() / weight.sum()
    return loss


def errors(network: TissueNetwork, scans: Source | Sequence[Example]) -> Iterator[float]:
    """Root mean square error of the whole-blood curve of each scan [SUV]."""
    for index in range(len(scans)):
        scan = scans[index]
        predicted = predict(network, scan.activity, scan.timing, scan.body_weight).whole_blood
        yield float((predicted - scan.whole_blood).square().mean().sqrt())
