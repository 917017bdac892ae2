"""Merge of the recordings of one scan into one arterial series for each quantity.

Where an autosampler ran, its samples are taken: it resolves the peak, manual sampling doesn't. Manual samples give what
lies outside the autosampler's time span, above all the tail. Where both overlap, the manual samples serve as a check of
the autosampler's calibration, which is recorded and never applied in silence. Venous samples never enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.blood_samples.dispersion import corrected_for_dispersion
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.blood_samples.repair import repair
from dlif_core.blood_samples.series import Series
from dlif_core.errors import BloodError, MissingInputError

Array = NDArray[np.float64]

#: Autosampler and manual samples that disagree by more than this give a warning.
MAX_CALIBRATION_DIFFERENCE = 0.1


@dataclass(frozen=True, eq=False)
class ArterialBlood:
    """Arterial samples of one scan, merged; at least one of whole blood and plasma is there where activity is needed.

    Attributes
    ----------
    whole_blood, plasma
        Activity [Bq/mL], or None where not measured; `plasma` is total plasma.
    parent_fraction
        Unchanged tracer in plasma as a fraction, 0 to 1, or None where not measured.
    source
        Files the samples came from.
    provenance
        Samples by recording and the autosampler's calibration check.
    warnings
        What was repaired, left out or found doubtful.
    """

    whole_blood: Series | None
    plasma: Series | None
    parent_fraction: Series | None
    source: str
    provenance: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def merge(recordings: Sequence[BloodRecording], *, needs_activity: bool = True) -> ArterialBlood:
    """Repair all arterial recordings of a scan and merge them.

    Parameters
    ----------
    recordings
        All recordings of the scan, venous ones included.
    needs_activity
        False for parent fractions alone.

    Raises
    ------
    MissingInputError
        If the scan has no arterial recording.
    BloodError
        If a recording was refused or can't be repaired, or none holds activity.
    """
    arterial = [recording for recording in recordings if recording.arterial]
    _require_arterial(arterial, recordings)
    _require_sound(arterial)
    repaired = [repair(recording) for recording in arterial]
    merged = [corrected_for_dispersion(recording) for recording, _ in repaired]
    warnings = tuple(warning for _, found in repaired for warning in found)
    series = {column: _merged(merged, column) for column in ("whole_blood", "plasma", "parent_fraction")}
    source = ", ".join(recording.source or recording.name for recording in merged)
    if needs_activity:
        _require_activity(series["whole_blood"], series["plasma"], source)
    calibration, doubt = _calibration(merged)
    provenance = {
        "samples": {column: values.origin for column, values in series.items() if values is not None},
        "venous recordings left out": [recording.name for recording in recordings if not recording.arterial],
        **_dispersion(arterial),
        **calibration,
    }
    return ArterialBlood(**series, source=source, provenance=provenance, warnings=warnings + doubt)


def _dispersion(recordings: list[BloodRecording]) -> dict[str, Any]:
    constants = {recording.name: recording.dispersion for recording in recordings if recording.dispersion}
    return {"corrected for dispersion [s]": constants} if constants else {}


def _merged(recordings: list[BloodRecording], column: str) -> Series | None:
    automatic = _union([recording for recording in recordings if recording.is_automatic], column)
    manual = _union([recording for recording in recordings if not recording.is_automatic], column)
    if automatic is None or manual is None:
        return automatic or manual
    outside = (manual.time < automatic.time[0]) | (manual.time > automatic.time[-1])
    time = np.concatenate([automatic.time, manual.time[outside]])
    order = np.argsort(time)
    value = np.concatenate([automatic.value, manual.value[outside]])
    recording = np.concatenate([automatic.recording, manual.recording[outside]])
    return Series(time[order], value[order], recording[order])


def _union(recordings: list[BloodRecording], column: str) -> Series | None:
    """Samples of recordings of the same kind in order of time, those at the same time averaged."""
    parts = [_measured(recording, column) for recording in recordings]
    time = np.concatenate([[], *(time for time, _, _ in parts)])
    if not len(time):
        return None
    value = np.concatenate([value for _, value, _ in parts])
    names = np.concatenate([names for _, _, names in parts])
    time, first, inverse = np.unique(time, return_index=True, return_inverse=True)
    return Series(time, np.bincount(inverse, value) / np.bincount(inverse), names[first])


def _measured(recording: BloodRecording, column: str) -> tuple[Array, Array, NDArray[np.str_]]:
    """Times, values and recording name of the samples that have a value."""
    values = getattr(recording, column)
    measured = np.isfinite(values) if values is not None else np.zeros(len(recording.time), bool)
    value = values[measured] if values is not None else np.empty(0)
    return recording.time[measured], value, np.full(int(measured.sum()), recording.name)


def _calibration(recordings: list[BloodRecording]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Ratios of recordings that overlap in time: of manual samples to the autosampler, and of two of the same kind."""
    kinds = [[each for each in recordings if each.is_automatic is automatic] for automatic in (True, False)]
    found, doubts = _compared(kinds[0], kinds[1], "manual", "autosampler")
    for kind in kinds:
        for first, second in combinations(kind, 2):
            pair = _compared([first], [second], second.name, first.name)
            found, doubts = found | pair[0], doubts + pair[1]
    return found, doubts


def _compared(
    reference: list[BloodRecording], others: list[BloodRecording], name: str, of: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Median ratio of samples to those of a reference at the same times, of whole blood or else of plasma."""
    for column in ("whole_blood", "plasma"):
        known, samples = _union(reference, column), _union(others, column)
        if known is None or samples is None:
            continue
        within = (samples.time >= known.time[0]) & (samples.time <= known.time[-1]) & (samples.value > 0)
        reading = np.interp(samples.time[within], known.time, known.value)
        if not (reading > 0).any():
            continue
        ratio = float(np.median(samples.value[within][reading > 0] / reading[reading > 0]))
        compared = int((reading > 0).sum())
        found = {f"{name} to {of}": round(ratio, 4), f"{name} samples compared": compared}
        if abs(ratio - 1) <= MAX_CALIBRATION_DIFFERENCE:
            return found, ()
        return found, (
            f"{name} {column.replace('_', '-')} samples are {ratio:.2f} times the {of}'s at the same times "
            f"(median of {compared}); check the cross-calibration.",
        )
    return {}, ()


_NOTHING = "no blood was recorded: there is no *_recording-<name>_blood.tsv beside the scan's *_pet.json."


def _require_arterial(arterial: list[BloodRecording], recordings: Sequence[BloodRecording]) -> None:
    if arterial:
        return
    names = ", ".join(recording.name for recording in recordings)
    raise MissingInputError(
        f"only venous blood was recorded ({names})." if recordings else _NOTHING,
        where=", ".join(recording.source for recording in recordings),
        hint="Add the arterial samples, or let the study use an image-derived or population input function.",
    )


def _require_sound(arterial: list[BloodRecording]) -> None:
    refused = next((recording for recording in arterial if recording.refused), None)
    if refused is not None:
        raise BloodError(refused.refused)


def _require_activity(whole_blood: Series | None, plasma: Series | None, source: str) -> None:
    if whole_blood is None and plasma is None:
        raise BloodError(
            "the arterial recordings hold neither whole-blood nor plasma activity.",
            where=source,
            hint="Name the columns whole_blood_radioactivity or plasma_radioactivity and fill them.",
        )
    for name, series in (("whole blood", whole_blood), ("plasma", plasma)):
        if series is not None and series.value.max() <= 0:
            raise BloodError(
                f"{name} holds no activity.", where=source, hint="Write n/a, or leave out the column, if not measured."
            )
