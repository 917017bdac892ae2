"""Clock times of samples of blood, with or without dates, as seconds from a clock time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import BloodError
from dlif_core.ingest.bids.fields import clock
from dlif_core.ingest.tables import is_given

_DAY, _HOUR = 86400.0, 3600.0


def seconds_of_clock(cells: Sequence[str], zero: float, where: str, latest: float = 12.0) -> NDArray[np.float64]:
    """Seconds of clock times from one of them, which may be before midnight; NaN for empty cells.

    Without dates, a time lies up to an hour before zero, or after it until the latest. Where the times are of several
    days by their dates, the first of them lies so.

    Parameters
    ----------
    cells
        Such as ``10:15:30`` or ``2024-05-06 10:15:30``.
    zero
        Seconds of the day from which to count.
    where
        The table, for messages.
    latest
        How long after zero a time without a date may lie [h], 23 at most.

    Raises
    ------
    BloodError
        If a cell holds no clock time, lies further from zero, or dates can't be read.
    """
    stated = [clock(cell.rsplit(" ", 1)[-1]) if is_given(cell) else None for cell in cells]
    for row, (cell, time) in enumerate(zip(cells, stated, strict=True), start=1):
        if time is None and is_given(cell):
            raise BloodError(f"data row {row} holds no clock time.", where=where, hint="Write hh:mm:ss.")
    days = _days(cells, where)
    times = np.array([np.nan if time is None else time for time in stated]) + _DAY * days - zero
    several = len(np.unique(days[np.isfinite(times)])) > 1
    first = np.full_like(times, np.nanmin(times)) if several else times
    return _near(times + _in_one_day(first, latest * _HOUR) - first, where)


def _in_one_day(seconds: NDArray[np.float64], latest: float) -> NDArray[np.float64]:
    """Seconds less whole days, none later than the latest."""
    return np.asarray((seconds + _DAY - latest) % _DAY - _DAY + latest)


def _near(times: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    early = np.flatnonzero(times < -_HOUR)
    if len(early):
        raise BloodError(
            f"data row {early[0] + 1} lies {-times[early[0]] / _HOUR:.3g} h before the zero of the times, or many "
            "hours after it.",
            where=where,
            hint="Correct the time or `zero`, or write all times as seconds from zero.",
        )
    return times


def _days(cells: Sequence[str], where: str) -> NDArray[np.float64]:
    """Days of the cells, from the first of them; zeros where all have one date or none."""
    dates = [cell.rpartition(" ")[0].strip() for cell in cells]
    if len({day for day, cell in zip(dates, cells, strict=True) if is_given(cell)}) <= 1:
        return np.zeros(len(cells))
    try:
        found = [date.fromisoformat(day).toordinal() if day else None for day in dates]
        first = min(day for day, cell in zip(found, cells, strict=True) if day is not None and is_given(cell))
        return np.array(
            [0.0 if not is_given(cell) else _of(day, first) for day, cell in zip(found, cells, strict=True)]
        )
    except ValueError as fault:
        raise BloodError(
            "the samples have different dates, not all as yyyy-mm-dd.",
            where=where,
            hint="Write the dates as yyyy-mm-dd, or leave them out.",
        ) from fault


def _of(day: int | None, first: int) -> float:
    if day is None:
        raise ValueError("a date is missing")
    return float(day - first)
