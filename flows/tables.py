"""Tables for the terminal."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table

from dlif_core.study.plan import Plan, State
from dlif_core.study.status import StudyStatus

if TYPE_CHECKING:
    import pandas as pd

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
            table.add_row(scan or "cohort", step, _coloured(planned.state), "\n".join(planned.reasons))
    return table


def status_table(status: StudyStatus) -> Table:
    """Status of every scan."""
    table = Table("scan", "status", "why", title="Scans")
    for scan in status.scans:
        table.add_row(scan.scan, _coloured(scan.status), "\n".join(scan.reasons))
    return table


def truth_table(comparison: pd.DataFrame) -> Table:
    """Estimated against true Ki of every organ of a simulated cohort."""
    from dlif_core.study.truth import summarise_truth

    title = "Ki against the simulated truth, median over scans [mL/cm³/min]"
    table = Table("analysis", "organ", "true", "estimated", "error", "scans", title=title)
    for column in table.columns[2:]:
        column.justify = "right"
    for row in summarise_truth(comparison).to_dict("records"):
        error = f"{row['error_percent']:+.1f} %"
        figures = (f"{row['truth']:.4f}", f"{row['estimate']:.4f}", error, str(row["scans"]))
        table.add_row(str(row["fit"]), str(row["region"]), *figures)
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
