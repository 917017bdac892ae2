"""``dlif init``: a study file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import STUDY_METAVAR


def init(
    study: Annotated[Path, typer.Argument(help="Study file to write.", metavar=STUDY_METAVAR)] = Path("study.yaml"),
    data: Annotated[str, typer.Option(help="PET-BIDS folder or URL of the scans.", metavar="FOLDER")] = "bids",
    output: Annotated[str, typer.Option(help="Folder or URL for all results.", metavar="FOLDER")] = "results",
) -> None:
    """Write a study file to start from, with every setting explained."""
    from dlif_core.errors import ConfigurationError
    from dlif_core.study.template import study_template

    if study.exists():
        raise ConfigurationError(
            "this file exists already; it was not changed.", where=study, hint="Give another name, or delete it first."
        )
    if not study.absolute().parent.is_dir():
        raise ConfigurationError("the folder of the study file does not exist.", where=study, hint="Make it first.")
    study.write_text(study_template(study.stem, data, output), encoding="utf-8")
    typer.echo(f"Wrote {study}. Next: dlif check {study}")
