"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from dlif_core.study.status import StudyStatus
from dlif_core.study.step import Plan, State

if TYPE_CHECKING:
    import pandas as pd

    from dlif_core.kinetics import Model

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


def _coloured(word: str) -> str:
    return f"[{_COLOURS[word]}]{word}[/]"


def _plain(reasons: Iterable[str]) -> Text:
    """Reasons as they were said: words in square brackets would pass for markup."""
    return Text("\n".join(reasons))


def plan_table(plan: Plan) -> Table:
    """What will run and why; scans with nothing to do are one line."""
    table = Table("scan", "step", "state", "why", title="Plan")
    for scan, steps in groupby(plan.steps, key=lambda planned: planned.step.scan):
        listed = list(steps)
        if all(planned.state is State.CURRENT for planned in listed):
            table.add_row(scan or "cohort", f"all {len(listed)}", _coloured("current"), "")
            continue
        for planned in listed:
            step = f"{planned.step.stage} {planned.step.variant}"
            table.add_row(scan or "cohort", step, _coloured(planned.state), _plain(planned.reasons))
    return table


def models_table(models: Iterable[Model]) -> Table:
    """Every kinetic model in a line."""
    table = Table("model", "parameters", "needs", "settings", title="Kinetic models")
    for model in models:
        record = model_record(model)
        names = ", ".join(parameter["name"] for parameter in record["parameters"])
        table.add_row(f"{model.name}\n[dim]{model.title}[/]", names, ", ".join(record["needs"]), _settings_of(model))
    return table


def _settings_of(model: Model) -> str:
    return ", ".join(sorted(model.options)) or "none beyond weights"


def model_table(model: Model) -> Table:
    """The parameters of a kinetic model."""
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
    """Status of every scan."""
    table = Table("scan", "status", "why", title="Scans")
    for scan in status.scans:
        table.add_row(scan.scan, _coloured(scan.status), _plain(scan.reasons))
    return table


def truth_table(comparison: pd.DataFrame) -> Table:
    """Estimated against true Ki of every organ of a simulated cohort."""
    from dlif_core.study.truth import summarise_truth

    title = Text("Ki against the simulated truth, median over scans [mL/cm³/min]")
    table = Table("analysis", "organ", "true", "estimated", "error", "scans", title=title)
    for column in table.columns[2:]:
        column.justify = "right"
    for row in summarise_truth(comparison).to_dict("records"):
        error = f"{row['error_percent']:+.1f} %"
        figures = (f"{row['truth']:.4f}", f"{row['estimate']:.4f}", error, str(row["scans"]))
        table.add_row(Text(str(row["fit"])), Text(str(row["region"])), *figures)
    return table


def doctor_table() -> Table:
    """Versions and hardware."""
    import os
    import platform
    from importlib.metadata import version

    import psutil
    import torch

    table = Table("what", "value", title="This installation")
    for package in ("dlif", "prefect", "dask", "distributed", "zarr", "xarray", "torch", "numpy", "nibabel", "lmfit"):
        table.add_row(package, version(package))
    table.add_row("python", platform.python_version())
    table.add_row("cores", str(os.cpu_count()))
    table.add_row("memory", f"{psutil.virtual_memory().total / 2**30:.1f} GiB")
    table.add_row("GPU", torch.cuda.get_device_name() if torch.cuda.is_available() else "none")
    return table
