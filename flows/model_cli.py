"""``dlif train`` and ``dlif model``: trained models, made, listed, shown and chosen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dlif_core.networks.bundle.folder import ListedModel
    from dlif_core.networks.bundle.model import LearnedModel, PublishedModel
    from dlif_core.networks.release.build import Progress as TrainingState
    from dlif_core.networks.release.build import Report

model_app = typer.Typer(no_args_is_help=True, help="Trained models: list, show, use.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def train(
    output: Annotated[Path, typer.Argument(help="Folder of the model; a training that was begun there goes on.")],
    recipe: Annotated[Path | None, typer.Option(help="Recipe as YAML; that of the shipped model if left out.")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Networks of the ensemble.")] = None,
    scans: Annotated[int | None, typer.Option(min=1, help="Simulated scans to train on.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates of each network.")] = None,
    begin_from: Annotated[str | None, typer.Option("--from", help="Train this model further …")] = None,
    study: Annotated[Path | None, typer.Option(help="… on the scans with arterial blood of this study.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model for the input function, or go on where a training was cut off.

    Trained on simulated scans; with --from and --study a model is trained further on a study's own scans with
    arterial blood, and calibrated anew on animals that were kept apart.
    """
    with _progress() as report:
        if begin_from is None and study is None:
            made = _from_simulation(output, recipe, report, members, scans, steps)
        else:
            _require_none({"--members": members, "--scans": scans}, "when a model is trained further")
            made = _further(output, begin_from, study, recipe, steps, report)
    if as_json:
        typer.echo(json.dumps({"name": made.name, "digest": made.digest, "folder": str(made.folder)}))
        return
    typer.echo(f"Model {made.name} is in {made.folder}; its card: {made.folder / 'CARD.md'}")
    typer.echo(f"Next: dlif evaluate --model {made.folder}, dlif model use {made.folder}")


def _from_simulation(
    output: Path, path: Path | None, report: Report, members: int | None, scans: int | None, steps: int | None
) -> LearnedModel | PublishedModel:
    from dlif_core.compute.cluster import open_mapper
    from dlif_core.networks.release.build import settled_recipe, train_model, train_published
    from dlif_core.networks.release.recipe import PublishedModelRecipe, load_recipe

    recipe = load_recipe(path)
    if path is not None and isinstance(recipe, PublishedModelRecipe):
        _require_none(
            {"--members": members, "--scans": scans, "--steps": steps}, "in a recipe of the published network"
        )
        return train_published(output, recipe, report)
    settled = settled_recipe(output, path, members=members, scans=scans, steps=steps)
    with open_mapper() as mapper:
        return train_model(output, settled, report, mapper)


def _further(
    output: Path, name: str | None, study: Path | None, recipe: Path | None, steps: int | None, report: Report
) -> LearnedModel:
    from dlif_core.errors import ConfigurationError
    from dlif_core.networks.bundle.model import load_model
    from dlif_core.networks.release.fine_tuning import load_tuning_recipe, train_further
    from dlif_core.study.config import load_study
    from dlif_core.study.own_scans import own_scans

    if name is None or study is None:
        raise ConfigurationError(
            "to train further takes a model and a study.", where="dlif train", hint="Give both --from and --study."
        )
    tuning = load_tuning_recipe(recipe, steps)
    return train_further(output, load_model(name), own_scans(load_study(study)), tuning, report)


def _require_none(options: dict[str, int | None], why: str) -> None:
    from dlif_core.errors import ConfigurationError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigurationError(
            f"{' and '.join(given)} can't be changed {why}.", where="dlif train", hint="Write it into the recipe."
        )


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar for each stage, on standard error so that --json stays clean."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bars:
        shown: dict[str, Any] = {}

        def report(state: TrainingState) -> None:
            if state.stage not in shown:
                shown[state.stage] = bars.add_task(state.stage, total=state.total, note="")
            bars.update(shown[state.stage], completed=state.done, total=state.total, note=state.note)

        yield report


@model_app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the models of this user and of the package; the one in use is marked."""
    from dlif_core.networks.bundle.folder import list_models

    models = list_models()
    if as_json:
        typer.echo(json.dumps([_record(model) for model in models], indent=1))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "model", "kind", "digest", "folder", title="Models")
    for model in models:
        state = Text(model.fault, "red") if model.fault else Text(str(model.folder))
        table.add_row("●" if model.in_use else "", model.name, model.kind, model.digest[:12], state)
    Console().print(table)


def _record(model: ListedModel) -> dict[str, Any]:
    return {**asdict(model), "folder": str(model.folder)}


@model_app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="A model or its folder; the one in use if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the card of a model, or with --json all that it states about itself."""
    from dlif_core.networks.bundle.folder import CARD, model_folder, read_manifest

    folder = model_folder(name)
    manifest = read_manifest(folder)
    if as_json:
        typer.echo(json.dumps({**asdict(manifest), "digest": manifest.digest, "folder": str(folder)}, indent=1))
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown((folder / CARD).read_text(encoding="utf-8")))


@model_app.command()
def use(
    name: Annotated[str, typer.Argument(help="A model or its folder.")],
    as_json: AsJson = False,
) -> None:
    """Take this model from now on wherever none is named."""
    from dlif_core.networks.bundle.folder import use_model

    folder = use_model(name)
    typer.echo(json.dumps({"in_use": str(folder)}) if as_json else f"In use from now on: {folder}")
