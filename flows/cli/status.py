"""``dlif status``: the status of every scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from flows.cli.options import AsJson, StudyFile
from flows.cli.output import print_json, print_rich

if TYPE_CHECKING:
    from dlif_core.study.config import StudyConfig
    from dlif_core.study.states import ScanState


def status(study: StudyFile, as_json: AsJson = False) -> None:
    """Show the status of every scan: success, excluded, failed, unavailable or incomplete, and why.

    A success that is to be read with care, as when another input function took the place of the first, is yellow and
    says so; it counts as a success.
    """
    from dlif_core.study.config import load_study
    from dlif_core.study.status import study_status

    config = load_study(study)
    result = study_status(config)
    if as_json:
        print_json([_record(scan) for scan in result.scans])
    else:
        from flows.cli.tables import status_table

        print_rich(status_table(result))
        _print_last_run(config)
    raise typer.Exit(result.exit_code)


def _print_last_run(config: StudyConfig) -> None:
    """Print when the study was run last and how that ended."""
    from dlif_core.store import open_store
    from dlif_core.study.runs import last_run

    run = last_run(open_store(config.output))
    if run is not None:
        typer.echo(f"Last run: {run}")


def _record(scan: ScanState) -> dict[str, Any]:
    return {
        "scan": scan.scan,
        "status": str(scan.status),
        "reasons": list(scan.reasons),
        "remarks": list(scan.remarks),
    }
