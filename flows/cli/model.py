"""``dlif model``: trained models for the learned input function: listed, shown and chosen."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.options import AsJson
from flows.cli.output import print_json, print_rich

model = typer.Typer(
    name="model", no_args_is_help=True, help="Trained models for the learned input function: list, show, use."
)


@model.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the trained models of this user and of the package; the one in use is marked."""
    from dlif_core.networks.bundle.folder import list_models

    found = list_models()
    if as_json:
        print_json([{**asdict(one), "folder": str(one.folder)} for one in found])
        return
    from flows.cli.tables import trained_models_table

    print_rich(trained_models_table(found))


@model.command()
def show(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name or folder of a trained model; the one in use if left out.", metavar="MODEL", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the card of a trained model, or with --json all that it states about itself."""
    from dlif_core.networks.bundle.folder import CARD, model_folder, read_manifest

    folder = model_folder(name)
    manifest = read_manifest(folder)
    if as_json:
        print_json({**asdict(manifest), "digest": manifest.digest, "folder": str(folder)})
        return
    from rich.markdown import Markdown

    print_rich(Markdown((folder / CARD).read_text(encoding="utf-8")))


@model.command()
def use(
    name: Annotated[str, typer.Argument(help="Name or folder of a trained model.", metavar="MODEL")],
    as_json: AsJson = False,
) -> None:
    """Use this trained model from now on wherever none is named."""
    from dlif_core.networks.bundle.folder import use_model

    folder = use_model(name)
    if as_json:
        print_json({"in_use": str(folder)})
        return
    typer.echo(f"In use from now on: {folder}")
