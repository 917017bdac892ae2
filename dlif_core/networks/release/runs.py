"""A training with checkpoints and progress, and the folder in which they are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dlif_core.networks.prediction.scan import network_device
from dlif_core.networks.training.run import ExampleSource, TrainingRun
from dlif_core.networks.training.scan_work import Mapper, Result

RunKind = TypeVar("RunKind", bound=TrainingRun[Any, Any])

#: Folder of all that is kept while a model is made; it can be deleted afterwards.
WORK = "work"

#: Updates between two checkpoints.
SAVE_EVERY = 250


@dataclass(frozen=True)
class Progress:
    """Progress of making a model.

    Attributes
    ----------
    stage
        Description of what is being done.
    done, total
        Number of updates or scans that are done, and of all in this stage.
    note
        Latest validation, in words.
    """

    stage: str
    done: int
    total: int
    note: str = ""


Report = Callable[[Progress], object]


def silent(_progress: Progress) -> None:
    """Report nothing."""


def resumed_or_new(
    kind: type[RunKind], path: Path, recipe: Any, examples: ExampleSource, validation: ExampleSource
) -> RunKind:
    """The training of a checkpoint, or a new one if there is no checkpoint; on the GPU if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = (recipe, examples, validation, network_device())
    return kind.resume(path, *stated) if path.exists() else kind(*stated)


def checkpoint(output: Path, run: str) -> Path:
    """Path of the checkpoint of a run."""
    return output / WORK / f"run-{run}.safetensors"


def run_to_end(
    training: TrainingRun[Any, Any], path: Path, title: str, report: Report, stop: int | None = None
) -> None:
    """Train until the recipe is done, validation stalls or an update is reached, and write checkpoints.

    Parameters
    ----------
    training
        New or resumed training.
    path
        Path of the checkpoint.
    title
        Name of the training in its progress.
    report
        Called with the progress after every update.
    stop
        Update at which training ends; None for the end of the recipe.
    """
    last = training.recipe.steps if stop is None else min(stop, training.recipe.steps)

    def after_update(now: TrainingRun[Any, Any]) -> None:
        if now.step % SAVE_EVERY == 0:
            now.save(path)
        note = f"validation RMSE {now.best_entry.rmse:.3f} SUV at update {now.best_entry.step}" if now.log else ""
        report(Progress(title, now.step, last, note))

    if training.step < last and not training.finished:
        training.run(last - training.step, after_update)
        training.save(path)
    report(
        Progress(title, last, last, f"best validation RMSE {training.best_entry.rmse:.3f} SUV" if training.log else "")
    )


def reported(mapper: Mapper, report: Report, stage: str) -> Mapper:
    """A mapper that also reports the progress of a stage after every scan."""

    def mapped(work: Callable[[int], Result], count: int) -> Iterator[Result]:
        for done, result in enumerate(mapper(work, count), start=1):
            report(Progress(stage, done, count))
            yield result

    return mapped
