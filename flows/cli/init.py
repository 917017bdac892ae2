"""``dlif init``: a study file to start from."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from flows.cli.options import STUDY_METAVAR


def init(
    study: Annotated[
        str, typer.Argument(help="Study file to write, a path or URL.", metavar=STUDY_METAVAR)
    ] = "study.yaml",
    data: Annotated[str, typer.Option(help="PET-BIDS folder or URL of the scans.", metavar="FOLDER")] = "bids",
    output: Annotated[str, typer.Option(help="Folder or URL for all results.", metavar="FOLDER")] = "results",
) -> None:
    """Write a study file to start from, with every setting explained."""
    from dlif_core.errors import ConfigurationError
    from dlif_core.storage import is_url, joined
    from dlif_core.store.folders import open_folder
    from dlif_core.study.template import study_template

    folder, _, name = joined("", study).rpartition("/")
    if not is_url(study) and not os.path.isdir(folder):
        raise ConfigurationError("the folder of the study file does not exist.", where=study, hint="Make it first.")
    text = study_template(name.rpartition(".")[0] or name, data, output)
    if not open_folder(folder).create(name, text.encode()):
        raise ConfigurationError(
            "this file exists already; it was not changed.", where=study, hint="Give another name, or delete it first."
        )
    typer.echo(f"Wrote {study}. Next: dlif check {study}")
