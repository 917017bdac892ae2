"""Training a model further on a user's own scans with arterial blood.

Real scans have no true tissues, so only the error of the curve is known; simulated scans are used in turn with them, so
that the network keeps its ability to segment. Half of the animals are for training, in folds of which each member
leaves out another one for validation; the other half is for calibration alone. Weights that validate no better than
those of the base model are not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from dlif_core.errors import ConfigurationError
from dlif_core.networks.bundle.model import LearnedModel, Trained, save_model
from dlif_core.networks.calibration.calibration import LEVEL, Calibration, calibrate
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.release.facts import trained_facts, training_log
from dlif_core.networks.release.recipe import Seeds, recipe_content
from dlif_core.networks.release.runs import WORK, Report, checkpoint, reported, resumed_or_new, run_to_end, silent
from dlif_core.networks.training.examples import Example, Examples
from dlif_core.networks.training.run import ExampleSource
from dlif_core.networks.training.scan_work import in_turn
from dlif_core.networks.training.splits import SplitManifest, animal_folds, simulated_animals
from dlif_core.networks.training.tissue_network import Recipe, Training
from dlif_core.phantom import TRAINING
from dlif_core.shown import counted
from dlif_core.validation import Section, validated

# animals that train are divided into so many folds at most, and there must be two
_MOST_FOLDS, _FEWEST_FOLDS = 5, 2


class OwnScan(NamedTuple):
    """A scan with known whole blood.

    Attributes
    ----------
    animal
        Name of the animal, the same in all its scans.
    name
        Name of the scan.
    example
        The scan as an example without tissues and displacement, which are unknown.
    """

    animal: str
    name: str
    example: Example


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


def with_displacement(scan: OwnScan, network: TissueNetwork) -> Example:
    """The scan's example with the displacement that a network finds, by which training corrects it for motion."""
    example = scan.example
    return replace(example, displacement=predict(network, example.scan).displacement)


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
    """Divide animals into a half for calibration and up to five folds for training.

    Parameters
    ----------
    animals
        The animal of each scan.
    seed
        Seed of the division.

    Raises
    ------
    ConfigurationError
        If there are fewer than four animals.
    """
    distinct = len(set(animals))
    if distinct < 2 * _FEWEST_FOLDS:
        raise ConfigurationError(
            f"{distinct} animals with arterial blood are too few to train on and to calibrate with.",
            where="own scans",
            hint=f"Bring scans of at least {2 * _FEWEST_FOLDS} animals, 18 for a 90 % band.",
        )
    calibration, training = animal_folds(animals, 2, seed)
    folds = animal_folds(training, min(_MOST_FOLDS, len(training)), seed)
    return Division(tuple(folds), calibration)


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
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "own"
    seed: Annotated[int, Field(ge=0)] = 0
    simulated: Seeds = Seeds(first=20_000, count=100)
    steps: Annotated[int, Field(ge=1)] = 500
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    validate_every: Annotated[int, Field(ge=1)] = 50
    patience: Annotated[int, Field(ge=1)] = 4

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
) -> LearnedModel:
    """Train a model further, calibrate it anew on animals kept apart, and write it.

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
        Called with the progress after every update and every scan.
    left_out
        Number of scans of the study that can't be used, for the card.

    Raises
    ------
    ConfigurationError
        If there are too few animals, or the base was trained on an animal that is now for calibration.
    """
    division = divide([scan.animal for scan in scans], recipe.seed)
    splits = _splits(base, division, recipe)
    trainings = [
        _train(output, number, network, scans, division, recipe, report)
        for number, network in enumerate(base.networks, start=1)
    ]
    networks = [training.best_network() for training in trainings]
    kept = [scan for scan in scans if scan.animal in division.calibration]
    apart, animals = [scan.example for scan in kept], [scan.animal for scan in kept]
    population = f"{len(apart)} own scans of {len(division.calibration)} animals"
    shown = reported(in_turn, report, "calibration")
    calibration = calibrate(networks, apart, population, base=base.calibration, mapper=shown, groups=animals)
    trained = Trained(
        networks=networks,
        recipe={**recipe.model_dump(mode="json"), "from": dict(base.manifest.recipe)},
        facts=_facts(base, trainings, scans, division, calibration, left_out),
        log=training_log(trainings),
        splits=splits,
    )
    return save_model(output, recipe.name, trained, calibration, base.scope)


def _facts(
    base: LearnedModel,
    trainings: Sequence[Training],
    scans: Sequence[OwnScan],
    division: Division,
    calibration: Calibration,
    left_out: int,
) -> dict[str, Any]:
    """Facts of the training and the limits of its calibration."""
    own = f"{len(scans)} own scans of {len({scan.animal for scan in scans})} animals with arterial blood, half of which"
    population = f"{own} calibrate. Before that: {base.manifest.training['population']}"
    refused = calibration.refusal("band", LEVEL)
    limits = ["The scope is that of the model it was begun from.", *([refused] if refused else [])]
    if len(division.calibration) < sum(scan.animal in division.calibration for scan in scans):
        limits.append("Several calibration scans are of one animal, which counts as one for the band.")
    if left_out:
        limits.append(f"{counted(left_out, 'scan')} of the study could not be used.")
    partly = sum(bool(scan.example.whole_blood.isnan().any()) for scan in scans)
    if partly:
        limits.append(f"In {partly} own scans the blood of some frames is unknown; these frames count nowhere.")
    facts = trained_facts(trainings, population, limits)
    return {**facts, "begun_from": {"name": base.name, "digest": base.digest}}


def _train(
    output: Path,
    number: int,
    network: TissueNetwork,
    scans: Sequence[OwnScan],
    division: Division,
    recipe: TuningRecipe,
    report: Report,
) -> Training:
    """Train a member on the animals of all folds but its own."""
    validating = set(division.validation_of(number))
    training = {animal for fold in division.folds for animal in fold} - validating
    examples = [with_displacement(scan, network) for scan in scans if scan.animal in training]
    validation = [scan.example for scan in scans if scan.animal in validating]
    simulated = Examples(output / WORK / "scans", TRAINING, recipe.simulated.numbers)
    sources = Alternating(examples, simulated), validation
    member, path = recipe.member_recipe(number, network), checkpoint(output, str(number))
    run = resumed_or_new(Training, path, member, *sources)
    if not run.log:
        run.begin_from(network.state_dict())
        run.validate()
    run_to_end(run, path, f"network {number}", report)
    return run


def _splits(base: LearnedModel, division: Division, recipe: TuningRecipe) -> SplitManifest:
    """Animals of the base and of this training; those of the base count as used.

    Raises
    ------
    ConfigurationError
        If an animal would now be used for something else than before.
    """
    earlier = dict(base.splits.splits)
    simulated = simulated_animals(TRAINING.name, recipe.simulated.numbers)
    own = tuple(animal for fold in division.folds for animal in fold)
    now = {"training": (*own, *simulated), "calibration": division.calibration}
    used = set(now["training"]) | set(now["calibration"])
    replaced = tuple(animal for animal in earlier.pop("calibration", ()) if animal not in used)
    kept = SplitManifest({**earlier, "earlier calibration": (*earlier.get("earlier calibration", ()), *replaced)})
    return SplitManifest(now).joined(kept)
