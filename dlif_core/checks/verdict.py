"""What follows from the findings of a scan: what of it may be used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from dlif_core.checks.check import Finding, Level, Part
from dlif_core.errors import InputError


class RefusedScanError(InputError):
    """A scan can't be used; the findings that rule it out are its reason, and all findings are kept.

    Parameters
    ----------
    findings
        Everything that was found in the scan; at least one finding withholds it.

    Attributes
    ----------
    findings
        The same.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        ruling = [finding for finding in self.findings if finding.withholds and finding.part is Part.SCAN]
        if len(ruling) == 1:
            super().__init__(ruling[0].message, where=ruling[0].where, hint=ruling[0].advice)
            return
        listed = " ".join(f"({number}) {finding}" for number, finding in enumerate(ruling, start=1))
        super().__init__(f"{len(ruling)} faults: {listed}")

    def __reduce__(self) -> tuple[object, ...]:
        return RefusedScanError, (self.findings,)


def judged(findings: Iterable[Finding], accept: Collection[str]) -> tuple[Finding, ...]:
    """The findings, with those doubts marked that a study accepts."""
    return tuple(
        replace(finding, accepted=finding.level is Level.DOUBTFUL and finding.check in accept) for finding in findings
    )


def withheld(findings: Iterable[Finding], part: Part) -> tuple[Finding, ...]:
    """The findings that rule out a part of the scan."""
    return tuple(finding for finding in findings if finding.withholds and finding.part is part)


def require_usable(findings: Sequence[Finding]) -> None:
    """Refuse a scan of which a finding rules out everything.

    Raises
    ------
    RefusedScanError
        With all findings.
    """
    if withheld(findings, Part.SCAN):
        raise RefusedScanError(findings)
