"""A described scan with what a table of scans states of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dlif_core.checks import Finding
from dlif_core.checks.metadata import STATED_TWICE
from dlif_core.errors import UnitError
from dlif_core.ingest.described import DescribedScan
from dlif_core.ingest.tables import number
from dlif_core.radionuclides import nuclide
from dlif_core.units import Dimension, factor

#: Fields with the unit of a number, and what the number measures.
_UNITS: Mapping[str, tuple[str, Dimension]] = {
    "InjectedRadioactivity": ("InjectedRadioactivityUnits", "activity"),
    "BodyWeight": ("BodyWeightUnits", "mass"),
}
_UNIT_FIELDS: Mapping[str, Dimension] = {
    "Units": "concentration",
    "InjectedRadioactivityUnits": "activity",
    "BodyWeightUnits": "mass",
}
_TOLERANCE = 1e-3


def supplemented(scan: DescribedScan, stated: Mapping[str, Any], where: str) -> DescribedScan:
    """The scan with what a table states of it, which counts before what its files state; what differs is told."""
    fields = {**scan.fields, **stated}
    findings = tuple(_differing(scan.fields, stated, fields, where))
    return replace(scan, fields=fields, findings=(*scan.findings, *findings))


def _differing(
    before: Mapping[str, Any], stated: Mapping[str, Any], after: Mapping[str, Any], where: str
) -> Iterator[Finding]:
    """A finding for each number or text that table and files state differently; of texts no words are quoted."""
    for name, value in stated.items():
        if name not in before or (name in _UNIT_FIELDS and name != "Units") or _same(name, before, after):
            continue
        numbers = number(value) is not None and number(before[name]) is not None
        told = f"{_shown(name, before)}, the table of scans {_shown(name, after)}" if numbers else "another value"
        message = f"The files state {name} as {told}; that of the table is taken."
        yield STATED_TWICE.found(message, where=where)


def _shown(name: str, fields: Mapping[str, Any]) -> str:
    unit = fields.get(_UNITS[name][0], "") if name in _UNITS else ""
    return f"{number(fields[name]):g} {unit}".strip()


def _same(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether both state the same, whatever its unit or spelling."""
    one, other = before[name], after[name]
    if name in _UNITS:
        unit, kind = _UNITS[name]
        return _close(_measured(one, before.get(unit), kind), _measured(other, after.get(unit), kind))
    if name in _UNIT_FIELDS:
        return _close(_measured(1.0, one, _UNIT_FIELDS[name]), _measured(1.0, other, _UNIT_FIELDS[name]))
    if name == "TracerRadionuclide":
        return nuclide(str(one)) == nuclide(str(other))
    first, second = number(one), number(other)
    return one == other or (first is not None and second is not None and _close(first, second))


def _measured(value: object, unit: object, kind: Dimension) -> float:
    """A number in the canonical unit; NaN where that can't be told."""
    found = number(value)
    try:
        return float("nan") if found is None else found * factor(str(unit), kind)
    except UnitError:
        return float("nan")


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= _TOLERANCE * max(abs(one), abs(other))
