"""``dlif report``: where the reports of a study are."""

from __future__ import annotations

import typer

from flows.cli.options import StudyFile


def report(study: StudyFile) -> None:
    """List the HTML reports of a study: that of the cohort, then one for each scan."""
    from dlif_core.errors import ProductMissingError
    from dlif_core.study.config import load_study
    from dlif_core.study.plan import open_study_store
    from dlif_core.study.products import COHORT, REPORTS

    config = load_study(study)
    store = open_study_store(config)
    names = [name for name in (COHORT, *sorted(store.products(REPORTS))) if store.marker(name) is not None]
    if not names:
        raise ProductMissingError(
            "there is no report yet.", where=config.output, hint=f"`dlif run {study}` makes the reports."
        )
    for name in names:
        typer.echo(f"{store.uri_of(name)}/report.html")
