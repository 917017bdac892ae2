"""A model made for a laboratory by its own scans with arterial blood.

By the number of animals the model is only corrected and calibrated for the laboratory, or trained further before
(`own_scan.use_of`). Real scans have no true tissues, so only the error of the curve is known; simulated scans are used
in turn with them, so that the network keeps its ability to segment. Half of the animals are for training, in folds of
which each member leaves out another one for validation; the other half is for correction and calibration. Weights that
validate no better than those of the base model are not kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from pydantic import Field

from dlif_core.errors import ConfigurationError
from dlif_core.networks.bundle.model import LearnedModel, Trained, save_model
from dlif_core.networks.prediction.scan import network_device
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.release.blood_delay import NO_DELAY, Delay, common_delay, moved
from dlif_core.networks.release.facts import training_log
from dlif_core.networks.release.own_facts import corrected_facts, log_of, tuned_facts
from dlif_core.networks.release.own_scan import OwnScan, use_of
from dlif_core.networks.release.recipe import POPULATIONS, Seeds, recipe_content
from dlif_core.networks.release.runs import WORK, Progress, Report, checkpoint, reported, resumed_or_new, silent
from dlif_core.networks.release.site_correction import SiteCase, fit_site, leave_one_out, site_case, with_site
from dlif_core.networks.training.examples import Example, Examples
from dlif_core.networks.training.run import ExampleSource
from dlif_core.networks.training.scan_work import Mapper, in_turn
from dlif_core.networks.training.splits import SplitManifest, animal_folds, simulated_animals
from dlif_core.networks.training.tissue_network import Recipe, ShortTraining
from dlif_core.validation import Section, validated

# animals that train are divided into so many folds at most
_MOST_FOLDS = 5


class Alternating:
    """Own and simulated examples in turn; the fewer of the two are repeated.

    Parameters
    ----------
    own, simulated
        Examples of the two kinds.
    """

    def __init__(self, own: ExampleSource, simulated: ExampleSource) -> None:
        self.own, self.simulated = own, simulated

    def __len__(self) -> int:
        return 2 * max(len(self.own), len(self.simulated))

    def __getitem__(self, index: int) -> Example:
        kind, number = (self.own, self.simulated)[index % 2], index // 2
        return kind[number % len(kind)]


class Division(NamedTuple):
    """Animals of a study by their use.

    Attributes
    ----------
    folds
        Folds of the animals for training.
    calibration
        Animals for calibration.
    """

    folds: tuple[tuple[str, ...], ...]
    calibration: tuple[str, ...]

    def validation_of(self, number: int) -> tuple[str, ...]:
        """Animals on which a member, counted from 1, is validated and not trained."""
        return self.folds[(number - 1) % len(self.folds)]


def divide(animals: Sequence[str], seed: int) -> Division:
    """Divide animals by their use, see `own_scan.use_of`: all calibrate, or half of them train in up to five folds.

    Parameters
    ----------
    animals
        The animal of each scan.
    seed
        Seed of the division.

    Raises
    ------
    ConfigurationError
        If there are too few animals for any use.
    """
    if use_of(animals) == "site":
        return Division((), tuple(sorted(set(animals))))
    calibration, training = animal_folds(animals, 2, seed)
    return Division(tuple(animal_folds(training, min(_MOST_FOLDS, len(training)), seed)), calibration)


class TuningRecipe(Section):
    """Settings of training a model further.

    Attributes
    ----------
    name
        Name of the new model.
    seed
        Seed of the division of the animals and of the members.
    simulated
        Simulated scans that are used in turn with the study's own.
    steps, learning_rate, validate_every, patience
        Settings of every member, see `tissue_network.Recipe`.
    minutes
        Time after which training ends at the next validation.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "own"
    seed: Annotated[int, Field(ge=0)] = 0
    simulated: Seeds = Seeds(first=20_000, count=100)
    steps: Annotated[int, Field(ge=1)] = 500
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    validate_every: Annotated[int, Field(ge=1)] = 25
    patience: Annotated[int, Field(ge=1)] = 6
    minutes: Annotated[float, Field(gt=0)] = 15.0

    def member_recipe(self, number: int, network: TissueNetwork) -> Recipe:
        """Settings of the training of a member, counted from 1."""
        return Recipe(
            seed=self.seed + number,
            channels=network.channels,
            revisions=network.revisions,
            steps=self.steps,
            learning_rate=self.learning_rate,
            validate_every=self.validate_every,
            patience=self.patience,
        )


def load_tuning_recipe(path: Path | None = None, steps: int | None = None) -> TuningRecipe:
    """Read a recipe for training further, or the defaults without a path; `steps` replaces the recipe's.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not YAML, or has an unknown key or a wrong value.
    """
    content = {} if path is None else recipe_content(path)
    recipe = validated(TuningRecipe, content, where=path or "recipe", hint="Correct the recipe.")
    return recipe if steps is None else recipe.model_copy(update={"steps": steps})


def train_further(
    output: Path,
    base: LearnedModel,
    scans: Sequence[OwnScan],
    recipe: TuningRecipe,
    report: Report = silent,
    left_out: int = 0,
    mapper: Mapper = in_turn,
) -> LearnedModel:
    """Make a model for a laboratory from its scans with arterial blood, and write it.

    Parameters
    ----------
    output
        Folder of the new model; a training that was begun there is resumed.
    base
        Model to begin from, whose scope is kept.
    scans
        Scans with known whole blood.
    recipe
        Settings of the training.
    report
        Called with the progress after every scan and every validation.
    left_out
        Number of scans of the study that can't be used, for the card.
    mapper
        Runs the work on each scan, and the training of each network.

    Raises
    ------
    ConfigurationError
        If there are too few animals, or the base was trained on an animal that is now for calibration.
    """
    division = divide([scan.animal for scan in scans], recipe.seed)
    splits = _splits(base, division, recipe)
    training = [scan for scan in scans if scan.animal not in division.calibration]
    trainings: list[ShortTraining] = []
    delay = NO_DELAY
    if training:
        trainings, delay = _trained(output, base, training, division, recipe, report, mapper)
    networks = [one.best_network() for one in trainings] or list(base.networks)
    kept = [scan for scan in scans if scan.animal in division.calibration]
    cases = _cases(networks, kept, "site correction", report, mapper)
    site, left = fit_site(cases), leave_one_out(cases)
    population = f"{len(kept)} own scans of {len(division.calibration)} animals, each corrected by the others"
    animals = [scan.animal for scan in kept]
    calibration = base.calibration.recalibrated(left.cases, population, animals)
    known = corrected_facts(base, scans, site, cases, left, calibration, left_out)
    trained = Trained(
        subject=base.subject,
        networks=with_site(networks, site),
        recipe={**recipe.model_dump(mode="json"), "from": dict(base.manifest.recipe)},
        facts=tuned_facts(known, trainings, delay) if trainings else known,
        log=training_log(trainings) if trainings else log_of(base),
        splits=splits,
    )
    return save_model(output, recipe.name, trained, calibration, base.scope)


def _cases(
    networks: Sequence[TissueNetwork], scans: Sequence[OwnScan], stage: str, report: Report, mapper: Mapper
) -> list[SiteCase]:
    return list(reported(mapper, report, stage)(partial(site_case, networks, scans), len(scans)))


@dataclass(frozen=True)
class _Members:
    """The trainings of all members, by number from 0; a worker process can have it.

    Attributes
    ----------
    output
        Folder of the new model.
    networks
        Networks to begin with.
    scans
        Animal and example of each own scan.
    division
        Animals by their use.
    recipe
        Settings of the training.
    """

    output: Path
    networks: tuple[TissueNetwork, ...]
    scans: tuple[tuple[str, Example], ...]
    division: Division
    recipe: TuningRecipe

    def training(self, index: int) -> ShortTraining:
        """The training of a member, begun or as its checkpoint has it."""
        network, validating = self.networks[index], self.division.validation_of(index + 1)
        own = [example for animal, example in self.scans if animal not in validating]
        seeds = self.recipe.simulated
        simulated = Examples(self.output / WORK / "scans", POPULATIONS[seeds.population], seeds.numbers)
        validation = [example for animal, example in self.scans if animal in validating]
        member = self.recipe.member_recipe(index + 1, network)
        path = checkpoint(self.output, str(index + 1))
        run = resumed_or_new(ShortTraining, path, member, Alternating(own, simulated), validation)
        if not run.log:
            run.begin_from(network.state_dict())
            run.validate()
        return run

    def train_on(self, index: int) -> tuple[int, bool]:
        """Train a member up to its next validation; returns the number of its updates and whether it is finished."""
        run = self.training(index)
        if not run.finished:
            run.run(self.recipe.validate_every)
            run.save(checkpoint(self.output, str(index + 1)))
        return run.step, run.finished


def _trained(
    output: Path,
    base: LearnedModel,
    scans: Sequence[OwnScan],
    division: Division,
    recipe: TuningRecipe,
    report: Report,
    mapper: Mapper,
) -> tuple[list[ShortTraining], Delay]:
    """Trainings of all members, and the delay by which the blood was moved for them."""
    cases = _cases(base.networks, scans, "scans for training", report, mapper)
    delay = common_delay([one.delay for one in cases], [one.animal for one in cases])
    examples = [(scan.animal, _moved(scan, one, delay)) for scan, one in zip(scans, cases, strict=True)]
    members = _Members(output, tuple(base.networks), tuple(examples), division, recipe)
    # several processes would share one GPU
    _in_rounds(members, report, mapper if network_device().type == "cpu" else in_turn)
    return [members.training(index) for index in range(len(base.networks))], delay


def _in_rounds(members: _Members, report: Report, mapper: Mapper) -> None:
    """Train all members, from validation to validation, until they are finished or the time is over."""
    number, steps, begin = len(members.networks), members.recipe.steps, time.monotonic()
    updates, finished = [0] * number, [False] * number
    while not all(finished) and time.monotonic() - begin < 60.0 * members.recipe.minutes:
        for index, state in enumerate(mapper(members.train_on, number)):
            updates[index], finished[index] = state
            note = f"{sum(finished)} of {number} networks finished"
            report(Progress("training", sum(updates), number * steps, note))


def _moved(scan: OwnScan, one: SiteCase, delay: Delay) -> Example:
    """The example with its blood moved, and with the displacement by which training corrects it for motion."""
    blood = moved(scan.example.scan.timing, one.case.whole_blood, one.blood, delay.applied)
    whole_blood = torch.from_numpy(blood).to(scan.example.whole_blood)
    return replace(scan.example, displacement=one.case.prediction.displacement, whole_blood=whole_blood)


def _splits(base: LearnedModel, division: Division, recipe: TuningRecipe) -> SplitManifest:
    """Animals of the base and of this training; those of the base count as used.

    Raises
    ------
    ConfigurationError
        If an animal would now be used for something else than before, or the simulated scans are of another species.
    """
    earlier = dict(base.splits.splits)
    now = {"calibration": division.calibration}
    if division.folds:
        _require_same_species(base, recipe)
        simulated = simulated_animals(recipe.simulated.population, recipe.simulated.numbers)
        now["training"] = (*(animal for fold in division.folds for animal in fold), *simulated)
    used = {animal for animals in now.values() for animal in animals}
    if "site" in base.manifest.training:  # its networks are corrected by these animals
        SplitManifest({"the correction of the first model": earlier.get("calibration", ())}).require_apart(
            "the calibration of the new one", now["calibration"]
        )
    replaced = tuple(animal for animal in earlier.pop("calibration", ()) if animal not in used)
    kept = SplitManifest({**earlier, "earlier calibration": (*earlier.get("earlier calibration", ()), *replaced)})
    return SplitManifest(now).joined(kept)


def _require_same_species(base: LearnedModel, recipe: TuningRecipe) -> None:
    seeds = recipe.simulated
    if POPULATIONS[seeds.population].of(seeds.first).species != base.subject.species:
        raise ConfigurationError(
            f"the population {seeds.population!r} is not of the species {base.subject.species}.",
            where="simulated",
            hint="Name a population of that species in the recipe.",
        )
