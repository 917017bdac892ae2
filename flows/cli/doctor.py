"""``dlif doctor``: check the installation, and the stored results of a study."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import STUDY_METAVAR
from flows.cli.output import print_rich


def doctor(
    study: Annotated[
        str | None,
        typer.Argument(
            help="Study file: also compare every stored result of this study with its checksum.",
            metavar=STUDY_METAVAR,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check this installation (versions, cores, memory, GPU) and the stored results of a study."""
    from flows.cli.tables import doctor_table

    print_rich(doctor_table())
    if study is not None:
        _verify_products(study)


def _verify_products(study: str) -> None:
    from dlif_core.errors import ExitCode, ProductDamagedError
    from dlif_core.study.config import load_study
    from dlif_core.study.plan import open_study_store

    store = open_study_store(load_study(study))
    products = store.products()
    damaged = 0
    for name in products:
        try:
            store.verify(name)
        except ProductDamagedError as error:
            damaged += 1
            typer.secho(str(error), fg="red", err=True)
    typer.echo(f"{len(products) - damaged} of {len(products)} products are as they were committed.")
    if damaged:
        raise typer.Exit(ExitCode.STORE)
