"""The table of what checks found, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Column, Table
from rich.text import Text

from dlif_core.checks import Level
from dlif_core.checks.suspicion import FindingRow, by_suspicion
from dlif_core.shown import counted

if TYPE_CHECKING:
    from dlif_core.study.checking import CheckedScan

_COLOURS = {Level.REFUSED: "red", Level.DOUBTFUL: "yellow", Level.ASSUMED: "cyan", Level.REPAIRED: "green"}


def findings_table(scans: Sequence[CheckedScan], root: str) -> Iterator[Table]:
    """One table of all findings, what weighs most first; none where nothing was found.

    Parameters
    ----------
    scans
        Scans that were checked.
    root
        Folder or URL of the data.
    """
    rows = by_suspicion({scan.scan: scan.findings for scan in scans})
    if not rows:
        return
    scan = Column("scan", overflow="fold", max_width=26)
    words = Column("what is wrong, and what to do", overflow="fold")
    table = Table(scan, "finding", words, title=Text(f"Checks of {root}"), show_lines=True)
    for row in rows:
        table.add_row(Text(row.scans_in_brief), _verdict(row), _words(row))
    yield table


def _verdict(row: FindingRow) -> Text:
    colour = _COLOURS[Level.ASSUMED if row.finding.accepted else row.finding.level]
    return Text.assemble((row.verdict, colour), "\n", row.finding.check)


def _words(row: FindingRow) -> Text:
    place = (f"{row.places_in_brief}: ", "dim") if row.places else ""
    lost = (f"\n✗ {row.lost}", "bold") if row.lost else ""
    return Text.assemble(place, row.finding.message, f"\n→ {row.finding.advice}", lost)


def findings_summary(scans: Sequence[CheckedScan]) -> Iterator[str]:
    """How many scans are sound, and how many are not."""
    silent = sum(not scan.findings for scan in scans)
    unusable = sum(not scan.is_usable for scan in scans)
    yield f"Without any finding: {silent} of {counted(len(scans), 'scan')}. Refused or doubtful: {unusable}."
