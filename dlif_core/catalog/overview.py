"""How many scans of what kind each study of a catalog has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from dlif_core.catalog.filters import CatalogFilter, read_filtered

#: Columns of the overview, in order.
OVERVIEW = ("site", "study", "scans", "animals", "success", "image", "blood", "learned", "species", "tracers")
_READ = ("site", "study", "animal", "status", "image", "arterial_samples", "input_functions", "species", "tracer")


def overview(uri: str, where: str = "") -> list[dict[str, Any]]:
    """One row for each study and site: numbers of scans, and which species and tracers they have.

    Parameters
    ----------
    uri
        Path or URL of the catalog.
    where
        Condition on the scans that count, see `CatalogFilter`.
    """
    rows = read_filtered(uri, CatalogFilter(where), _READ).to_pylist()
    rows.sort(key=_study_of)
    return [_overview_row(list(scans)) for _, scans in groupby(rows, key=_study_of)]


def _study_of(row: dict[str, Any]) -> tuple[str, str]:
    return row["site"], row["study"]


def _overview_row(scans: Sequence[dict[str, Any]]) -> dict[str, Any]:
    site, study = _study_of(scans[0])
    return {
        "site": site,
        "study": study,
        "scans": len(scans),
        "animals": len({scan["animal"] for scan in scans}),
        "success": sum(scan["status"] == "success" for scan in scans),
        "image": sum(bool(scan["image"]) for scan in scans),
        "blood": sum(bool(scan["arterial_samples"]) for scan in scans),
        "learned": sum("learned" in (scan["input_functions"] or ()) for scan in scans),
        "species": sorted({scan["species"] for scan in scans if scan["species"]}),
        "tracers": sorted({scan["tracer"] for scan in scans if scan["tracer"]}),
    }
