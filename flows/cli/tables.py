"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table
from rich.text import Text

from dlif_core.shown import counted

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from dlif_core.evaluation.tables import Results
    from dlif_core.kinetics import Model
    from dlif_core.networks.bundle.folder import ListedModel
    from dlif_core.report.numbers import ReportTable
    from dlif_core.study.exporting import StudyExport
    from dlif_core.study.status import StudyStatus
    from dlif_core.study.step import Plan

_COLOURS = {
    "success": "green",
    "current": "green",
    "run": "yellow",
    "blocked": "magenta",
    "unavailable": "magenta",
    "incomplete": "yellow",
    "excluded": "magenta",
    "failed": "red",
}


#: Scans up to which a table has a line for each, whatever there is to say of it.
_SCANS = 200


def _coloured(word: str) -> str:
    return f"[{_COLOURS[word]}]{word}[/]"


def _why() -> Column:
    """The column of reasons, in which names of settings and files are never cut short."""
    return Column("why", overflow="fold")


def _plain(reasons: Iterable[str]) -> Text:
    """Reasons as they were written: Rich would take words in square brackets for markup."""
    return Text("\n".join(reasons))


def plan_table(plan: Plan) -> Table:
    """The steps of a plan with their states and reasons; a scan with nothing to do is one line.

    Of many scans those with nothing to do are counted.
    """
    from dlif_core.study.step import State

    table, left_out = Table("scan", "step", "state", _why(), title="Plan"), 0
    for scan, steps in groupby(plan.steps, key=lambda planned: planned.step.scan):
        listed = list(steps)
        if all(planned.state is State.CURRENT for planned in listed):
            if scan and len(plan.files) > _SCANS:
                left_out += 1
            else:
                table.add_row(scan or "cohort", f"all {len(listed)}", _coloured("current"), "")
            continue
        for planned in listed:
            step = f"{planned.step.stage} {planned.step.variant}"
            table.add_row(scan or "cohort", step, _coloured(planned.state), _plain(planned.reasons))
    if left_out:
        table.caption = f"Left out: {counted(left_out, 'scan')} with nothing to do."
    return table


def models_table(models: Iterable[Model]) -> Table:
    """All kinetic models, one line each."""
    table = Table("model", "parameters", "needs", "settings", title="Kinetic models")
    for model in models:
        record = model_record(model)
        names = ", ".join(parameter["name"] for parameter in record["parameters"])
        table.add_row(f"{model.name}\n[dim]{model.title}[/]", names, ", ".join(record["needs"]), _settings_of(model))
    return table


def _settings_of(model: Model) -> str:
    return ", ".join(sorted(model.options)) or "none beyond weights"


def model_table(model: Model) -> Table:
    """The parameters of one kinetic model."""
    record = model_record(model)
    needs = f"needs {', '.join(record['needs'])}" if record["needs"] else "needs only the curves"
    caption = f"{needs} · settings: {_settings_of(model)} · {record['fitted_to']}"
    table = Table("parameter", "unit", "bounds", "meaning", title=f"{model.name}: {model.title}", caption=caption)
    for parameter in model.parameters:
        bounds = "derived" if parameter.derived else f"{parameter.lower:g} … {parameter.upper:g}"
        table.add_row(parameter.name, parameter.units, bounds, parameter.long_name)
    return table


def model_record(model: Model) -> dict[str, Any]:
    """What a kinetic model states, as plain values."""
    needs = {"input function": model.needs_input, "reference region": model.needs_reference}
    return {
        "name": model.name,
        "title": model.title,
        "needs": [need for need, needed in needs.items() if needed] + sorted(model.needed_options),
        "settings": sorted(model.options),
        "fitted_to": "regions and voxels" if model.voxelwise else "regions",
        "parameters": [
            {"name": p.name, "units": p.units, "meaning": p.long_name, "derived": p.derived} for p in model.parameters
        ],
    }


def status_table(status: StudyStatus) -> Table:
    """The status of every scan, and why it is no success or one to be read with care.

    Of many scans those that succeeded and of which there is nothing to say are counted.
    """
    from dlif_core.study.states import ScanStatus

    table, left_out = Table("scan", "status", _why(), title="Scans"), 0
    for scan in status.scans:
        if len(status.scans) > _SCANS and scan.status is ScanStatus.SUCCESS and not scan.notes:
            left_out += 1
            continue
        shown = f"[yellow]{scan.status} ![/]" if scan.needs_care else _coloured(scan.status)
        table.add_row(scan.scan, shown, _plain(scan.notes))
    if left_out:
        table.caption = (
            f"Left out: {counted(left_out, 'scan')} that succeeded, without anything to say; --json lists all."
        )
    return table


def export_table(done: StudyExport) -> Table:
    """How many results of every scan were exported, and which are missing.

    Of many scans those of which nothing is missing are counted.
    """
    table, left_out = Table("scan", "results", Column("missing", overflow="fold"), title="Export"), 0
    for scan in done.scans:
        if len(done.scans) > _SCANS and not scan.missing:
            left_out += 1
            continue
        table.add_row(scan.scan, str(len(scan.products)), _plain(scan.missing))
    if left_out:
        table.caption = f"Left out: {counted(left_out, 'scan')} of which nothing is missing."
    return table


def truth_table(comparison: pd.DataFrame) -> Table:
    """Estimated and true Ki of every organ of a simulated cohort."""
    from dlif_core.study.truth import summarise_truth

    title = Text("Ki against the simulated truth, median over scans [mL/cm³/min]")
    table = Table("analysis", "organ", "true", "estimated", "error", "scans", title=title)
    table.caption = (
        "A Patlak plot is compared with its slope, (1 − vB)·Ki. The error is the median of the scans' errors."
    )
    for column in table.columns[2:]:
        column.justify = "right"
    for row in summarise_truth(comparison).to_dict("records"):
        error = f"{row['error_percent']:+.1f} %"
        numbers = (f"{row['truth']:.4f}", f"{row['estimate']:.4f}", error, str(row["scans"]))
        table.add_row(Text(str(row["fit"])), Text(str(row["region"])), *numbers)
    return table


def trained_models_table(models: Iterable[ListedModel]) -> Table:
    """All trained models; the one in use is marked, and what is wrong with a damaged one is said."""
    table = Table("", "model", "kind", "digest", "folder", title="Trained models")
    for model in models:
        state = Text(model.fault, "red") if model.fault else Text(str(model.folder))
        table.add_row("●" if model.in_use else "", Text(model.name), model.kind, model.digest[:12], state)
    return table


def terminal_table(content: ReportTable) -> Table:
    """A table of a report for the terminal."""
    table = Table()
    for heading in content.headings:
        title = f"{heading.text} [{heading.unit}]" if heading.unit else heading.text
        table.add_column(Text(title), justify="right" if heading.numeric else "left")
    for row in content.rows:
        table.add_row(*(Text(cell.text) for cell in row))
    return table


def evaluation_tables(found: Results) -> tuple[Table, ...]:
    """What the first method of an evaluation reaches, and all methods side by side."""
    return _reached_table(found), _errors_table(found), _metrics_table(found)


def _reached_table(found: Results) -> Table:
    """Metrics of the first method, with intervals and what is required."""
    from dlif_core.evaluation.conditions import HELD_OUT_LABORATORIES
    from dlif_core.evaluation.tables import shown_parts, with_interval, with_unit

    first = found.about["methods"][0]
    left_out = {*HELD_OUT_LABORATORIES} - {*shown_parts(found)}
    table = Table("metric", "scans", "value (95 % interval)", "required", "", title=first["title"])
    marks = {True: "[green]✓[/]", False: "[red]✗[/]", None: ""}
    metrics = found.metrics[(found.metrics["method"] == first["name"]) & ~found.metrics["condition"].isin(left_out)]
    for condition, rows in groupby(metrics.to_dict("records"), key=lambda row: str(row["condition"])):
        table.add_section()
        table.add_row(Text(condition, "bold"))
        for row in rows:
            metric = Text(with_unit(row["title"], row["unit"]))
            table.add_row(metric, str(row["n"]), with_interval(row), row["required"], marks[row["reached"]])
    return table


def _errors_table(found: Results) -> Table:
    """How many curves each method made, their median RMSE, and how it compares with that of the first method."""
    from dlif_core.evaluation.tables import p_value, with_interval

    caption = "p: against the first method, Wilcoxon on the medians of laboratories, paired, two-sided."
    table = Table("method", "curves", "RMSE [SUV] (95 % interval)", "p", title="Held-out cohort", caption=caption)
    against = found.comparisons.set_index("other")["p_value"]
    for method, metrics in _by_method(found).items():
        made = f"{round(metrics['made']['value'] * metrics['made']['n'])} of {metrics['made']['n']}"
        error = with_interval(metrics["rmse"]) if "rmse" in metrics else ""
        table.add_row(method, made, error, p_value(against[method]) if method in against else "")
    return table


#: Other metrics of every method, by the head of their column.
_SIDE_BY_SIDE = {
    "AUC": "auc_ratio",
    "peak": "peak_ratio",
    "tail": "tilt",
    "FWHM": "fwhm_error",
    "brain": "ki_brain",
    "heart": "ki_myocardium",
    "tumour": "ki_tumour",
    "K1": "k1_brain",
    "time": "seconds",
}


def _metrics_table(found: Results) -> Table:
    """Medians of the other metrics of every method."""
    from dlif_core.evaluation.tables import number

    caption = Text(
        "Medians. AUC, peak: ratios; tail: tilt. Size of the errors of\n"
        "FWHM [min], Ki of brain, heart, tumour and K1 of brain [%].\nProcessor time [s]."
    )
    table = Table(Column("method", overflow="fold"), *_SIDE_BY_SIDE, caption=caption, padding=0)
    for method, metrics in _by_method(found).items():
        values = [number(metrics[name]["value"]) if name in metrics else "" for name in _SIDE_BY_SIDE.values()]
        table.add_row(method, *values)
    return table


def _by_method(found: Results) -> dict[str, dict[str, dict[Hashable, Any]]]:
    """Rows of all held-out laboratories by method and metric."""
    from dlif_core.evaluation.summary import COHORT

    cohort = found.metrics[found.metrics["condition"] == COHORT]
    return {
        str(method): {str(row["figure"]): row for row in rows.to_dict("records")}
        for method, rows in cohort.groupby("method", sort=False)
    }
