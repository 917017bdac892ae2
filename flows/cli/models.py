"""``dlif models``: the kinetic models."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import AsJson
from flows.cli.output import print_json, print_rich


def models(
    name: Annotated[
        str | None, typer.Argument(help="Name of a model; all models if left out.", metavar="MODEL", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the kinetic models: what each estimates, what it needs and which settings it takes."""
    from dlif_core.kinetics import MODELS

    shown = list(MODELS.values()) if name is None else [MODELS.named(name)]
    from flows.cli.tables import model_record, model_table, models_table

    if as_json:
        print_json([model_record(model) for model in shown])
    else:
        print_rich(models_table(shown) if name is None else model_table(shown[0]))
