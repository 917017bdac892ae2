"""Self-contained HTML reports of a scan and of a cohort.

Names are loaded at first use, because they need matplotlib and xarray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlif_core.report.cohort import CohortReport, Comparison, cohort_report
    from dlif_core.report.scan import ScanReport, scan_report

__all__ = ["CohortReport", "Comparison", "ScanReport", "cohort_report", "scan_report"]

_HOME = {
    "CohortReport": "cohort",
    "Comparison": "cohort",
    "cohort_report": "cohort",
    "ScanReport": "scan",
    "scan_report": "scan",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
