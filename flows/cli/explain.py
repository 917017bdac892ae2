"""``dlif explain``: from where in the image, and when, a learned input function was read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import AsJson, StudyFile
from flows.cli.output import print_json, print_rich

if TYPE_CHECKING:
    from dlif_core.scan import DynamicScan
    from dlif_core.study.config import StudyConfig


def explain(
    study: StudyFile,
    scan: Annotated[str, typer.Argument(help="Name of a scan, as `dlif status` shows it.", metavar="SCAN")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Metric of the curve to explain: auc (the default), early-auc, peak, tail, spread, time:MINUTE or "
            "ki:REGION. May be repeated.",
            metavar="METRIC",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Name or folder of a trained model; that of the study if left out.",
            metavar="MODEL",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for pictures and numbers; explain-SCAN if left out.", metavar="FOLDER", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain the learned input function of an ingested scan: pictures, maps (NIfTI), numbers and a short table."""
    from dlif_core.input_function.learned import require_in_scope
    from dlif_core.networks.bundle.model import load_model
    from dlif_core.networks.explanation.attribution import explain_scan
    from dlif_core.networks.scope.assessment import precheck
    from dlif_core.report.explanation_files import write_explanation
    from dlif_core.report.learned import explanation_table
    from dlif_core.study.config import learned_model, load_study

    config = load_study(study)
    learned = load_model(model or learned_model(config))
    targets = target or ["auc"]
    found = _scan(config, scan)
    require_in_scope(precheck(found, learned.subject), learned)
    explained = explain_scan(learned.networks, found, targets, matrix=True, subject=learned.subject)
    folder = output or Path(f"explain-{scan}")
    about = {"scan": scan, "model": learned.name, "digest": learned.digest}
    record = write_explanation(folder, explained, about)
    if as_json:
        print_json(record)
        return
    from flows.cli.tables import terminal_table

    print_rich(terminal_table(explanation_table(explained)))
    typer.echo(f"Pictures and numbers are in {folder}.")


def _scan(config: StudyConfig, scan: str) -> DynamicScan:
    """An ingested scan of the study."""
    from dlif_core.errors import MissingInputError
    from dlif_core.study.plan import open_study_store
    from dlif_core.study.products import ingested_scans, source_name
    from dlif_core.study.source import read_scan

    store = open_study_store(config)
    marker = store.marker(source_name(scan))
    if marker is None or marker.status != "success":
        known = ingested_scans(store)
        raise MissingInputError(
            f"the scan {scan!r} has not been ingested.",
            where=config.output,
            hint=f"Run `dlif run` first. Scans with results: {', '.join(known) or 'none'}.",
        )
    return read_scan(store, scan)[0]
