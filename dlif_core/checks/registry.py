"""The table of all checks, and the call that applies them to a scan."""

from __future__ import annotations

from dlif_core.checks import blood, dose, frame_times, image, metadata, results
from dlif_core.checks.check import Check, Finding
from dlif_core.checks.facts import ScanFacts
from dlif_core.registry import Registry

#: Every check by name.
CHECKS: Registry[Check] = Registry(
    "check",
    "",
    [*frame_times.CHECKS, *image.CHECKS, *dose.CHECKS, *blood.CHECKS, *metadata.CHECKS, *results.CHECKS],
)


def examine(facts: ScanFacts) -> tuple[Finding, ...]:
    """What all checks find in a scan, in the order of the table."""
    return tuple(finding for check in CHECKS.values() for finding in check.examine(facts))
