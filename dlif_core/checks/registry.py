"""The table of all checks, and the call that applies them to a scan."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dlif_core.checks import blood, dose, frame_times, image, metadata, results
from dlif_core.checks.check import Check, Finding, Level, Part
from dlif_core.checks.facts import ScanFacts
from dlif_core.errors import ConfigurationError
from dlif_core.registry import Registry, named

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


def require_doubts(accept: Collection[str]) -> tuple[str, ...]:
    """Return the names of checks whose doubts are accepted, each of which is one about data.

    Raises
    ------
    ConfigurationError
        If a name is none of a check, or what it finds can't be accepted.
    """
    if isinstance(accept, str):
        raise ConfigurationError("`accept` is one text.", hint=f"Give a list: [{accept!r}].")
    doubts = {name: check for name, check in CHECKS.items() if _can_be_accepted(check)}
    for name in accept:
        check = CHECKS[name] if name in CHECKS else named(name, doubts, "check that can be accepted")
        if name not in doubts:
            raise ConfigurationError(
                f"check {name!r} is no doubt about data: what it finds is {check.level}, in the {check.part}.",
                hint="Leave it out of `accept`.",
            )
    return tuple(accept)


def _can_be_accepted(check: Check) -> bool:
    return check.level is Level.DOUBTFUL and check.part is not Part.RESULT
