"""Arguments and options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

#: Metavar of a study file in the help.
STUDY_METAVAR = "STUDY.YAML"

StudyFile = Annotated[
    str, typer.Argument(help="Path or URL of the study file; `dlif init` writes one.", metavar=STUDY_METAVAR)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
