"""Frame times in a table beside an image: written by hand, or a SIF of the Turku PET Centre."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlif_core.checks import Finding
from dlif_core.checks.metadata import UNIT_NOT_GIVEN
from dlif_core.errors import FrameTimingError
from dlif_core.ingest.columns import UnitColumns, spelling
from dlif_core.ingest.loose_tables import read_columns
from dlif_core.ingest.tables import TABLE_BYTES, is_given, number
from dlif_core.ingest.uris import read_text
from dlif_core.radionuclides import HALF_LIVES, nuclide

_START = ("start", "frame_start", "frametimesstart", "frame_times_start", "start_time", "begin")
_END = ("end", "frame_end", "end_time", "stop")
_DURATION = ("duration", "frame_duration", "frameduration", "length")
#: Rounding of times in tables [s].
_ROUNDING = 0.5
_CONTRADICTION = "Correct the times and their units, or take out the column that is wrong."
_ONE_SOURCE = "Keep the times of the frames in one file beside the image, or make both the same."
_HINT = (
    "Give each frame a row with start, and end or duration, with the unit of time in the header: start [s], end [s]."
)


def read_frame_table(uri: str, findings: list[Finding]) -> dict[str, Any]:
    """Read the frames of a scan as fields of PET-BIDS.

    Raises
    ------
    MissingInputError
        If the table is not there.
    InputError
        Of the kind that names the fault, if it can't be read or columns are missing.
    """
    if uri.lower().endswith(".sif"):
        return _of_sif(uri)
    columns = read_columns(uri)
    start, end, duration = (_values(columns, names, findings) for names in (_START, _END, _DURATION))
    if start is not None and end is not None:
        until_end = [last - first for first, last in zip(start, end, strict=True)]
        if duration is not None and not np.allclose(until_end, duration, rtol=0, atol=_ROUNDING, equal_nan=True):
            raise FrameTimingError("duration is not the time from start to end.", where=uri, hint=_CONTRADICTION)
        duration = until_end if duration is None else duration
    if duration is None:
        raise FrameTimingError("there are no columns of start, and end or duration.", where=uri, hint=_HINT)
    if start is None:
        start = np.concatenate([[0.0], np.cumsum(duration)[:-1]]).tolist()
    if not np.isfinite([*start, *duration]).all() or not duration:
        raise FrameTimingError("there are no frames, or one without times.", where=uri, hint=_HINT)
    return {"FrameTimesStart": list(start), "FrameDuration": list(duration)}


def require_one_timing(tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse sources of frame times that contradict each other, by the file that each is of.

    Raises
    ------
    FrameTimingError
        If two of them do.
    """
    for name in ("FrameTimesStart", "FrameDuration"):
        stated = [(uri, fields[name]) for uri, fields in tables.items() if is_given(fields.get(name))]
        for uri, values in stated[1:]:
            if not _alike(values, stated[0][1]):
                raise FrameTimingError(
                    f"{name} is another here than in {stated[0][0].rsplit('/', 1)[-1]}.", where=uri, hint=_ONE_SOURCE
                )


def _alike(some: object, others: object) -> bool:
    """Whether two lists of times are the same but for rounding."""
    if not isinstance(some, list) or not isinstance(others, list) or len(some) != len(others):
        return some == others
    times = [(number(one), number(other)) for one, other in zip(some, others, strict=True)]
    return all(one is not None and other is not None and abs(one - other) <= _ROUNDING for one, other in times)


def _values(columns: UnitColumns, names: tuple[str, ...], findings: list[Finding]) -> list[float] | None:
    label = next((label for label in columns.labels if spelling(columns.name(label)) in names), None)
    if label is None:
        return None
    where = columns.table.where
    if columns.unit(label, "time") is None:
        findings.append(UNIT_NOT_GIVEN.found(f"No unit of {names[0]} is stated; s is assumed.", where=where))
    return [float(value) for value in columns.values(label, "time", "s")]


def _of_sif(uri: str) -> dict[str, Any]:
    """Frames of a SIF: a line with date, time, numbers of frames and columns, then start and end of each frame [s]."""
    header, *lines = [line.split() for line in read_text(uri, TABLE_BYTES).splitlines() if line.strip()] or [[]]
    rows = [[number(cell) for cell in line[:2]] for line in lines]
    if len(header) < 4 or not rows or any(len(row) < 2 or None in row for row in rows):
        raise FrameTimingError(
            "this is no SIF: a header line, then start and end of each frame.", where=uri, hint="Correct the file."
        )
    if number(header[2]) != len(rows):
        raise FrameTimingError(
            f"the header announces another number of frames than the {len(rows)} that follow.",
            where=uri,
            hint="Correct the file.",
        )
    starts, ends = ([float(row[place] or 0.0) for row in rows] for place in (0, 1))
    fields: dict[str, Any] = {"FrameTimesStart": starts}
    fields["FrameDuration"] = [last - first for first, last in zip(starts, ends, strict=True)]
    isotope = nuclide(header[-1]) if len(header) > 5 else ""
    return fields | ({"TracerRadionuclide": isotope} if isotope in HALF_LIVES else {})
