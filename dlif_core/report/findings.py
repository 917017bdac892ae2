"""What checks of the data found, as a table and as statements at the head of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dlif_core.checks import Finding, Level
from dlif_core.checks.suspicion import FindingRow, by_suspicion
from dlif_core.report.numbers import ABSENT, Cell, Heading, ReportTable

Findings = Mapping[str, Iterable[Finding]]

_TONES = {Level.REFUSED: "bad", Level.DOUBTFUL: "warn", Level.ASSUMED: "", Level.REPAIRED: ""}


def findings_table(findings: Findings, *, scans: bool) -> ReportTable | None:
    """All findings, what weighs most first; None where there is none.

    Parameters
    ----------
    findings
        Findings by name of the scan.
    scans
        Whether a column names the scans: a report of one scan needs none.
    """
    rows = by_suspicion(findings)
    if not rows:
        return None
    names = ("Scan", "Check", "Level", "What was found", "What to do")[0 if scans else 1 :]
    headings = tuple(Heading(name, numeric=False) for name in names)
    return ReportTable(headings, tuple(_cells(row)[0 if scans else 1 :] for row in rows))


def _cells(row: FindingRow) -> tuple[Cell, ...]:
    return (
        Cell(row.scans_in_brief),
        Cell(row.finding.check),
        Cell(row.verdict, tone=_TONES[row.finding.level]),
        Cell(row.finding.message, error=row.places_in_brief),
        Cell(row.finding.advice or ABSENT, error=row.lost),
    )
