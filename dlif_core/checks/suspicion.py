"""Findings of many scans as one table, what weighs most first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dlif_core.checks.check import LOST, Finding, Level

#: Columns of a table with one row for each scan and finding.
COLUMNS = ("scan", "check", "level", "part", "where", "message", "remedy", "accepted")

_LEVELS = list(Level)
#: Scans or places that a row names; of more it names the first and gives the number.
_NAMED = 2


@dataclass(frozen=True)
class FindingRow:
    """A row of a table for people: what was found in the same way in several scans or results is told once.

    Attributes
    ----------
    finding
        What was found; where and remedy are those of the first scan.
    scans, places
        Names of all scans in which it was found, and all places.
    """

    finding: Finding
    scans: tuple[str, ...]
    places: tuple[str, ...]

    @property
    def scans_in_brief(self) -> str:
        """The scans, or the first of many and their number."""
        return _in_brief(self.scans)

    @property
    def places_in_brief(self) -> str:
        """All places of one scan; of several, the first of many and their number; "" if none is known."""
        return ", ".join(self.places) if len(self.scans) == 1 else _in_brief(self.places)

    @property
    def verdict(self) -> str:
        """Level, and whether the doubt is accepted."""
        return f"{self.finding.level}, accepted" if self.finding.accepted else str(self.finding.level)

    @property
    def lost(self) -> str:
        """What is lost by it, in a sentence; "" for nothing."""
        if not self.finding.withholds:
            return ""
        loss = LOST[self.finding.part]
        return f"{loss[0].upper()}{loss[1:]}."


def _in_brief(names: tuple[str, ...]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{names[0]} and {len(names) - 1} more"


def suspicion(finding: Finding) -> float:
    """How much a finding weighs; an accepted doubt less than one that is not, and more than what was assumed."""
    return _LEVELS.index(finding.level) - (0.5 if finding.accepted else 0.0)


def by_suspicion(scans: Mapping[str, Iterable[Finding]]) -> list[FindingRow]:
    """All findings, by name of the scan, as rows for people; what weighs most first."""
    same: dict[Finding, list[tuple[str, Finding]]] = {}
    for scan, findings in scans.items():
        for finding in findings:
            same.setdefault(replace(finding, where="", remedy=""), []).append((scan, finding))
    rows = [
        FindingRow(found[0][1], _distinct(scan for scan, _ in found), _distinct(one.where for _, one in found))
        for found in same.values()
    ]
    return sorted(rows, key=lambda row: -suspicion(row.finding))


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def as_records(scans: Mapping[str, Iterable[Finding]]) -> list[dict[str, Any]]:
    """All findings as plain values by `COLUMNS`, one record for each scan and finding, what weighs most first."""
    listed = [(scan, finding) for scan, findings in scans.items() for finding in findings]
    listed.sort(key=lambda pair: -suspicion(pair[1]))
    return [{"scan": scan, **finding.as_record(), "remedy": finding.advice} for scan, finding in listed]
