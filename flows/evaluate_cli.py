"""``dlif evaluate``: methods side by side on simulated scans whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlif_core.evaluation.candidates import Candidate
    from dlif_core.evaluation.conditions import Condition
    from dlif_core.evaluation.tables import Results


def evaluate(
    model: Annotated[str | None, typer.Option(help="Name or folder of the learned method's model.")] = None,
    methods: Annotated[str, typer.Option(help="Names with commas between; all if left out.")] = "",
    scans: Annotated[int, typer.Option(min=1, help="Scans of the held-out cohort.")] = 60,
    output: Annotated[Path, typer.Option(help="Folder for the tables and for what is done already.")] = Path(
        "evaluation"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Compare the methods for the input function on held-out simulated mice; goes on where it was cut off."""
    from dlif_core.evaluation.candidates import candidates
    from dlif_core.evaluation.conditions import conditions
    from dlif_core.evaluation.tables import PAGE, as_record, write_results

    names = [name.strip() for name in methods.split(",") if name.strip()]
    found = _with_progress(candidates(names, model), conditions(scans), output)
    write_results(found, output)
    if as_json:
        typer.echo(json.dumps(as_record(found), indent=1, ensure_ascii=False))
        return
    _print(found)
    typer.echo(f"All figures: {output / PAGE}")


def _with_progress(methods: Sequence[Candidate], scans: Sequence[Condition], folder: Path) -> Results:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from dlif_core.evaluation.runner import evaluate as run
    from dlif_core.evaluation.runner import total_scans
    from dlif_core.evaluation.tables import results

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task("scans", total=total_scans(scans))
        records = run(methods, scans, folder, lambda title: bars.update(bar, advance=1, description=title))
    return results(records, methods, scans)


def _print(found: Results) -> None:
    """Figures of all methods in the terminal."""
    from rich.console import Console
    from rich.markdown import Markdown

    from dlif_core.evaluation.tables import markdown

    Console().print(Markdown(markdown(found)))
