"""Recipe of a model as a YAML file: simulated scans, networks and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import Field

from dlif_core.errors import ConfigurationError
from dlif_core.networks.prediction.subject import Subject, subject_of
from dlif_core.networks.training.fc_dlif import PublishedRecipe
from dlif_core.networks.training.populations import (
    CALIBRATION,
    HUMAN_CALIBRATION,
    HUMAN_LABORATORIES,
    HUMAN_SOUND,
    LABORATORIES,
    SOUND,
)
from dlif_core.networks.training.splits import SplitManifest, simulated_animals
from dlif_core.networks.training.tissue_network import Recipe
from dlif_core.phantom import TRAINING
from dlif_core.phantom.population import Source
from dlif_core.validation import Section, validated
from dlif_core.yaml_files import read_yaml

#: The recipe of the model that is shipped.
SHIPPED_RECIPE = Path(__file__).parents[1] / "models" / "recipe.yaml"


RecipeKind = TypeVar("RecipeKind", Recipe, PublishedRecipe)

#: Name of a model: it is the name of a folder too.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
PopulationName = Literal[
    "training",
    "laboratories",
    "calibration-laboratories",
    "sound-laboratories",
    "human-laboratories",
    "human-calibration-laboratories",
    "human-sound-laboratories",
]

_CORRECT = "Correct the recipe."
# settings of a run that limit its length
_LENGTHS = ("steps", "stop")

#: Populations that a recipe may name.
POPULATIONS: Mapping[PopulationName, Source] = {
    "training": TRAINING,
    "laboratories": LABORATORIES,
    "calibration-laboratories": CALIBRATION,
    "sound-laboratories": SOUND,
    "human-laboratories": HUMAN_LABORATORIES,
    "human-calibration-laboratories": HUMAN_CALIBRATION,
    "human-sound-laboratories": HUMAN_SOUND,
}


class Seeds(Section):
    """Seeds of simulated scans of a population, one for each animal.

    Attributes
    ----------
    population
        Population from which animals and scans are drawn.
    first, count
        The seeds are `first`, `first` + 1 … of which there are `count`.
    """

    population: PopulationName = "laboratories"
    first: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=1)]

    @property
    def numbers(self) -> range:
        """The seeds as numbers."""
        return range(self.first, self.first + self.count)

    @property
    def animals(self) -> tuple[str, ...]:
        """Names of the simulated animals."""
        return simulated_animals(self.population, self.numbers)


#: Scans of one population or of several, one after the other.
Parts = Annotated[tuple[Seeds, ...], Field(min_length=1)]


class Run(NamedTuple):
    """One training of a network.

    Attributes
    ----------
    name
        Name of the run.
    recipe
        Settings of the training.
    begin
        Run from whose averaged weights it begins, or None.
    stop
        Update at which it ends, or None for the end of its recipe.
    """

    name: str
    recipe: Recipe
    begin: str | None = None
    stop: int | None = None


def _require_can_begin(run: Run, before: Run | None) -> None:
    """Refuse a run whose network can't begin from the run before it, or that must begin from another run."""
    reason = ""
    if before is None:
        if run.recipe.revisions:
            reason = "refines a segmentation, which a run before it must have learned"
    elif run.recipe.channels != before.recipe.channels:
        reason = f"has other channels than {before.name!r}, from which it begins"
    elif before.recipe.revisions and not run.recipe.revisions:
        reason = f"makes no revisions, but {before.name!r}, from which it begins, does"
    if reason:
        raise ConfigurationError(f"run {run.name!r} {reason}.", where="runs", hint="Change `begin` or the settings.")


def plain_runs(count: int) -> dict[str, dict[str, Any]]:
    """Settings of runs that differ by their seeds alone."""
    return {str(number): {} for number in range(1, 1 + count)}


class ModelRecipe(Section):
    """Recipe of a model.

    Attributes
    ----------
    name
        Name of the model.
    examples, validation
        Scans for training, and for the choice of the weights to keep.
    calibration, scope
        Scans for band and intervals, and for the scope.
    correction
        Scans to which the correction over time is fitted. They are not those of the training, whose tissues networks
        draw better than those of others.
    blood
        Animals whose blood shows the correction how blood behaves over time; they are not scanned.
    training
        Settings of every run that differ from those of `tissue_network.Recipe`.
    runs
        Trainings by name, each with the settings in which it differs from `training`; a run's seed is its number if it
        is not stated. A run may also say ``begin``, the run with whose averaged weights it begins, and ``stop``, the
        update at which it ends before its learning rate has fallen.
    members
        Runs that become networks of the ensemble; all if left out.
    start
        Name or folder of a model with whose networks runs begin that name no other run, in turn; random weights if left
        out. It may be of another species. With fewer than 75 scans for the calibration, expected sizes of errors are
        those of that model.
    limits
        Limits of the model, as sentences for the card.
    """

    name: Name
    examples: Parts = (Seeds(first=10_000, count=3500),)
    validation: Parts = (Seeds(first=0, count=24),)
    calibration: Seeds = Seeds(population="calibration-laboratories", first=0, count=240)
    scope: Seeds = Seeds(population="sound-laboratories", first=0, count=160)
    correction: Seeds = Seeds(first=40_000, count=600)
    blood: Parts = (Seeds(first=60_000, count=700), Seeds(population="training", first=60_000, count=150))
    training: dict[str, Any] = Field(default_factory=dict)
    runs: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] = Field(default_factory=lambda: plain_runs(5))
    members: tuple[Name, ...] = ()
    start: str | None = None
    limits: tuple[str, ...] = ()

    @property
    def ensemble(self) -> tuple[str, ...]:
        """Names of the runs that become networks."""
        return self.members or tuple(self.runs)

    @property
    def subject(self) -> Subject:
        """The species of all scans.

        Raises
        ------
        ConfigurationError
            If they are of several.
        """
        parts = (*self.examples, *self.validation, self.calibration, self.scope, self.correction, *self.blood)
        found = {POPULATIONS[part.population].of(part.first).species for part in parts}
        if len(found) > 1:
            raise ConfigurationError(
                f"scans of {' and '.join(sorted(found))} can't make one model.",
                where="populations",
                hint="Name populations of one species.",
            )
        return subject_of(found.pop())

    def run(self, name: str) -> Run:
        """A run with all its settings.

        Raises
        ------
        ConfigurationError
            If there is no such run, or a setting is unknown or wrong.
        """
        if name not in self.runs:
            raise ConfigurationError(
                f"there is no run {name!r}.", where="runs", hint=f"Name one of {', '.join(self.runs)}."
            )
        stated = {"seed": 1 + list(self.runs).index(name), **self.training, **self.runs[name]}
        begin, stop = stated.pop("begin", None), stated.pop("stop", None)
        return Run(name, _parsed(Recipe, stated), begin, stop)

    def in_order(self) -> list[Run]:
        """All runs that the ensemble needs, each after the one from which it begins.

        Raises
        ------
        ConfigurationError
            If a run is unknown, a setting is wrong, runs begin from each other in a circle, or a run can't begin from
            the one that it names.
        """
        ordered: dict[str, Run] = {}
        for name in self.ensemble:
            line = [self.run(name)]
            while (begin := line[-1].begin) is not None:
                if begin in [run.name for run in line]:
                    raise ConfigurationError(
                        f"runs {name!r} and {begin!r} begin from each other.",
                        where="runs",
                        hint="Let one begin afresh.",
                    )
                line.append(self.run(begin))
            for run, before in zip(line, [*line[1:], None], strict=True):
                _require_can_begin(run, before)
            ordered |= {run.name: run for run in reversed(line)}
        return list(ordered.values())

    def splits(self) -> SplitManifest:
        """Animals by their use.

        Raises
        ------
        ConfigurationError
            If an animal would have two uses.
        """
        uses: dict[str, Parts] = {
            "training": self.examples,
            "validation": self.validation,
            "correction": (self.correction,),
            "blood": self.blood,
            "calibration": (self.calibration,),
            "scope": (self.scope,),
        }
        return SplitManifest(
            {use: tuple(chain.from_iterable(part.animals for part in parts)) for use, parts in uses.items()}
        )


class PublishedModelRecipe(Section):
    """Recipe of FC-DLIF, the published network, for comparison.

    Attributes
    ----------
    kind
        Kind of the recipe.
    name, limits
        Name of the model, and its limits as sentences for the card.
    examples, validation
        Scans of which those that last for the 42 published frames are used.
    training
        Settings that differ from those of `fc_dlif.PublishedRecipe`.
    stop
        Update at which training ends before the learning rate has fallen; None for the end.
    """

    kind: Literal["fc-dlif"]
    name: Name = "fc-dlif"
    examples: Parts = (Seeds(first=10_000, count=3500),)
    validation: Parts = (Seeds(first=0, count=24),)
    training: dict[str, Any] = Field(default_factory=dict)
    stop: Annotated[int, Field(ge=1)] | None = None
    limits: tuple[str, ...] = ()

    def network_recipe(self) -> PublishedRecipe:
        """Settings of the training; ConfigurationError if one is unknown or wrong."""
        return _parsed(PublishedRecipe, self.training)


def _parsed(kind: type[RecipeKind], settings: Mapping[str, Any]) -> RecipeKind:
    known = asdict(kind())
    unknown = settings.keys() - known.keys()
    if unknown:
        raise ConfigurationError(
            f"unknown setting of the training: {', '.join(sorted(unknown))}.",
            where="training",
            hint=f"Known: {', '.join(known)}.",
        )
    return validated(kind, {**known, **settings}, where="training", hint=_CORRECT)


def load_recipe(path: Path | None = None) -> ModelRecipe | PublishedModelRecipe:
    """Read a recipe of either kind; None reads that of the shipped model.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not YAML, or has an unknown key or a wrong value, an animal would have two uses, or
        the scans are of several species.
    """
    path = path or SHIPPED_RECIPE
    content = recipe_content(path)
    if not isinstance(content, dict) or "kind" not in content:
        return parse_recipe(content, where=path)
    published = validated(PublishedModelRecipe, content, where=path, hint=_CORRECT)
    with _faults_in(path):
        published.network_recipe()
    return published


def parse_recipe(content: Any, *, where: object) -> ModelRecipe:
    """Validate the content of a recipe; errors are those of `load_recipe`."""
    recipe = validated(ModelRecipe, content, where=where, hint=_CORRECT)
    with _faults_in(where):
        recipe.in_order()
        recipe.splits()
        _ = recipe.subject
    return recipe


@contextmanager
def _faults_in(recipe: object) -> Iterator[None]:
    """Add the recipe's name to the place of a fault in it."""
    try:
        yield
    except ConfigurationError as fault:
        raise ConfigurationError(fault.message, where=f"{recipe}, {fault.where}", hint=fault.hint) from fault


def recipe_content(path: Path) -> Any:
    """Content of a recipe's file; ConfigurationError if it is missing or is not YAML."""
    if not path.exists():
        raise ConfigurationError("there is no such recipe.", where=path, hint=f"Copy {SHIPPED_RECIPE}.")
    return read_yaml(path)


def shortened(recipe: ModelRecipe, *, members: int | None, scans: int | None, steps: int | None) -> ModelRecipe:
    """The recipe with another number of members, of training scans or of updates, if they are given."""
    changes: dict[str, Any] = {}
    if members is not None:
        enough = members <= len(recipe.ensemble)
        changes |= {"members": recipe.ensemble[:members]} if enough else {"runs": plain_runs(members), "members": ()}
    if scans is not None:
        changes["examples"] = _first(recipe.examples, scans)
    if steps is not None:
        runs = changes.get("runs", recipe.runs)
        changes["training"] = {**recipe.training, "steps": steps}
        changes["runs"] = {name: {k: v for k, v in run.items() if k not in _LENGTHS} for name, run in runs.items()}
    return recipe.model_copy(update=changes)


def _first(parts: Parts, scans: int) -> Parts:
    """Select a number of scans, of every part in proportion to its size."""
    total = sum(part.count for part in parts)
    ends = [round(scans * done / total) for done in accumulate(part.count for part in parts)]
    counts = [end - start for start, end in pairwise([0, *ends])]
    return tuple(part.model_copy(update={"count": count}) for part, count in zip(parts, counts, strict=True) if count)
