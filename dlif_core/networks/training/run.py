"""A training in updates that can be stopped and resumed with the same result, for any kind of network."""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dlif_core.errors import ConfigurationError, InputError, NotFiniteError
from dlif_core.finite import to_json
from dlif_core.networks.training.arithmetic import Arithmetic, training_arithmetic
from dlif_core.networks.training.examples import Example

_CPU = torch.device("cpu")
_LARGEST_GRADIENT = 5.0


class ExampleSource(Protocol):
    """A sequence of examples, which may be made when they are asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Example: ...


class RunRecipe(Protocol):
    """The settings that every training has; a recipe is a dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def seed(self) -> int:
        """Seed of the initial weights, of the order of the examples and of their augmentation."""

    @property
    def steps(self) -> int:
        """Number of updates of the weights."""

    @property
    def batch(self) -> int:
        """Number of examples in an update."""

    @property
    def validate_every(self) -> int:
        """Number of updates between two validations."""

    @property
    def patience(self) -> int:
        """Number of validations without improvement after which training ends."""

    def rate(self, step: int) -> float:
        """Learning rate at an update."""


RecipeKind = TypeVar("RecipeKind", bound=RunRecipe)
NetworkKind = TypeVar("NetworkKind", bound=nn.Module)


@dataclass(frozen=True)
class LogEntry:
    """A validation in the log of a training.

    Attributes
    ----------
    step
        Number of updates before the validation.
    loss
        Mean loss over the updates since the last entry; None before the first.
    rmse
        Median over the validation scans of the root mean square error of the whole-blood curve [SUV].
    """

    step: int
    loss: float | None
    rmse: float


@dataclass
class TrainingRun(ABC, Generic[RecipeKind, NetworkKind]):
    """A training, new or resumed.

    Attributes
    ----------
    recipe
        Settings of the training.
    examples, validation
        Examples to train on, and those by which the weights to keep are chosen.
    device
        Device of the training; examples are moved there.
    arithmetic
        Arithmetic of the convolutions in updates from now on, see `training_arithmetic`.
    arithmetics
        Arithmetics of all updates so far in their order; several if the training was resumed on a device that computes
        another one fast.
    network, optimiser
        Network in training and its optimiser.
    averaged
        Running mean of the network's weights over some hundred updates.
    best
        Averaged weights with the best validation so far, empty before the first validation.
    step
        Number of updates so far.
    log
        One entry for each validation.
    """

    #: Decay per update of the running mean of the weights, which is what is validated and kept.
    decay: ClassVar[float] = 0.998

    recipe: RecipeKind
    examples: ExampleSource
    validation: ExampleSource
    device: torch.device = _CPU
    arithmetic: Arithmetic = field(init=False)
    arithmetics: list[Arithmetic] = field(init=False, default_factory=list)
    network: NetworkKind = field(init=False)
    optimiser: torch.optim.Adam = field(init=False)
    averaged: AveragedModel = field(init=False)
    best: dict[str, torch.Tensor] = field(init=False, default_factory=dict)
    step: int = field(init=False, default=0)
    log: list[LogEntry] = field(init=False, default_factory=list)
    _losses: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.arithmetic = training_arithmetic(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            self.network = self.new_network().to(self.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), self.recipe.rate(0))
        self.averaged = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(self.decay))  # type: ignore[no-untyped-call]

    @abstractmethod
    def new_network(self) -> NetworkKind:
        """Make a network with its initial weights."""

    @abstractmethod
    def loss(self, example: Example, rng: np.random.Generator) -> torch.Tensor:
        """Loss of the network at an example, which may be augmented at random."""

    @abstractmethod
    def error(self, network: NetworkKind, scan: Example) -> float:
        """Root mean square error of the whole-blood curve of a scan [SUV]."""

    @property
    def averaged_weights(self) -> dict[str, torch.Tensor]:
        """Running mean of the network's weights."""
        averaged: Any = self.averaged.module
        return {name: value.clone() for name, value in averaged.state_dict().items()}

    def begin_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Begin from the weights of another network of this layout."""
        self.network.load_state_dict(weights)
        self.averaged.module.load_state_dict(weights)

    @property
    def finished(self) -> bool:
        """Whether all updates are done, or validation has not improved for as long as the recipe waits."""
        scores = [entry.rmse for entry in self.log]
        stalled = len(scores) - 1 - int(np.argmin(scores)) >= self.recipe.patience if scores else False
        return stalled or self.step >= self.recipe.steps

    @property
    def best_entry(self) -> LogEntry:
        """Log entry of the weights with the best validation."""
        return min(self.log, key=lambda entry: entry.rmse)

    def best_network(self) -> NetworkKind:
        """A network with the weights of the best validation, ready to predict on the CPU."""
        network = self.new_network()
        network.load_state_dict(self.best)
        return network.eval()

    def run(self, updates: int | None = None, progress: Callable[[Self], None] | None = None) -> None:
        """Train until the end, or for some updates.

        Parameters
        ----------
        updates
            Largest number of updates; None trains until the training is finished.
        progress
            Called after every update.
        """
        last = self.recipe.steps if updates is None else min(self.step + updates, self.recipe.steps)
        while self.step < last and not self.finished:
            self._losses.append(self._update())
            self.step += 1
            if self.step % self.recipe.validate_every == 0 or self.step == self.recipe.steps:
                self.validate()
            if progress:
                progress(self)

    def _update(self) -> float:
        rng = np.random.default_rng([self.recipe.seed, self.step])
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        self.optimiser.zero_grad()
        total = 0.0
        if self.arithmetics[-1:] != [self.arithmetic]:
            self.arithmetics.append(self.arithmetic)
        for index in rng.integers(len(self.examples), size=self.recipe.batch):
            loss = self.loss(self.examples[int(index)].to(self.device), rng)
            (loss / self.recipe.batch).backward()  # type: ignore[no-untyped-call]
            total += loss.item() / self.recipe.batch
        self._require_finite(total, "loss")
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimiser.step()
        self.averaged.update_parameters(self.network)
        return total

    def _require_finite(self, value: float, name: str) -> None:
        if not math.isfinite(value):
            raise NotFiniteError(
                f"the {name} is {value} at update {self.step + 1}.",
                where="training",
                hint="Lower the learning rate; if it is so from the first update on, check the scans.",
            )

    def validate(self) -> None:
        """Compute the error of the averaged weights on the validation scans, and keep the best weights.

        Raises
        ------
        NotFiniteError
            If the error is not finite: such weights are never kept.
        """
        averaged: Any = self.averaged.module
        scans = (self.validation[index].to(self.device) for index in range(len(self.validation)))
        score = float(np.median([self.error(averaged, scan) for scan in scans]))
        self._require_finite(score, "validation error")
        if not self.log or score < self.best_entry.rmse:
            self.best = self.averaged_weights
        loss = float(np.mean(self._losses)) if self._losses else None
        self.log.append(LogEntry(self.step, loss, score))
        self._losses.clear()

    def save(self, path: Path) -> None:
        """Write a checkpoint as safetensors with all that `resume` needs; the file appears when it is complete."""
        state = {
            f"{kind}.{name}": value for kind, tensors in self._tensors().items() for name, value in tensors.items()
        }
        progress = {
            "step": self.step,
            "losses": self._losses,
            "log": [asdict(entry) for entry in self.log],
            "arithmetics": self.arithmetics,
        }
        partial = path.with_suffix(".part")
        metadata = {"recipe": to_json(asdict(self.recipe), where=path), "progress": to_json(progress, where=path)}
        partial.write_bytes(save(state, metadata))
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
    def resume(
        cls,
        path: Path,
        recipe: RecipeKind,
        examples: ExampleSource,
        validation: ExampleSource,
        device: torch.device = _CPU,
    ) -> Self:
        """Resume a training from its checkpoint; on a CPU the result has the same bits as without a break.

        It resumes in the arithmetic of this process. If that is not the one of the updates before, the bits differ and
        `arithmetics` records both. It is not refused: a training that is moved to another processor would otherwise
        have to be begun anew, or resumed in an arithmetic that this processor only emulates.

        Raises
        ------
        InputError
            If the file is not a checkpoint.
        ConfigurationError
            If the checkpoint is of another recipe, or `DLIF_TRAINING_DTYPE` is wrong.
        """
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata()
            stated, progress = json.loads(metadata["recipe"]), json.loads(metadata["progress"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError("the file is no checkpoint.", where=path, hint="Delete it and train afresh.") from error
        wanted = json.loads(to_json(asdict(recipe), where=path))
        # settings that are newer than the checkpoint can't be compared
        if stated != {name: value for name, value in wanted.items() if name in stated}:
            raise ConfigurationError(
                f"the checkpoint is of another recipe: {stated}.",
                where=path,
                hint="Train afresh, or take the recipe it states.",
            )
        training = cls(recipe, examples, validation, device)
        training._restore(load_file(path), progress)
        return training

    def _restore(self, state: dict[str, torch.Tensor], progress: dict[str, Any]) -> None:
        def part(kind: str) -> dict[str, torch.Tensor]:
            return {name.split(".", 1)[1]: value for name, value in state.items() if name.startswith(f"{kind}.")}

        self.network.load_state_dict(part("network"))
        self.averaged.load_state_dict(part("averaged"))
        self.best, self.step, self._losses = part("best"), progress["step"], progress["losses"]
        self.log = [LogEntry(**entry) for entry in progress["log"]]
        # checkpoints that state no arithmetic were written when training knew only bfloat16
        self.arithmetics = progress.get("arithmetics", ["bfloat16"] if self.step else [])
        first, second, step = part("first"), part("second"), torch.tensor(float(self.step))
        names = [name for name, _ in self.network.named_parameters()]
        moments = {
            i: {"step": step.clone(), "exp_avg": first[name], "exp_avg_sq": second[name]}
            for i, name in enumerate(names)
            if name in first
        }
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
