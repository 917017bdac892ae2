"""Repair of one recording: what can be mended is mended and recorded, the rest is refused.

Every step takes a recording and gives a recording and the warnings of what it changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.errors import BloodError

Array = NDArray[np.float64]
Step = Callable[[BloodRecording], tuple[BloodRecording, tuple[str, ...]]]

_ACTIVITY = ("whole_blood", "plasma")
_COLUMNS = (*_ACTIVITY, "parent_fraction")

#: Largest share of samples that may be removed to bring the times in order; one sample always may.
MAX_DISORDERED = 0.1
#: Negative activity down to this share of the peak is counting noise and becomes zero.
MAX_NEGATIVE = 0.05
#: A sample of zero between two above this share of the peak was lost, not measured.
_FAR_ABOVE = 0.02
#: A first parent fraction above this was not zero before.
_HIGH_PARENT_FRACTION = 0.5
#: Parent fractions above 1 up to this value are measurement error and become 1.
MAX_PARENT_FRACTION = 1.05


def repair(recording: BloodRecording) -> tuple[BloodRecording, tuple[str, ...]]:
    """Bring one recording in order.

    Rows without any value and rows of zeros at the end are dropped; times are made strictly increasing by removing
    the smallest number of samples and averaging those that share a time; samples before injection and zeros that stand
    for lost samples are dropped; small negative activities become zero, parent fractions slightly above one become one.

    Parameters
    ----------
    recording
        Recording as it was read from the file.

    Returns
    -------
    The repaired recording with strictly increasing times, and one warning for each change.

    Raises
    ------
    BloodError
        If more than 10 % of the samples are out of order, an activity is below −5 % of the peak, a parent fraction is
        not one, a value is infinite, or nothing is left.
    """
    warnings: list[str] = []
    _require_no_infinity(recording)
    for step in _STEPS:
        recording, found = step(recording)
        file = recording.source.rsplit("/", 1)[-1] or recording.name
        warnings += [f"{file}: {warning}" for warning in found]
        _require_samples(recording)
    return recording, tuple(warnings)


def longest_ordered(time: ArrayLike) -> NDArray[np.intp]:
    """Indices of a longest subsequence of `time` that never decreases.

    Parameters
    ----------
    time
        Shape (samples,).

    Returns
    -------
    Increasing indices; all others are the fewest samples whose removal brings the times in order.
    """
    time = np.asarray(time, float)
    tails: list[float] = []  # smallest last time of an ordered subsequence of each length
    ends: list[int] = []
    previous: list[int] = []
    for index, value in enumerate(time):
        length = bisect_right(tails, value)
        previous.append(ends[length - 1] if length else -1)
        tails[length : length + 1] = [float(value)]
        ends[length : length + 1] = [index]
    chain = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chain.append(index)
        index = previous[index]
    return np.array(chain[::-1], dtype=np.intp)


def _without_empty_rows(recording: BloodRecording) -> tuple[BloodRecording, tuple[str, ...]]:
    timeless = ~np.isfinite(recording.time)
    values = _present(recording, _COLUMNS)
    empty = np.isnan(values).all(axis=0) if len(values) else np.ones(len(recording.time), bool)
    warnings = (f"{int(timeless.sum())} samples without a time are left out.",) if timeless.any() else ()
    return _rows(recording, ~timeless & ~empty), warnings


def _without_zero_tail(recording: BloodRecording) -> tuple[BloodRecording, tuple[str, ...]]:
    values = _present(recording, _ACTIVITY)
    if not len(values):
        return recording, ()
    filled = np.flatnonzero((np.nan_to_num(values) != 0).any(axis=0))
    keep = filled[-1] + 1 if len(filled) else 0
    dropped = len(recording.time) - keep
    if not dropped:
        return recording, ()
    return _rows(recording, np.arange(keep)), (f"{dropped} rows of zeros at the end are left out.",)


def _in_order(recording: BloodRecording) -> tuple[BloodRecording, tuple[str, ...]]:
    kept = longest_ordered(recording.time)
    removed = np.setdiff1d(np.arange(len(recording.time)), kept)
    if not len(removed):
        return recording, ()
    names = _listed(recording.time[removed])
    if len(removed) > max(1, int(MAX_DISORDERED * len(recording.time))):
        raise BloodError(
            f"{len(removed)} of {len(recording.time)} samples are out of order in time ({names}).",
            where=recording.source,
            hint="Correct the sample times in the file.",
        )
    return _rows(recording, kept), (f"samples out of order in time are left out: {names}.",)


def _without_double_times(recording: BloodRecording) -> tuple[BloodRecording, tuple[str, ...]]:
    time, inverse, count = np.unique(recording.time, return_inverse=True, return_counts=True)
    if len(time) == len(recording.time):
        return recording, ()

    def averaged(values: Array | None) -> Array | None:
        if values is None:
            return None
        measured = np.isfinite(values)
        total = np.bincount(inverse, np.where(measured, values, 0.0))
        number = np.bincount(inverse, measured.astype(float))
        return np.where(number > 0, total / np.maximum(number, 1), np.nan)

    columns = {column: averaged(getattr(recording, column)) for column in _COLUMNS}
    warning = f"samples at the same time are averaged: {_listed(time[count > 1])}."
    return replace(recording, time=time, **columns), (warning,)  # type: ignore[arg-type]


def _from_injection(recording: BloodRecording) -> tuple[BloodRecording, tuple[str, ...]]:
    before = recording.time < 0
    if not before.any():
        return recording, ()
    return _rows(recording, ~before), (f"{int(before.sum())} samples from before the injection are left out.",)


def _without_lost_samples(recording: BloodRecording) -> tuple[BloodRecording, tuple[str, ...]]:
    """Leave out zeros, and the -1 of other programs, where activity or parent fraction can't have been zero."""
    warnings = []
    for column in _COLUMNS:
        values = getattr(recording, column)
        lost = np.empty(0, int) if values is None else _lost(values, column)
        if len(lost):
            written, where = f"{values[lost].min():g}", _listed(recording.time[lost])
            warnings.append(f"lost samples of {_words(column)}, written as {written}, are left out: {where}.")
            kept = values.copy()
            kept[lost] = np.nan
            recording = replace(recording, **{column: kept})
    return recording, tuple(warnings)


def _lost(values: Array, column: str) -> NDArray[np.intp]:
    """Samples of zero or little below, after the peak, between two that are far above.

    A table that writes zero for a lost parent fraction does so before and after the measured ones too.
    """
    positive = np.flatnonzero(values > 0)
    if not len(positive):
        return np.empty(0, int)
    peak = positive[values[positive].argmax()]
    low = np.flatnonzero((values <= 0) & ((values >= -MAX_NEGATIVE * values[peak]) | (values == -1)))
    place = np.searchsorted(positive, low)
    within = (place > 0) & (place < len(positive))
    before, after = positive[place[within] - 1], positive[place[within]]
    far = np.minimum(values[before], values[after]) > _FAR_ABOVE * values[peak]
    if column in _ACTIVITY:
        return np.asarray(low[within][far & (before >= peak)])
    begins_high = values[positive[0]] > _HIGH_PARENT_FRACTION
    return np.asarray(low if far.any() else low[(place == 0) & begins_high])


def _without_negatives(recording: BloodRecording) -> tuple[BloodRecording, tuple[str, ...]]:
    warnings = []
    for column in _ACTIVITY:
        values = getattr(recording, column)
        if values is None or not (values < 0).any():
            continue
        _require_small(recording, column, values)
        where = _listed(recording.time[values < 0])
        warnings.append(f"small negative values of {_words(column)} are set to zero: {where}.")
        recording = replace(recording, **{column: np.where(values < 0, 0.0, values)})  # type: ignore[arg-type]
    return recording, tuple(warnings)


def _require_small(recording: BloodRecording, column: str, values: Array) -> None:
    lowest, peak = float(np.nanmin(values)), float(np.nanmax(values))
    if lowest < -MAX_NEGATIVE * max(peak, 0.0):
        raise BloodError(
            f"{_words(column)} is negative, {lowest:g} Bq/mL at {recording.time[np.nanargmin(values)]:g} s; "
            f"down to −{MAX_NEGATIVE:.0%} of the peak it would pass for noise (peak {peak:g} Bq/mL).",
            where=recording.source,
            hint="Check the background correction, or remove the sample.",
        )


def _with_sound_fractions(recording: BloodRecording) -> tuple[BloodRecording, tuple[str, ...]]:
    fraction = recording.parent_fraction
    if fraction is None or not np.isfinite(fraction).any():
        return recording, ()
    if np.nanmin(fraction) < 0 or np.nanmax(fraction) > MAX_PARENT_FRACTION:
        percent = np.nanmin(fraction) >= 0 and 1.5 < np.nanmax(fraction) <= 100 * MAX_PARENT_FRACTION
        raise BloodError(
            f"parent fractions run from {np.nanmin(fraction):g} to {np.nanmax(fraction):g}, not from 0 to 1.",
            where=recording.source,
            hint="They look like percent: divide them by 100, or state the unit '%'."
            if percent
            else "Correct the values.",
        )
    above = fraction > 1
    warnings = (f"parent fractions above 1 are set to 1: {_listed(recording.time[above])}.",) if above.any() else ()
    return replace(recording, parent_fraction=np.minimum(fraction, 1.0)), warnings


_STEPS: tuple[Step, ...] = (
    _without_empty_rows,
    _without_zero_tail,
    _in_order,
    _without_double_times,
    _from_injection,
    _without_lost_samples,
    _without_negatives,
    _with_sound_fractions,
)


def _present(recording: BloodRecording, columns: tuple[str, ...]) -> Array:
    """The columns that the recording has, shape (columns, samples)."""
    return np.array([values for column in columns if (values := getattr(recording, column)) is not None])


def _rows(recording: BloodRecording, keep: NDArray[np.bool_] | NDArray[np.intp]) -> BloodRecording:
    columns = {column: getattr(recording, column) for column in ("time", *_COLUMNS)}
    kept = {column: values[keep] for column, values in columns.items() if values is not None}
    return replace(recording, **kept)


def _require_no_infinity(recording: BloodRecording) -> None:
    for column in ("time", *_COLUMNS):
        values = getattr(recording, column)
        if values is not None and np.isinf(values).any():
            raise BloodError(
                f"{_words(column)} holds an infinite value.",
                where=recording.source,
                hint="Write n/a for a lost sample.",
            )


def _require_samples(recording: BloodRecording) -> None:
    if not len(recording.time):
        raise BloodError(
            f"the {recording.name} recording holds no usable sample.",
            where=recording.source,
            hint="Fill in the samples, or remove the file.",
        )


def _words(column: str) -> str:
    return column.replace("_", " ")


def _listed(times: Array) -> str:
    names = [f"{time:g} s" for time in times[:8]]
    return ", ".join(names) + (f" and {len(times) - 8} more" if len(times) > 8 else "")
