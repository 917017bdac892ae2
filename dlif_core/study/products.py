"""Names of all products of a study: where each lies in the store.

What belongs to one scan lies in the scan's Zarr group, so that one folder holds all that is known of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlif_core.store.layout import part_for

if TYPE_CHECKING:
    from dlif_core.store import Store

#: Product of the whole study: datasets, tables and the report of the cohort.
COHORT = "cohort"

#: Prefix of the reports of scans.
REPORTS = "reports/"

#: Part of a fingerprint that holds the name of a scan that has another name in the store.
SCAN_NAME = "scan"

_FAILURES = "failures"


def stored_name(scan: str) -> str:
    """Name of a scan in the store: its own, unless that is too long or has letters that no name in a store has."""
    return part_for(scan)


def source_name(scan: str) -> str:
    """Product name of a scan as ingested."""
    return f"{_scan_group(scan)}/source"


def ingested_scans(store: Store) -> list[str]:
    """Names of the scans of which a store holds what was ingested, in order."""
    found = store.products("scans/").items()
    return sorted(
        marker.parts.get(SCAN_NAME, name.split("/")[1].removesuffix(".zarr"))
        for name, marker in found
        if name.endswith("/source") and marker.status == "success"
    )


def input_function_name(scan: str, method: str) -> str:
    """Product name of a scan's input function."""
    return f"{_scan_group(scan)}/input_functions/{method}"


def explanation_name(scan: str) -> str:
    """Product name of the explanation of a scan's learned input function."""
    return f"{_scan_group(scan)}/explanation"


def fit_name(scan: str, fit: str, kind: str) -> str:
    """Product name of a kinetic analysis; `kind` is ``regions`` or ``maps``."""
    return f"{_scan_group(scan)}/kinetics/{fit}/{kind}"


def selection_name(scan: str) -> str:
    """Product name of a scan's comparison of models."""
    return f"{_scan_group(scan)}/selection"


def report_name(scan: str) -> str:
    """Product name of a scan's report."""
    return f"{REPORTS}{stored_name(scan)}"


def export_name(scan: str, form: str) -> str:
    """Product name of a scan's results in another format."""
    return f"exports/{stored_name(scan)}/{form}"


def failure_name(product: str) -> str:
    """Product name of the record of why a product could not be made."""
    return f"{_FAILURES}/{product.replace('/', '.')}"


def _scan_group(scan: str) -> str:
    return f"scans/{stored_name(scan)}.zarr"


def claim_name(scan: str) -> str:
    """Name of the claim of a scan; of the cohort, if the scan has no name."""
    return f"scans/{stored_name(scan)}" if scan else COHORT
