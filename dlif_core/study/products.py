"""Names of all products of a study: where each lies in the store.

What belongs to one scan lies in the scan's Zarr group, so that one folder holds all that is known of it.
"""

from __future__ import annotations

#: Product of the whole study: datasets, tables and the report of the cohort.
COHORT = "cohort"

#: Prefix of the reports of scans.
REPORTS = "reports/"

_FAILURES = "failures"


def source_name(scan: str) -> str:
    """Product name of a scan as ingested."""
    return f"{_scan_group(scan)}/source"


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
    return f"{REPORTS}{scan}"


def failure_name(product: str) -> str:
    """Product name of the record of why a product could not be made."""
    return f"{_FAILURES}/{product.replace('/', '.')}"


def _scan_group(scan: str) -> str:
    return f"scans/{scan}.zarr"
