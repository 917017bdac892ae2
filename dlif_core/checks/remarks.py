"""What the findings of a scan amount to, in the few words that a table of scans has room for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dlif_core.checks.check import Finding, Level, Part
from dlif_core.checks.results import FIRST_INPUT_FUNCTION
from dlif_core.checks.verdict import withheld


def remarks(findings: Sequence[Finding]) -> tuple[str, ...]:
    """What someone who reads the results of a scan must know of it, what weighs most first.

    Parameters
    ----------
    findings
        All findings of the scan and of its results. Those that rule the scan out are left to its status.

    Returns
    -------
    Such as ``arterial was unavailable: …; population was used``, ``dose is not used (dose-range)``, ``1 doubt accepted
    (scan-too-short)`` or ``2 repaired (empty-frames, regions-left-out)``.
    """
    fallbacks = [finding.message.rstrip(".") for finding in findings if finding.check == FIRST_INPUT_FUNCTION.name]
    lost = [
        f"{part} is not used ({_checks(faults)})"
        for part in (Part.DOSE, Part.WEIGHT, Part.BLOOD)
        if (faults := withheld(findings, part))
    ]
    implausible = withheld(findings, Part.RESULT)
    counted = [
        *(f"not plausible, {finding.where}: {finding.message.rstrip('.')}" for finding in implausible),
        _counted("doubt accepted", "doubts accepted", [finding for finding in findings if finding.accepted]),
        _counted("repaired", "repaired", _of_level(findings, Level.REPAIRED)),
        _counted("assumed", "assumed", _of_level(findings, Level.ASSUMED)),
    ]
    return tuple(dict.fromkeys(text for text in (*fallbacks, *lost, *counted) if text))


def needs_care(findings: Iterable[Finding]) -> bool:
    """Whether results of a scan are to be read with care: something weighs more than a repair or an assumption."""
    return any(one.withholds or one.accepted or one.check == FIRST_INPUT_FUNCTION.name for one in findings)


def _of_level(findings: Iterable[Finding], level: Level) -> list[Finding]:
    return [one for one in findings if one.level is level and one.check != FIRST_INPUT_FUNCTION.name]


def _counted(one: str, several: str, findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    return f"{len(findings)} {one if len(findings) == 1 else several} ({_checks(findings)})"


def _checks(findings: Iterable[Finding]) -> str:
    return ", ".join(dict.fromkeys(finding.check for finding in findings))
