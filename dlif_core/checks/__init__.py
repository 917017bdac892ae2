"""Checks of data: one table of what must hold, each with a level and a remedy, and the verdict that follows."""

from dlif_core.checks.check import LOST, Check, Finding, Level, Part
from dlif_core.checks.facts import ImageSummary, ScanFacts, Timeline
from dlif_core.checks.registry import CHECKS, examine, require_doubts
from dlif_core.checks.remarks import needs_care, remarks
from dlif_core.checks.verdict import RefusedScanError, judged, require_usable, withheld

__all__ = [
    "CHECKS",
    "LOST",
    "Check",
    "Finding",
    "ImageSummary",
    "Level",
    "Part",
    "RefusedScanError",
    "ScanFacts",
    "Timeline",
    "examine",
    "judged",
    "needs_care",
    "remarks",
    "require_doubts",
    "require_usable",
    "withheld",
]
