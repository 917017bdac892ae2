"""What can become of a scan of a study."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dlif_core.checks import Finding, needs_care, remarks


class ScanStatus(StrEnum):
    """Status of a scan.

    ``success``: every analysis is there and up to date. ``excluded``: the scan can't be processed as it is.
    ``failed``: a step broke. ``unavailable``: an analysis lacks what it needs. ``incomplete``: steps are left to run.
    """

    SUCCESS = "success"
    EXCLUDED = "excluded"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class ScanState:
    """What became of one scan.

    Attributes
    ----------
    scan
        Name of the scan.
    status
        What became of the scan.
    reasons
        Why it is not a success.
    findings
        What checks found in its data and in its results.
    """

    scan: str
    status: ScanStatus
    reasons: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of its results must know; an excluded scan has none."""
        return () if self.status is ScanStatus.EXCLUDED else remarks(self.findings)

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons and remarks."""
        return self.reasons + self.remarks

    @property
    def needs_care(self) -> bool:
        """Whether it is a success to be read with care, see `dlif_core.checks.needs_care`."""
        return self.status is ScanStatus.SUCCESS and needs_care(self.findings)
