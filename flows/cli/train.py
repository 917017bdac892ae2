"""``dlif train``: a trained model for the learned input function."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import STUDY_METAVAR, AsJson
from flows.cli.output import print_json

if TYPE_CHECKING:
    from dlif_core.networks.bundle.model import LearnedModel, PublishedModel
    from dlif_core.networks.release.runs import Progress, Report
    from flows.progress import ProgressBars

_SIMULATED = "On simulated scans"
_OWN_SCANS = "Further, on the scans of a study"
_WHERE = "dlif train"


def train(
    output: Annotated[
        str,
        typer.Argument(help="Folder or URL of the model; a training that was begun there resumes.", metavar="FOLDER"),
    ],
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with the settings of the training; the recipe of the shipped model if left out.",
            metavar="RECIPE.YAML",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Optimiser updates of each network; as the recipe says if left out.", metavar="COUNT"),
    ] = None,
    members: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Networks of the ensemble; as the recipe says if left out.",
            metavar="COUNT",
            rich_help_panel=_SIMULATED,
        ),
    ] = None,
    scans: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Simulated scans to train on; as the recipe says if left out.",
            metavar="COUNT",
            rich_help_panel=_SIMULATED,
        ),
    ] = None,
    begin_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Name or folder of a trained model to begin with; needs --study.",
            metavar="MODEL",
            rich_help_panel=_OWN_SCANS,
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            help="Study whose scans with arterial blood are trained on; needs --from.",
            metavar=STUDY_METAVAR,
            rich_help_panel=_OWN_SCANS,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model for the learned input function, or resume a training that was interrupted.

    A new model is trained on simulated scans. With --from and --study an existing model is corrected and calibrated for
    a laboratory by the study's own scans with arterial blood of 9 animals or more. From 18 animals on, half of them
    train its networks further before.
    """
    from dlif_core.networks.bundle.folder import CARD, MANIFEST
    from dlif_core.networks.bundle.remote import folder_for
    from flows.progress import progress_bars

    left_out: Mapping[str, str] = {}
    with progress_bars() as bars, folder_for(output, MANIFEST) as folder:
        report = _reported_to(bars)
        if begin_from is None and study is None:
            made = _from_simulation(folder, recipe, report, members, scans, steps)
        else:
            _require_none({"--members": members, "--scans": scans}, "when a model is trained further", "Leave it out.")
            made, left_out = _further(folder, begin_from, study, recipe, steps, bars)
    if as_json:
        said = {"name": made.name, "digest": made.digest, "folder": output, "left_out": left_out}
        print_json(said | ({"site": made.manifest.training["site"]} if "site" in made.manifest.training else {}))
        return
    for sentence in made.manifest.training.get("site", {}).get("words", ()):
        typer.echo(sentence)
    typer.echo(f"Model {made.name} is in {output}; its card: {output.rstrip('/')}/{CARD}")
    typer.echo(f"Next: dlif evaluate --model {output}, dlif model use {output}")


def _reported_to(bars: ProgressBars) -> Report:
    """A report that shows a bar for each stage of the training."""

    def report(state: Progress) -> None:
        bars.update(state.stage, state.done, state.total, state.note)

    return report


def _from_simulation(
    output: Path, path: Path | None, report: Report, members: int | None, scans: int | None, steps: int | None
) -> LearnedModel | PublishedModel:
    from dlif_core.compute.pool import open_mapper
    from dlif_core.networks.release.build import settled_recipe, train_model, train_published
    from dlif_core.networks.release.recipe import PublishedModelRecipe, load_recipe

    recipe = load_recipe(path)
    if path is not None and isinstance(recipe, PublishedModelRecipe):
        changed = {"--members": members, "--scans": scans, "--steps": steps}
        _require_none(changed, "for a recipe of the published network", "Change the recipe.")
        return train_published(output, recipe, report)
    settled = settled_recipe(output, path, members=members, scans=scans, steps=steps)
    with open_mapper() as mapper:
        return train_model(output, settled, report, mapper)


def _further(
    output: Path, name: str | None, study: str | None, recipe: Path | None, steps: int | None, bars: ProgressBars
) -> tuple[LearnedModel, Mapping[str, str]]:
    """The model that was trained further, and the reason against each scan of the study that could not be used."""
    from rich.text import Text

    from dlif_core.compute.pool import open_mapper
    from dlif_core.errors import ConfigurationError
    from dlif_core.networks.bundle.model import load_model
    from dlif_core.networks.release.fine_tuning import load_tuning_recipe, train_further
    from dlif_core.study.config import load_study
    from dlif_core.study.own_scans import own_scans

    if name is None or study is None:
        raise ConfigurationError(
            "training a model further needs both a model and a study.", where=_WHERE, hint="Give --from and --study."
        )
    tuning, base, report = load_tuning_recipe(recipe, steps), load_model(name), _reported_to(bars)
    own = own_scans(load_study(study), base, report)
    for scan, reason in own.left_out.items():
        bars.write(Text(f"{scan} is left out: {reason}"))
    with open_mapper() as mapper:
        return train_further(output, base, own.scans, tuning, report, len(own.left_out), mapper), own.left_out


def _require_none(options: dict[str, int | None], when: str, hint: str) -> None:
    """Refuse options that have a value.

    Raises
    ------
    ConfigurationError
        If one has.
    """
    from dlif_core.errors import ConfigurationError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigurationError(f"{' and '.join(given)} can't be given {when}.", where=_WHERE, hint=hint)
