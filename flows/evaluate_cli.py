"""``dlif evaluate``: methods side by side on simulated scans whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from rich.table import Table

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
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the figures with the models too, and write their cards anew.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Compare the methods for the input function on held-out simulated mice; goes on where it was cut off."""
    from dlif_core.evaluation.candidates import candidates
    from dlif_core.evaluation.conditions import conditions
    from dlif_core.evaluation.tables import PAGE, as_record, keep_with_models, write_results

    names = [name.strip() for name in methods.split(",") if name.strip()]
    chosen = candidates(names, model)
    found = _with_progress(chosen, conditions(scans), output)
    write_results(found, output)
    for folder in keep_with_models(found, chosen) if keep else []:
        typer.echo(f"Figures and card: {folder}", err=True)
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

    from dlif_core.compute.cluster import open_mapper
    from dlif_core.evaluation.runner import evaluate as run
    from dlif_core.evaluation.runner import total_scans
    from dlif_core.evaluation.tables import results

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bars, open_mapper() as mapper:
        bar = bars.add_task("scans", total=total_scans(scans))
        records = run(methods, scans, folder, lambda title: bars.update(bar, advance=1, description=title), mapper)
    return results(records, methods, scans)


def _print(found: Results) -> None:
    """What the first method reaches, and all methods side by side."""
    from rich.console import Console

    console = Console()
    for table in (_reached_table(found), _errors_table(found), _figures_table(found)):
        console.print(table)


def _reached_table(found: Results) -> Table:
    """Figures of the first method, with intervals and what is required."""
    from rich.table import Table
    from rich.text import Text

    from dlif_core.evaluation.tables import with_interval, with_unit

    first = found.about["methods"][0]
    table = Table("figure", "scans", "value (95 % interval)", "required", "", title=first["title"])
    marks = {True: "[green]✓[/]", False: "[red]✗[/]", None: ""}
    for row in found.figures[found.figures["method"] == first["name"]].to_dict("records"):
        title = row["title"] if row["figure"] != "flagged" else f"{row['condition']}: {row['title']}"
        figure = Text(with_unit(title, row["unit"]))
        table.add_row(figure, str(row["n"]), with_interval(row), row["required"], marks[row["reached"]])
    return table


def _errors_table(found: Results) -> Table:
    """How many curves each method made, their median RMSE, and how it compares with the first method's."""
    from rich.table import Table

    from dlif_core.evaluation.tables import p_value, with_interval

    caption = "p: against the first method, Wilcoxon, paired, two-sided."
    table = Table("method", "curves", "RMSE [SUV] (95 % interval)", "p", title="Held-out cohort", caption=caption)
    against = found.comparisons.set_index("other")["p_value"]
    for method, figures in _by_method(found).items():
        made = f"{round(figures['made']['value'] * figures['made']['n'])} of {figures['made']['n']}"
        error = with_interval(figures["rmse"]) if "rmse" in figures else ""
        table.add_row(method, made, error, p_value(against[method]) if method in against else "")
    return table


#: Other figures of every method, by the head of their column.
_SIDE_BY_SIDE = {
    "AUC": "auc_ratio",
    "peak": "peak_ratio",
    "FWHM": "fwhm_error",
    "brain": "ki_brain",
    "heart": "ki_myocardium",
    "tumour": "ki_tumour",
    "K1": "k1_brain",
    "time": "seconds",
}


def _figures_table(found: Results) -> Table:
    """Medians of the other figures of every method."""
    from rich.table import Table
    from rich.text import Text

    from dlif_core.evaluation.tables import number

    caption = Text(
        "Medians. AUC, peak: ratios. Size of the errors of FWHM [min], Ki of brain, heart and tumour, K1 of brain [%]. "
        "Processor time [s]."
    )
    table = Table("method", *_SIDE_BY_SIDE, caption=caption)
    for method, figures in _by_method(found).items():
        values = [number(figures[name]["value"]) if name in figures else "" for name in _SIDE_BY_SIDE.values()]
        table.add_row(method, *values)
    return table


def _by_method(found: Results) -> dict[str, dict[str, dict[Hashable, Any]]]:
    """Rows of the standard cohort by method and figure."""
    from dlif_core.evaluation.conditions import STANDARD

    cohort = found.figures[found.figures["condition"] == STANDARD]
    return {
        str(method): {str(row["figure"]): row for row in rows.to_dict("records")}
        for method, rows in cohort.groupby("method", sort=False)
    }
