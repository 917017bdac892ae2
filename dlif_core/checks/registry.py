"""The table of all checks, and the call that applies them to a scan."""

from __future__ import annotations

from collections.abc import Mapping

from dlif_core.checks import blood, dose, frame_times, image, metadata, results
from dlif_core.checks.check import Check, Finding
from dlif_core.checks.facts import ScanFacts
from dlif_core.registry import Registry

#: The checks by what they look at.
GROUPS: Mapping[str, tuple[Check, ...]] = {
    "Frame times": frame_times.CHECKS,
    "Image": image.CHECKS,
    "Dose and body weight": dose.CHECKS,
    "Blood and regions": blood.CHECKS,
    "Files and what they leave out": metadata.CHECKS,
    "Results": results.CHECKS,
}

#: Every check by name.
CHECKS: Registry[Check] = Registry("check", "", [check for checks in GROUPS.values() for check in checks])


def examine(facts: ScanFacts) -> tuple[Finding, ...]:
    """What all checks find in a scan, in the order of the table."""
    return tuple(finding for check in CHECKS.values() for finding in check.examine(facts))
