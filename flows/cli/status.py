"""``dlif status``: the status of every scan."""

from __future__ import annotations

import typer

from flows.cli.options import AsJson, StudyFile
from flows.cli.output import print_json, print_rich


def status(study: StudyFile, as_json: AsJson = False) -> None:
    """Show the status of every scan: success, excluded, failed, unavailable or incomplete, and why."""
    from dlif_core.study.config import load_study
    from dlif_core.study.status import study_status

    result = study_status(load_study(study))
    if as_json:
        print_json([{"scan": s.scan, "status": str(s.status), "reasons": list(s.reasons)} for s in result.scans])
    else:
        from flows.cli.tables import status_table

        print_rich(status_table(result))
    raise typer.Exit(result.exit_code)
