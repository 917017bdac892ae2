"""Region curves of PMOD: tables ``.tac`` with a column for each region, and ``.voistat`` with a row for each value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding
from dlif_core.checks.metadata import TIME_AXIS
from dlif_core.errors import CurveError, FrameTimingError, InputError, UnitError
from dlif_core.ingest.columns import UnitColumns, spelling
from dlif_core.ingest.described import DescribedTable
from dlif_core.ingest.loose_tables import bracket, read_columns
from dlif_core.shown import LONGEST_NAME
from dlif_core.units import factor, is_unit

Array = NDArray[np.float64]

_NAMES = ("voiname(region)", "voiname", "voi_name", "voi")
_VALUES = ("averaged", "average", "mean")
_TIMES = ("start", "end")
_EXPORT = "Export the curves again as .tac, with units of time and activity in the header."


@dataclass(frozen=True, eq=False)
class PmodCurves:
    """Region curves of one file.

    Attributes
    ----------
    start, end
        Frames [s].
    regions
        Activity by the name of the region, as the file has it.
    unit
        Unit of the activity as the file spells it; "" where it states none.
    source
        The file.
    """

    start: Array
    end: Array
    regions: dict[str, Array]
    unit: str
    source: str

    def fields(self) -> dict[str, Any]:
        """Fields of the sidecar that the file states."""
        fields = {"FrameTimesStart": self.start.tolist(), "FrameDuration": (self.end - self.start).tolist()}
        return fields | ({"Units": self.unit} if self.unit else {})

    def table(self) -> DescribedTable:
        """The curves as PET-BIDS writes them."""
        described = {name: {"Units": "s"} for name in ("frame_start", "frame_end")}
        columns = {"frame_start": self.start.tolist(), "frame_end": self.end.tolist()}
        regions = {name[:LONGEST_NAME]: values.tolist() for name, values in self.regions.items()}
        return DescribedTable(columns | regions, described | ({"Units": self.unit} if self.unit else {}), self.source)


def read_pmod_curves(uri: str, findings: list[Finding]) -> PmodCurves:
    """Read a table of region curves.

    Raises
    ------
    MissingInputError
        If it is not there.
    InputError
        Of the kind that names the fault, if it can't be read, or units are missing or contradict each other.
    """
    columns = read_columns(uri)
    return _of_rows(columns, uri, findings) if uri.lower().endswith(".voistat") else _of_columns(columns, uri)


def _of_columns(columns: UnitColumns, uri: str) -> PmodCurves:
    """Curves of a ``.tac``: the bracket at ``start`` holds the unit of time, that at ``end`` the unit of the curves."""
    labels = {spelling(columns.name(label)): label for label in columns.labels}
    if not set(_TIMES) <= labels.keys():
        raise FrameTimingError("there are no columns start[…] and end[…].", where=uri, hint=_EXPORT)
    at_start, at_end = (bracket(columns, labels[name]) for name in _TIMES)
    seconds = factor(at_start, "time", where=f"{uri}, column start")
    start, end = (columns.table.numbers(labels[name]) * seconds for name in _TIMES)
    if not (np.isfinite(start).all() and np.isfinite(end).all() and len(start)):
        raise FrameTimingError("there are no frames, or one without start or end.", where=uri, hint=_EXPORT)
    regions = [label for label in columns.labels if label not in (labels["start"], labels["end"])]
    units = {bracket(columns, label) for label in regions} - {""}
    if _is_activity(at_end):
        units.add(at_end)
    named = {columns.name(label): columns.table.numbers(label) for label in regions}
    return PmodCurves(start, end, named, _one_unit(units, uri), uri)


def _of_rows(columns: UnitColumns, uri: str, findings: list[Finding]) -> PmodCurves:
    """Curves of a ``.voistat``: a row for each region and frame, with the middle of the frame as its time."""
    name, time, value = (_require(columns, names, uri) for names in (_NAMES, ("time",), _VALUES))
    times = columns.table.numbers(time) * factor(bracket(columns, time), "time", where=f"{uri}, column time")
    values = columns.table.numbers(value)
    cells = columns.table.columns[name]
    rows: dict[str, list[int]] = {}
    for row, region in enumerate(cells):
        rows.setdefault(region, []).append(row)
    middles = [times[of_region] for of_region in rows.values()]
    if not middles or any(not np.array_equal(one, middles[0]) for one in middles):
        raise CurveError("the regions are not all at the same times.", where=uri, hint=_EXPORT)
    start, end = _frames_around(middles[0], uri)
    message = "The table holds the middle of each frame; the frames are taken to follow each other from time zero."
    findings.append(TIME_AXIS.found(message, where=uri))
    regions = {region: values[of_region] for region, of_region in rows.items()}
    return PmodCurves(start, end, regions, _one_unit({bracket(columns, value)} - {""}, uri), uri)


def _frames_around(middle: Array, uri: str) -> tuple[Array, Array]:
    """Frames without gaps from time zero that have these middles; there is one such schedule at most."""
    end = np.zeros(len(middle) + 1)
    for frame, time in enumerate(middle):
        end[frame + 1] = 2 * time - end[frame]
    if not (np.isfinite(end).all() and (np.diff(end) > 0).all()):
        raise FrameTimingError(
            "no frames that follow each other from time zero have these middles.",
            where=uri,
            hint="Export the curves as .tac, which holds start and end of each frame.",
        )
    return end[:-1], end[1:]


def _require(columns: UnitColumns, names: tuple[str, ...], uri: str) -> str:
    found = [label for label in columns.labels if spelling(columns.name(label)) in names]
    if len(found) != 1:
        raise InputError(f"there is no column {names[0]}, or several.", where=uri, hint=_EXPORT)
    return found[0]


def _is_activity(unit: str) -> bool:
    return is_unit(unit) and ("/" in unit or unit.lower().endswith("ml"))


def _one_unit(units: set[str], uri: str) -> str:
    if len({unit.lower() for unit in units}) > 1:
        raise UnitError("the curves are in several units.", where=uri, hint="Export them in one unit.")
    return min(units, default="")
