"""Making of a model from its recipe: members are trained and calibrated, a scope is fitted, and the model is written.

Simulated scans and a checkpoint of each member are kept in the folder ``work`` of the output. So an interrupted
training resumes with the same result, and a member that was trained on another machine by the same recipe is used if
its checkpoint is copied there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from torch.utils.data import ConcatDataset

from dlif_core.errors import ConfigurationError
from dlif_core.finite import to_json
from dlif_core.networks.bundle.folder import write_text
from dlif_core.networks.bundle.model import (
    LearnedModel,
    PublishedModel,
    Trained,
    load_model,
    save_model,
    save_published,
)
from dlif_core.networks.calibration.calibration import FEWEST_SCANS, Calibration, calibrate, recalibrate
from dlif_core.networks.prediction.correction import Correction
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.prediction.weights import load_network, save_network
from dlif_core.networks.release.facts import population_text, trained_facts, training_log
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
from dlif_core.networks.release.runs import (
    WORK,
    Report,
    checkpoint,
    reported,
    resumed_or_new,
    run_to_end,
    silent,
)
from dlif_core.networks.scope.assessment import fit_scope
from dlif_core.networks.training.augmentation import AugmentedExamples
from dlif_core.networks.training.correction import blood_families, with_corrections
from dlif_core.networks.training.examples import Examples
from dlif_core.networks.training.fc_dlif import PublishedTraining, complete_scans
from dlif_core.networks.training.run import ExampleSource
from dlif_core.networks.training.scan_work import Mapper, in_turn
from dlif_core.networks.training.splits import SplitManifest, simulated_animals
from dlif_core.networks.training.tissue_network import ShortTraining, Training

_RECIPE = "recipe.json"
# a run that begins from another model averages its weights over fewer updates if it has not so many
_MANY_UPDATES = 1000


def train_model(output: Path, recipe: ModelRecipe, report: Report = silent, mapper: Mapper = in_turn) -> LearnedModel:
    """Make a model, or resume making it.

    Parameters
    ----------
    output
        Folder of the model.
    recipe
        Recipe from `settled_recipe`.
    report
        Called with the progress after every update and every scan.
    mapper
        Runs the work on each scan once the networks are trained.

    Raises
    ------
    ConfigurationError
        If the checkpoint of a member is of another recipe.
    """
    for run in needed_runs(output, recipe):
        train_run(output, recipe, run, report)
    return finish_model(output, recipe, report, mapper)


def needed_runs(output: Path, recipe: ModelRecipe) -> list[Run]:
    """Runs that the model needs, in their order.

    A run from which others begin is left out if all of these have a checkpoint already.
    """
    runs = recipe.in_order()
    waiting = {run.begin for run in runs if not checkpoint(output, run.name).exists()}
    return [run for run in runs if run.name in recipe.ensemble or run.name in _with_ancestors(recipe, waiting)]


def _with_ancestors(recipe: ModelRecipe, names: set[str | None]) -> set[str]:
    """Names of the runs and of all runs from which they begin."""
    found: set[str] = set()
    for name in names:
        while name is not None and name not in found:
            found.add(name)
            name = recipe.run(name).begin
    return found


def train_published(output: Path, recipe: PublishedModelRecipe, report: Report = silent) -> PublishedModel:
    """Train FC-DLIF for comparison, or resume training it; parameters and errors are those of `train_model`."""
    splits, scans = {}, []
    for use, parts in (("training", recipe.examples), ("validation", recipe.validation)):
        complete = [(part.population, complete_scans(part.numbers, POPULATIONS[part.population])) for part in parts]
        splits[use] = tuple(chain.from_iterable(simulated_animals(*part) for part in complete))
        scans.append(_joined(_kept(output, *part) for part in complete))
    training = resumed_or_new(PublishedTraining, checkpoint(output, recipe.name), recipe.network_recipe(), *scans)
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
    """The recipe of a model, which is also written to the folder of the model for later calls.

    Parameters
    ----------
    output
        Folder of the model.
    path
        Path of the recipe; None for the recipe in the folder, or else that of the shipped model.
    members, scans, steps
        Number of networks, of training scans and of updates in place of the recipe's.

    Raises
    ------
    ConfigurationError
        If the recipe is faulty or of another kind, an animal would have two uses, or networks were trained on other
        scans than the recipe names.
    """
    begun = _noted_recipe(output)
    chosen = begun if begun is not None and path is None else load_recipe(path)
    if not isinstance(chosen, ModelRecipe):
        raise ConfigurationError("this is not the recipe of an ensemble.", where=path, hint="Use `dlif train`.")
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
            hint="Use the recipe it was trained with, or another folder.",
        )
    (output / WORK).mkdir(parents=True, exist_ok=True)
    if recipe != begun:
        for fitted in (output / WORK).glob("corrected-*"):
            fitted.unlink()
    path = output / WORK / _RECIPE
    write_text(path, to_json(recipe.model_dump(mode="json"), where=path, indent=1) + "\n")


def _noted_recipe(output: Path) -> ModelRecipe | None:
    path = output / WORK / _RECIPE
    return parse_recipe(json.loads(path.read_text(encoding="utf-8")), where=path) if path.is_file() else None


def _scans(recipe: ModelRecipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json", include={"examples", "validation"})


def train_run(output: Path, recipe: ModelRecipe, run: Run, report: Report = silent) -> Training:
    """Train one network to its end, or resume its training.

    Parameters
    ----------
    output, recipe, report
        Parameters of `train_model`.
    run
        A run of the recipe; the run from which it begins must have been trained.

    Raises
    ------
    ConfigurationError
        If the model with which it is to begin has another layout.
    """
    path = checkpoint(output, run.name)
    # a network is chosen by scans that differ from the simulated ones as those of other laboratories do
    scans = simulated(output, recipe.examples), AugmentedExamples(simulated(output, recipe.validation))
    short = recipe.start is not None and run.recipe.steps < _MANY_UPDATES
    training = resumed_or_new(ShortTraining if short else Training, path, run.recipe, *scans)
    if training.step == 0 and run.begin is None and recipe.start is not None:
        training.begin_from(_starting_network(recipe, run).state_dict())
    if training.step == 0 and run.begin is not None:
        before = Training.resume(checkpoint(output, run.begin), recipe.run(run.begin).recipe, *scans)
        training.begin_from(before.averaged_weights)
    run_to_end(training, path, f"network {run.name}", report, run.stop)
    return training


def _starting_network(recipe: ModelRecipe, run: Run) -> TissueNetwork:
    """Network of another model with which a run begins, without its correction, which is of other scans."""
    networks = load_model(recipe.start).networks
    network = networks[list(recipe.runs).index(run.name) % len(networks)]
    if network.channels != run.recipe.channels or network.revisions > run.recipe.revisions:
        raise ConfigurationError(
            f"run {run.name!r} has another layout than the networks of {recipe.start!r}, with which it is to begin.",
            where="runs",
            hint=f"Give it the channels {list(network.channels)} and {network.revisions} revisions or more.",
        )
    network.correction = Correction()
    return network


def simulated(output: Path, parts: Sequence[Seeds]) -> ExampleSource:
    """Simulated scans of several populations, one after the other, which are kept in the output."""
    return _joined(_kept(output, part.population, part.numbers) for part in parts)


def _kept(output: Path, population: PopulationName, seeds: Sequence[int]) -> Examples:
    return Examples(output / WORK / "scans", POPULATIONS[population], seeds)


def _joined(parts: Iterable[Examples]) -> ExampleSource:
    joined: ExampleSource = ConcatDataset(parts)  # type: ignore[arg-type]
    return joined


def finish_model(output: Path, recipe: ModelRecipe, report: Report = silent, mapper: Mapper = in_turn) -> LearnedModel:
    """Correct and calibrate networks whose training is finished, fit their scope, and write the model.

    Parameters
    ----------
    output, recipe, report, mapper
        Parameters of `train_model`.
    """
    trainings = [train_run(output, recipe, recipe.run(name)) for name in recipe.ensemble]
    networks = corrected_networks(output, recipe, trainings, report, mapper)
    trained = Trained(
        networks=networks,
        recipe=recipe.model_dump(mode="json"),
        facts=trained_facts(trainings, population_text(recipe.examples), recipe.limits),
        log=training_log(trainings),
        splits=recipe.splits(),
        subject=recipe.subject,
    )
    calibrating, sound = (simulated(output, [part]) for part in (recipe.calibration, recipe.scope))
    calibration = _calibrated(recipe, networks, calibrating, reported(mapper, report, "calibration"))
    scope = fit_scope(networks, calibration, sound, mapper=reported(mapper, report, "scope"))
    return save_model(output, recipe.name, trained, calibration, scope)


def _calibrated(
    recipe: ModelRecipe, networks: Sequence[TissueNetwork], examples: ExampleSource, mapper: Mapper
) -> Calibration:
    """A calibration of its own, or that of the model it started from with other scores if there are few scans."""
    population = f"simulated {recipe.subject.plural} of the population {recipe.calibration.population}"
    if recipe.start is None or len(examples) >= FEWEST_SCANS:
        return calibrate(networks, examples, population, mapper)
    return recalibrate(load_model(recipe.start).calibration, networks, examples, population, mapper)


def corrected_networks(
    output: Path,
    recipe: ModelRecipe,
    trainings: Sequence[Training],
    report: Report = silent,
    mapper: Mapper = in_turn,
) -> list[TissueNetwork]:
    """The networks of finished runs with their corrections, which are kept in the output until the recipe changes.

    Parameters
    ----------
    output, recipe, report, mapper
        Parameters of `train_model`.
    trainings
        Finished trainings of the ensemble.
    """
    paths = [output / WORK / f"corrected-{name}.safetensors" for name in recipe.ensemble]
    if not all(path.exists() for path in paths):
        examples = AugmentedExamples(simulated(output, [recipe.correction]))
        shown = reported(mapper, report, "correction over time")
        families = blood_families(
            (POPULATIONS[part.population], seed) for part in recipe.blood for seed in part.numbers
        )
        trained = [training.best_network() for training in trainings]
        networks = with_corrections(trained, families, examples, mapper=shown)
        for path, network in zip(paths, networks, strict=True):
            save_network(path.with_suffix(".part"), network)
            os.replace(path.with_suffix(".part"), path)
    return [load_network(path) for path in paths]
