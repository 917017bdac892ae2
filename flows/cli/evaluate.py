"""``dlif evaluate``: methods for the input function side by side on simulated scans whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import AsJson
from flows.cli.output import print_json, print_rich

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlif_core.evaluation.candidates import Candidate
    from dlif_core.evaluation.conditions import Condition
    from dlif_core.evaluation.tables import Results


def evaluate(
    model: Annotated[
        str | None,
        typer.Option(
            help="Name or folder of the trained model of the learned method; the one in use if left out.",
            metavar="MODEL",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            help="Names of methods with commas between them; all if left out.", metavar="NAME,…", show_default=False
        ),
    ] = "",
    scans: Annotated[
        int,
        typer.Option(min=1, help="Scans of the standard cohort, rounded to whole laboratories.", metavar="COUNT"),
    ] = 64,
    atlas: Annotated[
        Path | None,
        typer.Option(
            help="NIfTI file of the Digimouse labels, for laboratories with mice of another anatomy; none if left out.",
            metavar="LABELS",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Folder for the tables and for what is done already.", metavar="FOLDER")
    ] = Path("evaluation"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Also store the results with the models, and write their cards again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the methods for the input function on simulated mice of held-out laboratories.

    A model of humans is compared on simulated humans.

    An evaluation that was interrupted resumes when it is called again with the same output folder.
    """
    from dlif_core.evaluation.candidates import candidates
    from dlif_core.evaluation.conditions import conditions
    from dlif_core.evaluation.tables import PAGE, as_record, keep_with_models, write_results

    names = [name.strip() for name in methods.split(",") if name.strip()]
    chosen = candidates(names, model)
    species = next((method.species for method in chosen if method.judges), "mouse")
    found = _evaluated(chosen, conditions(scans, None if atlas is None else str(atlas), species), output)
    write_results(found, output)
    for folder in keep_with_models(found, chosen) if keep else []:
        typer.echo(f"Results and card: {folder}", err=True)
    if as_json:
        print_json(as_record(found))
        return
    from flows.cli.tables import evaluation_tables

    print_rich(*evaluation_tables(found))
    typer.echo(f"All results: {output / PAGE}")


def _evaluated(methods: Sequence[Candidate], scans: Sequence[Condition], folder: Path) -> Results:
    """Evaluate the methods with a progress bar."""
    from dlif_core.compute.pool import open_mapper
    from dlif_core.evaluation.runner import evaluate, total_scans
    from dlif_core.evaluation.tables import results
    from flows.progress import progress_bars

    with progress_bars() as bars, open_mapper() as mapper:
        bars.update("scans", 0, total_scans(scans))
        records = evaluate(methods, scans, folder, lambda title: bars.advance("scans", title), mapper)
    return results(records, methods, scans)
