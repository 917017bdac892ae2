"""Self-contained HTML reports of a scan and of a cohort.

Names are loaded at first use, because they need matplotlib and xarray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlif_core.lazy import lazy_attribute

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
    return lazy_attribute(__name__, _HOME, name)
