"""From a recipe to a model: members are trained, then calibrated and given a scope, then written as a folder.

What takes long is kept in the folder ``work`` of the output: simulated scans, and a checkpoint for each member. So a
training that was cut off goes on where it was, to the same bits, and a member that was trained elsewhere by the same
recipe is taken as it is when its checkpoint lies there.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch.utils.data import ConcatDataset, Subset

from dlif_core.errors import ConfigurationError
from dlif_core.networks.bundle.folder import write_text
from dlif_core.networks.bundle.model import LearnedModel, PublishedModel, Trained, save_model, save_published
from dlif_core.networks.calibration.calibration import calibrate
from dlif_core.networks.prediction.predict import load_network, network_device, save_network
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.release.recipe import (
    POPULATIONS,
    ModelRecipe,
    PopulationName,
    PublishedModelRecipe,
    Run,
    Seeds,
    load_recipe,
    parse_recipe,
    shortened,
)
from dlif_core.networks.scope.assessment import fit_scope
from dlif_core.networks.training.augmentation import Elsewhere
from dlif_core.networks.training.correction import with_corrections
from dlif_core.networks.training.examples import Examples
from dlif_core.networks.training.fc_dlif import PublishedTraining, complete_scans
from dlif_core.networks.training.run import Source, TrainingRun
from dlif_core.networks.training.scan_work import Mapper, Result, in_turn
from dlif_core.networks.training.splits import SplitManifest, simulated_animals
from dlif_core.networks.training.tissue_network import Training
from dlif_core.phantom import Population
from dlif_core.phantom.span import Span

RunKind = TypeVar("RunKind", bound=TrainingRun[Any, Any])

#: Folder of all that is kept while a model is made; it can be thrown away afterwards.
WORK = "work"

#: Updates between two checkpoints.
SAVE_EVERY = 250

_RECIPE = "recipe.json"


@dataclass(frozen=True)
class Progress:
    """How far the making of a model is.

    Attributes
    ----------
    stage
        What is being done, for people.
    done, total
        Of this stage.
    note
        Latest figures.
    """

    stage: str
    done: int
    total: int
    note: str = ""


Report = Callable[[Progress], object]


def silent(_progress: Progress) -> None:
    """Report nothing."""


def train_model(output: Path, recipe: ModelRecipe, report: Report = silent, mapper: Mapper = in_turn) -> LearnedModel:
    """Make a model, or go on making it.

    Parameters
    ----------
    output
        Folder of the model.
    recipe
        From `settled_recipe`.
    report
        Called after every update and every scan.
    mapper
        Does what there is to do for each scan once the networks are trained.

    Raises
    ------
    ConfigurationError
        If the checkpoint of a member is of another recipe.
    """
    for run in needed_runs(output, recipe):
        train_run(output, recipe, run, report)
    return finish_model(output, recipe, report, mapper)


def needed_runs(output: Path, recipe: ModelRecipe) -> list[Run]:
    """Runs that have to be trained or looked at, in order.

    A run that others begin from is passed over when all of them have a checkpoint already.
    """
    runs = recipe.in_order()
    waiting = {run.begin for run in runs if not checkpoint(output, run.name).exists()}
    return [run for run in runs if run.name in recipe.ensemble or run.name in _with_ancestors(recipe, waiting)]


def _with_ancestors(recipe: ModelRecipe, names: set[str | None]) -> set[str]:
    """The runs and all that they begin from."""
    found: set[str] = set()
    for name in names:
        while name is not None and name not in found:
            found.add(name)
            name = recipe.run(name).begin
    return found


def train_published(output: Path, recipe: PublishedModelRecipe, report: Report = silent) -> PublishedModel:
    """Train FC-DLIF for comparison, or go on training it; parameters and errors as of `train_model`."""
    splits, scans = {}, []
    for use, parts in (("training", recipe.examples), ("validation", recipe.validation)):
        complete = [(part.population, complete_scans(part.numbers, POPULATIONS[part.population])) for part in parts]
        splits[use] = tuple(chain.from_iterable(simulated_animals(*part) for part in complete))
        scans.append(_joined(_kept(output, *part) for part in complete))
    training = begun_or_new(PublishedTraining, checkpoint(output, recipe.name), recipe.network_recipe(), *scans)
    run_to_end(training, checkpoint(output, recipe.name), "FC-DLIF", report, recipe.stop)
    trained = Trained(
        networks=[training.best_network()],
        recipe=recipe.model_dump(mode="json"),
        facts=trained_facts([training], population_text(recipe.examples), recipe.limits),
        log=training_log([training]),
        splits=SplitManifest(splits),
    )
    return save_published(output, recipe.name, trained)


def settled_recipe(
    output: Path,
    path: Path | None = None,
    *,
    members: int | None = None,
    scans: int | None = None,
    steps: int | None = None,
) -> ModelRecipe:
    """The recipe by which a model is made, noted in its folder, where a later call finds it.

    Parameters
    ----------
    output
        Folder of the model.
    path
        Of the recipe; None for that with which the folder was begun, or that of the shipped model.
    members, scans, steps
        Take the place of the recipe's number of networks, of training scans and of updates.

    Raises
    ------
    ConfigurationError
        If the recipe is faulty or of another kind, an animal would serve for two things, or networks were trained on
        other scans than the recipe names.
    """
    begun = _noted_recipe(output)
    chosen = begun if begun is not None and path is None else load_recipe(path)
    if not isinstance(chosen, ModelRecipe):
        raise ConfigurationError("this is no recipe of an ensemble.", where=path, hint="Use `dlif train` itself.")
    recipe = shortened(chosen, members=members, scans=scans, steps=steps)
    _note_recipe(output, recipe, begun)
    return recipe


def _note_recipe(output: Path, recipe: ModelRecipe, begun: ModelRecipe | None) -> None:
    recipe.splits()
    trained = sorted((output / WORK).glob("run-*.safetensors"))
    if begun is not None and trained and _scans(begun) != _scans(recipe):
        raise ConfigurationError(
            f"{trained[0].name} was trained on other scans: {_scans(begun)}.",
            where=output,
            hint="Take the recipe it was begun with, or another folder.",
        )
    (output / WORK).mkdir(parents=True, exist_ok=True)
    if recipe != begun:
        for fitted in (output / WORK).glob("corrected-*"):
            fitted.unlink()
    write_text(output / WORK / _RECIPE, json.dumps(recipe.model_dump(mode="json"), indent=1) + "\n")


def _noted_recipe(output: Path) -> ModelRecipe | None:
    path = output / WORK / _RECIPE
    return parse_recipe(json.loads(path.read_text(encoding="utf-8")), where=path) if path.is_file() else None


def _scans(recipe: ModelRecipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json", include={"examples", "validation"})


def train_run(output: Path, recipe: ModelRecipe, run: Run, report: Report = silent) -> Training:
    """Train one network to its end, or go on where its checkpoint stands.

    Parameters
    ----------
    output, recipe, report
        As of `train_model`.
    run
        Of the recipe; what it begins from must have been trained.
    """
    path = checkpoint(output, run.name)
    scans = simulated(output, recipe.examples), simulated(output, recipe.validation)
    training = begun_or_new(Training, path, run.recipe, *scans)
    if training.step == 0 and run.begin is not None:
        before = Training.resume(checkpoint(output, run.begin), recipe.run(run.begin).recipe, *scans)
        training.begin_from(before.averaged_weights)
    run_to_end(training, path, f"network {run.name}", report, run.stop)
    return training


def begun_or_new(kind: type[RunKind], path: Path, recipe: Any, examples: Source, validation: Source) -> RunKind:
    """The training that stands at a checkpoint, or a new one; on the GPU if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = (recipe, examples, validation, network_device())
    return kind.resume(path, *stated) if path.exists() else kind(*stated)


def checkpoint(output: Path, run: str) -> Path:
    """Checkpoint of a run."""
    return output / WORK / f"run-{run}.safetensors"


def simulated(output: Path, parts: Sequence[Seeds]) -> Source:
    """Simulated scans of several populations one after the other, kept in the output."""
    return _joined(_kept(output, part.population, part.numbers) for part in parts)


def _kept(output: Path, population: PopulationName, seeds: Sequence[int]) -> Examples:
    return Examples(output / WORK / "scans", POPULATIONS[population], seeds)


def _joined(parts: Iterable[Examples]) -> Source:
    joined: Source = ConcatDataset(parts)  # type: ignore[arg-type]
    return joined


def run_to_end(
    training: TrainingRun[Any, Any], path: Path, title: str, report: Report, stop: int | None = None
) -> None:
    """Train until the recipe is done, validation stalls or an update is reached, with a checkpoint now and then.

    Parameters
    ----------
    training
        New or resumed.
    path
        Of the checkpoint.
    title, report
        What is shown of it.
    stop
        Update at which it ends.
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


def finish_model(output: Path, recipe: ModelRecipe, report: Report = silent, mapper: Mapper = in_turn) -> LearnedModel:
    """Calibrate members whose training is finished, fit their scope, and write the model.

    Parameters
    ----------
    output, recipe, report, mapper
        As of `train_model`.
    """
    trainings = [train_run(output, recipe, recipe.run(name)) for name in recipe.ensemble]
    networks = corrected_networks(output, recipe, trainings, report, mapper)
    trained = Trained(
        networks=networks,
        recipe=recipe.model_dump(mode="json"),
        facts=trained_facts(trainings, population_text(recipe.examples), recipe.limits),
        log=training_log(trainings),
        splits=recipe.splits(),
    )
    calibrating, sound = (simulated(output, [part]) for part in (recipe.calibration, recipe.scope))
    population = f"simulated mice of the population {recipe.calibration.population}"
    calibration = calibrate(networks, calibrating, population, mapper=reported(mapper, report, "calibration"))
    scope = fit_scope(networks, sound, mapper=reported(mapper, report, "scope"))
    return save_model(output, recipe.name, trained, calibration, scope)


def corrected_networks(
    output: Path,
    recipe: ModelRecipe,
    trainings: Sequence[Training],
    report: Report = silent,
    mapper: Mapper = in_turn,
) -> list[TissueNetwork]:
    """The networks of finished runs with their corrections, which are kept until the recipe changes.

    Parameters
    ----------
    output, recipe, report, mapper
        As of `train_model`.
    trainings
        The runs of the ensemble, trained to their ends.
    """
    paths = [output / WORK / f"corrected-{name}.safetensors" for name in recipe.ensemble]
    if not all(path.exists() for path in paths):
        examples = Elsewhere(evenly(simulated(output, recipe.examples), recipe.correction))
        shown = reported(mapper, report, "correction over time")
        networks = with_corrections([training.best_network() for training in trainings], examples, mapper=shown)
        for path, network in zip(paths, networks, strict=True):
            save_network(path.with_suffix(".part"), network)
            os.replace(path.with_suffix(".part"), path)
    return [load_network(path) for path in paths]


def evenly(examples: Source, number: int) -> Source:
    """So many of the examples, or all if there are fewer, spread evenly over them."""
    chosen = np.linspace(0, len(examples), min(number, len(examples)), endpoint=False, dtype=int)
    part: Source = Subset(examples, chosen.tolist())  # type: ignore[arg-type]
    return part


def reported(mapper: Mapper, report: Report, stage: str) -> Mapper:
    """The mapper, which reports after every scan how far the stage is."""

    def mapped(work: Callable[[int], Result], count: int) -> Iterator[Result]:
        for done, result in enumerate(mapper(work, count), start=1):
            report(Progress(stage, done, count))
            yield result

    return mapped


def trained_facts(trainings: Sequence[TrainingRun[Any, Any]], population: str, limits: Sequence[str]) -> dict[str, Any]:
    """What came of trainings, for the model card."""
    return {
        "population": population,
        "hardware": hardware(),
        "limits": list(limits),
        "members": [
            {
                "seed": training.recipe.seed,
                "parameters": sum(parameter.numel() for parameter in training.network.parameters()),
                "updates": training.step,
                "best_update": training.best_entry.step,
                "rmse": training.best_entry.rmse,
                "arithmetic": ", then ".join(training.arithmetics),
            }
            for training in trainings
        ],
    }


def training_log(trainings: Sequence[TrainingRun[Any, Any]]) -> str:
    """Log of all members as TSV: member, step, loss, rmse."""
    rows = [{"member": k, **asdict(entry)} for k, training in enumerate(trainings, start=1) for entry in training.log]
    return pd.DataFrame(rows).to_csv(sep="\t", index=False, float_format="%.6g")


def hardware() -> str:
    """What this computer trains on, for the model card."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"CPU ({platform.machine()}, {os.cpu_count()} cores), {gpu}"


def population_text(parts: Sequence[Seeds]) -> str:
    """The populations of training scans in a few sentences, for the model card."""
    return " ".join([_first_population(POPULATIONS[parts[0].population]), *map(_further_population, parts[1:])])


def _further_population(part: Seeds) -> str:
    populations = "dlif_core.networks.training.populations"
    return f"A further {part.count} scans are of the population `{part.population}` of {populations}."


def _first_population(population: Population) -> str:
    low, high = (1000.0 * edge for edge in _ends(population.body_weight))
    scans = population.acquisition
    frames = sorted(sum(count for count, _ in schedule) for schedule in scans.schedules)
    fwhm, voxel = _ends(scans.resolution), _ends(scans.voxel_size)
    return (
        f"Simulated scans of the population `{population.name}` of dlif_core.phantom: {population.species}, "
        f"{population.tracer}, {low:g}-{high:g} g, {population.fasted_share:.0%} fasted, "
        f"{frames[0]} to {frames[-1]} frames by {len(frames)} schedules, {scans.end.share:.0%} of scans cut short, "
        f"resolution {fwhm[0]:g}-{fwhm[1]:g} mm, voxels {voxel[0]:g}-{voxel[1]:g} mm, motion between frames."
    )


def _ends(span: Span) -> tuple[float, float]:
    return span.intervals[0][0], span.intervals[-1][1]
