"""Artifacts of a run in the Prefect UI: how far it is, what became of the scans, links to reports and to Dask.

Each has a key of the study, so that Prefect keeps its history.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from slugify import slugify

from dlif_core.shown import counted
from dlif_core.store import Store
from dlif_core.study.config import StudyConfig
from dlif_core.study.products import COHORT, report_name
from dlif_core.study.states import ScanState, ScanStatus

#: Variable of the environment with the address at which the folder of results is served. A browser opens no local
#: file from a page of a server.
REPORTS_URL = "DLIF_REPORTS_URL"

#: Rows of the table of scans; the cohort's report has all of them.
_ROWS = 200


def _key(config: StudyConfig, what: str) -> str:
    return slugify(f"{config.name}-{what}")


class ProgressArtifact:
    """How far a run is [%].

    Parameters
    ----------
    config
        The study.
    total
        Number of steps.
    """

    def __init__(self, config: StudyConfig, total: int) -> None:
        self._total = total
        described = f"{config.name}: {counted(total, 'step')}"
        self._id = cast(UUID, create_progress_artifact(0.0, key=_key(config, "progress"), description=described))

    def publish(self, done: int) -> None:
        """Show that so many steps ended."""
        update_progress_artifact(self._id, 100.0 * done / self._total)


def publish_dashboard(config: StudyConfig, link: str) -> None:
    """Link the dashboard of the Dask cluster."""
    described = "Dask dashboard of the run: workers, memory, tasks. It is there while the run goes on."
    create_link_artifact(link=link, link_text="Dask dashboard", key=_key(config, "dask"), description=described)


def publish_scans(config: StudyConfig, store: Store, scans: Sequence[ScanState], touched: Collection[str]) -> None:
    """What became of the scans, with reasons and links to the reports; those that need attention come first.

    Parameters
    ----------
    config, store
        The study and its store.
    scans
        Every scan of the study.
    touched
        Scans that this run worked on.
    """
    shown = sorted(scans, key=lambda one: (one.status is ScanStatus.SUCCESS, one.scan not in touched))[:_ROWS]
    rows = [_row(store, scan, scan.scan in touched) for scan in shown]
    described = f"Scans of study {config.name}: {len(rows)} of {len(scans)}."
    create_table_artifact(rows, key=_key(config, "cohort"), description=described)
    if store.marker(COHORT) is not None:
        link = _address(store, COHORT)
        create_link_artifact(link=link, link_text="Report of the cohort", key=_key(config, "report"))


def _row(store: Store, scan: ScanState, is_touched: bool) -> dict[str, Any]:
    return {
        "scan": scan.scan,
        "status": str(scan.status),
        "this run": "yes" if is_touched else "",
        "report": f"[open]({_address(store, report_name(scan.scan))})" if scan.status is ScanStatus.SUCCESS else "",
        "why": "; ".join(scan.notes),
    }


def _address(store: Store, product: str) -> str:
    """Address of a report: below that at which results are served, else that of the file."""
    base = os.environ.get(REPORTS_URL)
    uri = store.uri_of(product) if not base else f"{base.rstrip('/')}/{product}"
    return f"{'file://' if uri.startswith('/') else ''}{uri}/report.html"
