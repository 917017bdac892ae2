"""Blood of PMOD (``.bld``, ``.crv``): a table for each of whole blood, plasma, parent fraction and ratio of the two.

What a table holds is told by the name of its column, else by that of the file. Tables with the same times become one
recording; a ratio of plasma to whole blood becomes plasma, times whole blood at its times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding
from dlif_core.checks.metadata import BLOOD_FIELDS
from dlif_core.errors import BloodError
from dlif_core.ingest.columns import UnitColumns, spelling
from dlif_core.ingest.described import DescribedTable
from dlif_core.ingest.loose_tables import bracket, read_columns
from dlif_core.units import factor

Array = NDArray[np.float64]

WHOLE_BLOOD, PLASMA, PARENT = "whole_blood_radioactivity", "plasma_radioactivity", "metabolite_parent_fraction"
_RATIO = "ratio"
#: What a name says, in the order in which they are looked for.
_KINDS = (
    (_RATIO, re.compile(r"ratio|plasma.*(to|over|/).*blood")),
    (PARENT, re.compile(r"parent.*fraction|unchanged|authentic|intact")),
    (WHOLE_BLOOD, re.compile(r"whole.*blood|blood|(^|_)wb($|_)")),
    (PLASMA, re.compile(r"plasma|parent")),
)
_FRACTIONS = ("", "1/1", "1", "%", "percent", "unitless")
_HINT = "Name the column whole-blood, plasma or parent-fraction, with its unit in square brackets."


@dataclass(frozen=True, eq=False)
class _Curve:
    """One curve: its times [s] and values, in the unit that its file states."""

    kind: str
    time: Array
    values: Array
    unit: str
    source: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_pmod_blood(uris: Sequence[str], findings: list[Finding]) -> dict[str, DescribedTable]:
    """Read the blood of a scan as recordings by name.

    Raises
    ------
    MissingInputError
        If a file is not there.
    InputError
        Of the kind that names the fault, if one can't be read, its kind can't be told, or two files hold the same.
    """
    curves = [curve for uri in uris for curve in _read(uri)]
    whole = next((curve for curve in curves if curve.kind == WHOLE_BLOOD), None)
    curves = [_plasma(curve, whole, findings) if curve.kind == _RATIO else curve for curve in curves]
    for kind in (WHOLE_BLOOD, PLASMA, PARENT):
        sources = [curve.source for curve in curves if curve.kind == kind]
        if len(sources) > 1:
            raise BloodError(
                f"{' and '.join(sources)} hold the same, {kind}.", where=sources[0], hint="Keep one of them."
            )
    return _recordings(curves)


def _read(uri: str) -> list[_Curve]:
    columns = read_columns(uri)
    time, *values = [label for label in columns.labels if columns.name(label)]
    if not values:
        raise BloodError("there is no column beside the times.", where=uri, hint=_HINT)
    if not re.search("time", columns.name(time).lower()):
        raise BloodError("the first column is not called time.", where=uri, hint=_HINT)
    seconds = columns.table.numbers(time) * _time_unit(columns, time, uri)
    return [_curve(columns, label, seconds, uri, len(values)) for label in values]


def _time_unit(columns: UnitColumns, label: str, uri: str) -> float:
    return factor(bracket(columns, label), "time", where=f"{uri}, column {columns.name(label)[:40]}")


def _curve(columns: UnitColumns, label: str, seconds: Array, uri: str, count: int) -> _Curve:
    name, unit = spelling(columns.name(label)), bracket(columns, label)
    kind = _kind(name) or (_kind(spelling(uri.rsplit("/", 1)[-1])) if count == 1 else "")
    if not kind:
        raise BloodError("what its column holds can't be told by its name.", where=uri, hint=_HINT)
    is_fraction = unit.lower() in _FRACTIONS
    if (kind == PARENT and not is_fraction) or (kind in (WHOLE_BLOOD, PLASMA) and is_fraction):
        raise BloodError("the unit of its column is not one of what it holds by its name.", where=uri, hint=_HINT)
    values = columns.table.numbers(label)
    keep = np.isfinite(values)
    corrected = {"MetaboliteCorrectionApplied": True} if kind == PLASMA and "parent" in name else {}
    unit = "percent" if unit in ("%", "percent") else "1" if kind in (PARENT, _RATIO) else unit
    return _Curve(kind, seconds[keep], values[keep], unit, uri, corrected)


def _kind(name: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), "")


def _plasma(ratio: _Curve, whole: _Curve | None, findings: list[Finding]) -> _Curve:
    if whole is None or len(whole.time) < 1:
        raise BloodError(
            "there is a ratio of plasma to whole blood, but no whole blood.", where=ratio.source, hint=_HINT
        )
    order = np.argsort(whole.time)
    inside = (ratio.time >= whole.time.min()) & (ratio.time <= whole.time.max())
    times = ratio.time[inside]
    scale = 0.01 if ratio.unit == "percent" else 1.0
    values = scale * ratio.values[inside] * np.interp(times, whole.time[order], whole.values[order])
    message = "Plasma is whole blood times the ratio of the two, at the times of the ratio."
    findings.append(BLOOD_FIELDS.found(message, where=ratio.source))
    return _Curve(PLASMA, times, values, whole.unit, ratio.source)


def _recordings(curves: Sequence[_Curve]) -> dict[str, DescribedTable]:
    """Tables of the curves with the same times: ``manual``, and another name for each further time axis."""
    groups: list[list[_Curve]] = []
    for curve in curves:
        alike = next((group for group in groups if np.array_equal(group[0].time, curve.time)), None)
        if alike is None:
            groups.append([curve])
        else:
            alike.append(curve)
    names = ["manual", *(f"manual{number}" for number in range(2, len(groups) + 1))]
    return {name: _table(group) for name, group in zip(names, groups, strict=False)}


def _table(curves: Sequence[_Curve]) -> DescribedTable:
    columns: dict[str, Sequence[object]] = {"time": curves[0].time.tolist()}
    fields: dict[str, Any] = {"time": {"Units": "s"}}
    for curve in curves:
        columns[curve.kind] = curve.values.tolist()
        fields |= {curve.kind: {"Units": curve.unit}, **curve.fields}
    return DescribedTable(columns, fields, curves[0].source)
