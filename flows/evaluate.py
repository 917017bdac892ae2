"""The evaluation as a Prefect flow: every method on every scan, the metrics as an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from dlif_core.evaluation.candidates import candidates
from dlif_core.evaluation.conditions import conditions
from dlif_core.evaluation.runner import require_unseen
from dlif_core.evaluation.tables import as_record, markdown, results, write_results
from flows.parameters import Count, described
from tasks.evaluation import evaluate_scan_task


@flow(name="evaluate", flow_run_name="{output}")
def evaluate(
    output: Annotated[str, described("Folder for the tables and for what is done already, as the worker sees it.")],
    model: Annotated[
        str | None, described("Name or folder of the learned method's model; left out, the one in use.")
    ] = None,
    methods: Annotated[
        tuple[str, ...], described("Methods to compare, such as learned and population; all if there is none.")
    ] = (),
    scans: Annotated[Count, described("Scans of the standard cohort, rounded to whole laboratories.")] = 64,
    atlas: Annotated[
        str | None, described("NIfTI file of the Digimouse labels, as the worker sees it; left out, no atlas mice.")
    ] = None,
) -> dict[str, Any]:
    """Compare the methods for the input function on simulated mice of held-out laboratories.

    Returns
    -------
    The metrics, as plain values.
    """
    import pandas as pd

    chosen, shown, folder = candidates(methods, model), conditions(scans, atlas), Path(output)
    require_unseen(chosen, shown)
    rows: list[dict[str, Any]] = []
    for condition in shown:
        for seed in condition.seeds:
            rows += evaluate_scan_task(chosen, condition, seed, folder)
    found = results(pd.DataFrame(rows), chosen, shown)
    write_results(found, folder)
    create_markdown_artifact(markdown(found), key="evaluation")
    return as_record(found)
