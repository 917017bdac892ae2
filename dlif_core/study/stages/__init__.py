"""The stages of a study: one module a stage, one registry."""

from __future__ import annotations

from typing import Any

from dlif_core.registry import Registry
from dlif_core.study.stages.base import CohortStage, MemoryNeed, ScanPlan, ScanStage, Shares, Stage
from dlif_core.study.stages.cohort import COHORT_TABLES
from dlif_core.study.stages.explanation import EXPLANATION
from dlif_core.study.stages.export import EXPORT
from dlif_core.study.stages.ingest import INGEST
from dlif_core.study.stages.input_function import INPUT_FUNCTIONS
from dlif_core.study.stages.maps import MAPS
from dlif_core.study.stages.regions import REGIONS
from dlif_core.study.stages.report import REPORT
from dlif_core.study.stages.selection import SELECTION

__all__ = ["STAGES", "CohortStage", "MemoryNeed", "ScanPlan", "ScanStage", "Shares", "Stage"]

#: All stages by name, in the order in which they run; those of the cohort run when all scans are done.
STAGES: Registry[Stage[Any]] = Registry(
    "stage",
    "",
    [
        INGEST,
        INPUT_FUNCTIONS,
        EXPLANATION,
        REGIONS,
        MAPS,
        SELECTION,
        REPORT,
        EXPORT,
        COHORT_TABLES,
    ],
)
