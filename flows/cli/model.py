"""``dlif model``: trained models for the learned input function: listed, shown and chosen."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import AsJson
from flows.cli.output import print_json, print_rich

model = typer.Typer(
    name="model",
    no_args_is_help=True,
    help="Trained models for the learned input function: list, show, use, sign, verify.",
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
    from dlif_core.networks.bundle.folder import CARD, model_folder, pin_of, read_manifest

    folder = model_folder(name)
    manifest = read_manifest(folder)
    if as_json:
        record = {**asdict(manifest), "digest": manifest.digest, "pin": pin_of(folder), "folder": str(folder)}
        print_json(record)
        return
    from rich.markdown import Markdown

    print_rich(Markdown((folder / CARD).read_text(encoding="utf-8")))
    typer.echo(
        "To use no other than this, in the study file, by the digest of the whole model (weights, settings and card; "
        f"that in the card is of the networks alone):\n  learned: {{model: {folder}, digest: {pin_of(folder)}}}"
    )


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


@model.command()
def sign(
    name: Annotated[str, typer.Argument(help="Name or folder of a trained model.", metavar="MODEL")],
    key: Annotated[Path, typer.Option(help="Private key of OpenSSH, such as ~/.ssh/id_ed25519.", metavar="FILE")],
) -> None:
    """Sign a trained model with a key of OpenSSH, its card included."""
    from dlif_core.networks.bundle.folder import model_folder
    from dlif_core.networks.bundle.signing import sign_model

    typer.echo(f"Signed: {sign_model(model_folder(name), key.expanduser())}")


@model.command()
def verify(
    name: Annotated[str, typer.Argument(help="Name or folder of a trained model.", metavar="MODEL")],
    signers: Annotated[
        Path, typer.Option(help="Who may sign: lines with a name and a public key of OpenSSH.", metavar="FILE")
    ],
) -> None:
    """Tell who of some people signed a trained model, and that nothing of it was changed since."""
    from dlif_core.networks.bundle.folder import model_folder, read_manifest
    from dlif_core.networks.bundle.signing import signer_of

    folder = model_folder(name)
    read_manifest(folder)
    typer.echo(f"Signed by {signer_of(folder, signers.expanduser())}, and unchanged.")
