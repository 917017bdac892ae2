"""What can become of a scan of a study."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
    """One scan's status and the reasons where it is not a success."""

    scan: str
    status: ScanStatus
    reasons: tuple[str, ...] = ()
