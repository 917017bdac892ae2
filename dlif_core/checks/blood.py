"""Blood against tissue, plasma against whole blood, and the shape of the samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks.check import Check, Level, Part
from dlif_core.checks.facts import Array, ScanFacts
from dlif_core.checks.samples import clock_faults, jump_fault
from dlif_core.frames import FrameTiming
from dlif_core.scan import WHOLE_IMAGE, RegionCurves

#: Mean activity of the median region over that of blood. Below, a region would hold less activity than the blood in
#: its vessels (1 % of its volume at the least); above, it would take up more than urine of FDG (50 times the blood).
TISSUE_TO_BLOOD = (0.005, 100.0)
#: Share of an image that the body fills at the least; the rest is air.
_LEAST_BODY = 0.1
#: Total plasma over whole blood. Haematocrit alone gives 0.5 to 2; beyond these limits no tracer is known.
PLASMA_TO_BLOOD = (0.2, 5.0)
#: Recordings of one scan over each other where they overlap. Cross-calibration differs by less.
_RECORDINGS = (0.4, 2.5)
#: Of a tracer with a shorter half-life [s] a second injection may follow.
_SECOND_INJECTION = 300.0
#: Blood and tissue begin within so many seconds of each other. Blood has begun at the second share of its peak, not yet
#: at the first; tissue has not begun at the third share of its highest, and has at the fourth.
_APART, _NO_BLOOD, _BLOOD, _NO_TISSUE, _TISSUE = 60.0, 0.02, 0.1, 0.01, 0.1
#: Samples below this share of the peak are background.
_SIGNAL = 0.01
#: A first sample later [s] with more than this share of the highest activity has missed the peak.
_LATEST_FIRST_SAMPLE = 120.0
_FIRST_SHARE = 0.5
#: Blood of so many samples that ends before this share of the scan was sampled in another unit of time than stated.
_SHORTEST_BLOOD = 0.1
_SAMPLES_IN_MINUTES = 5
#: Parent fractions fall from 1. Those that begin below and rise by as much, or whose later half is higher by as much,
#: are the metabolites' share.
_FIRST_PARENT = 0.5
_RISE = 0.15
#: A region's mean over that of the median region, and over that of the region whose mean is nearest.
_REGIONS_APART = 500.0
_NEAREST_REGION = 200.0
#: The median region's mean over the concentration where the image has activity: a brain beside a full bladder, and a
#: hot spot in a large image.
_REGIONS_TO_IMAGE = (0.005, 20.0)


def tissue_to_blood_fault(regions: RegionCurves, timing: FrameTiming, blood: Array) -> str:
    """Say why curves of tissue and blood can't both be in their units; "" if they can.

    Parameters
    ----------
    regions
        Region curves.
    timing
        Frames.
    blood
        Mean whole blood of each frame, shape (frames,) [Bq/mL]; NaN where it was not sampled.
    """
    known = np.isfinite(blood)
    weights = timing.duration * known
    if not known.any():
        return ""
    of_blood = float(np.average(np.where(known, blood, 0.0), weights=weights))
    of_regions = np.average(regions.activity, axis=1, weights=weights)
    present = of_regions[of_regions > 0]
    if of_blood <= 0 or not len(present):
        return ""
    ratio, (low, high) = float(np.median(present) / of_blood), TISSUE_TO_BLOOD
    low *= _LEAST_BODY if regions.names == (WHOLE_IMAGE,) else 1.0
    if low <= ratio <= high:
        return ""
    rounded = float(f"{ratio:.2g}")  # not in exponent form
    return f"the mean activity of the regions is {rounded:g} times that of blood; {low:g} to {high:g} is possible."


def start_fault(regions: RegionCurves, timing: FrameTiming, time: Array, blood: Array) -> str:
    """Say why curves of tissue and blood can't both be on their time axes; "" if they can.

    Parameters
    ----------
    regions
        Region curves.
    timing
        Frames.
    time, blood
        Whole blood, or plasma, shape (samples,) [s from injection] and [Bq/mL].
    """
    share = regions.activity / np.maximum(regions.activity.max(axis=1, keepdims=True), np.finfo(float).tiny)
    if len(timing) < 4 or timing.start[0] > _APART or not (blood > 0).any():
        return ""
    begun = int(np.argmax(blood >= _BLOOD * blood.max()))
    before = np.flatnonzero(blood[:begun] <= _NO_BLOOD * blood.max())
    early = timing.end <= (time[before[-1]] - _APART if len(before) else -np.inf)
    if (np.median(share, axis=0)[early] > _TISSUE).any():
        return (
            f"there is no activity in blood up to {time[before[-1]]:g} s, but regions hold {_TISSUE:.0%} and more of "
            "their highest activity a minute before."
        )
    silent = (share <= _NO_TISSUE).all(axis=0) & (timing.end >= time[begun] + _APART)
    if len(regions.names) > 1 and silent[: int(np.argmax((share > _TISSUE).any(axis=0)))].any():
        return (
            f"blood has activity from {time[begun]:g} s on, but no region up to {timing.end[silent].max():g} s from "
            "injection."
        )
    return ""


def _start(facts: ScanFacts) -> Iterator[str]:
    recordings = list(_arterial(facts.blood))
    for column in ("whole_blood", "plasma"):
        time, value = _joined(recordings, column)
        if len(time):
            if fault := start_fault(facts.regions, facts.timing, time, value):
                yield fault
            return


def _tissue_to_blood(facts: ScanFacts) -> Iterator[str]:
    for recording in _arterial(facts.blood):
        time, value = _samples(recording, "whole_blood", "plasma")
        fault = tissue_to_blood_fault(facts.regions, facts.timing, _at_frames(time, value, facts.timing))
        if fault:
            yield f"{recording.name}: {fault}"


def _at_frames(time: Array, value: Array, timing: FrameTiming) -> Array:
    """Activity at the middle of each frame, shape (frames,); NaN outside of the samples."""
    if not len(time):
        return np.full(len(timing), np.nan)
    return np.interp(timing.mid, time, value, left=np.nan, right=np.nan)


def _plasma_to_blood(facts: ScanFacts) -> Iterator[str]:
    recordings = list(_arterial(facts.blood))
    whole_blood, plasma = (_joined(recordings, column) for column in ("whole_blood", "plasma"))
    if not len(whole_blood[0]) or not len(plasma[0]):
        return
    beside = np.interp(plasma[0], *whole_blood, left=np.nan, right=np.nan)
    signal = (plasma[1] > _SIGNAL * plasma[1].max()) & (beside > _SIGNAL * whole_blood[1].max())
    if not signal.any():
        return
    ratio, (low, high) = float(np.median(plasma[1][signal] / beside[signal])), PLASMA_TO_BLOOD
    if not low <= ratio <= high:
        yield f"plasma is {ratio:.2g} times whole blood (median); {low:g} to {high:g} is possible."


def _recordings(facts: ScanFacts) -> Iterator[str]:
    for first, second in combinations(_arterial(facts.blood), 2):
        for column in ("whole_blood", "plasma"):
            (time, value), known = _samples(first, column), _samples(second, column)
            if not len(known[0]):
                continue
            beside = np.interp(time, *known, left=np.nan, right=np.nan)
            both = (value > 0) & (beside > 0)
            if both.sum() < 2:
                continue
            ratio, (low, high) = float(np.median(value[both] / beside[both])), _RECORDINGS
            if not low <= ratio <= high:
                yield (
                    f"{column.replace('_', ' ')} of {first.name} is {ratio:.3g} times {second.name} at the same times "
                    f"(median of {both.sum()} samples); {low:g} to {high:g} is possible."
                )


def _jump(facts: ScanFacts) -> Iterator[str]:
    if facts.acquisition.half_life < _SECOND_INJECTION:
        return
    for column in ("whole_blood", "plasma"):
        time, value = _joined(list(_arterial(facts.blood)), column)
        fault = jump_fault(column.replace("_", " "), time, value)
        if fault:
            yield fault


def _sample_times(facts: ScanFacts) -> Iterator[str]:
    for recording in _arterial(facts.blood):
        yield from clock_faults(recording, facts.timing)


def _first_sample(facts: ScanFacts) -> Iterator[str]:
    time, value = _joined(list(_arterial(facts.blood)), "whole_blood")
    if not len(time):
        time, value = _joined(list(_arterial(facts.blood)), "plasma")
    if len(time) and time[0] > _LATEST_FIRST_SAMPLE and value[0] > _FIRST_SHARE * value.max() > 0:
        yield (
            f"the first arterial sample is at {time[0]:g} s and already has {value[0] / value.max():.0%} of the "
            "highest activity: the peak was not sampled."
        )


def _last_sample(facts: ScanFacts) -> Iterator[str]:
    time = np.concatenate([[], *(each.time[np.isfinite(each.time)] for each in _arterial(facts.blood))])
    end = float(facts.timing.end[-1])
    if len(time) >= _SAMPLES_IN_MINUTES and 0 < time.max() < _SHORTEST_BLOOD * end:
        yield (
            f"arterial blood was sampled to {time.max():g} s only; the scan ends at {end:g} s. If these are minutes, "
            f"the last sample is at {60 * time.max():g} s."
        )


def _parent_fraction(facts: ScanFacts) -> Iterator[str]:
    for recording in _arterial(facts.blood):
        _, value = _samples(recording, "parent_fraction")
        value = value[value > 0]  # a lost sample is written as zero in some tables
        if len(value) < 2:
            continue
        value = value / (100.0 if value.max() > 1.5 else 1.0)
        half = len(value) // 2
        rises = half >= 2 and np.median(value[-half:]) > np.median(value[:half]) + _RISE
        if rises or (value[0] < _FIRST_PARENT and value[-1] > value[0] + _RISE):
            yield (
                f"{recording.name}: parent fractions begin at {value[0]:.2f} and rise to {value[-1]:.2f}; parent "
                "fractions fall from 1. They look like the metabolites' share, 1 − parent fraction."
            )


def _regions_apart(facts: ScanFacts) -> Iterator[str]:
    mean = np.average(facts.regions.activity, axis=1, weights=facts.timing.duration)
    present = mean > 0
    if present.sum() < 2:
        return
    ratio = mean[present] / np.median(mean[present])
    far = (np.abs(np.log(ratio)) > np.log(_REGIONS_APART)) | (_to_nearest(ratio) > _NEAREST_REGION)
    if far.any():
        names = [name for name, there in zip(facts.regions.names, present, strict=True) if there]
        apart = ", ".join(f"{names[i]} ({ratio[i]:.2g} times)" for i in np.flatnonzero(far)[:5])
        yield f"regions are far from the median of all: {apart}."


def _to_nearest(values: Array) -> Array:
    """Factor from each value to the nearest of the others, shape (values,)."""
    apart = np.abs(np.log(values)[:, None] - np.log(values))
    np.fill_diagonal(apart, np.inf)
    return np.asarray(np.exp(apart.min(axis=1)))


def _regions_to_image(facts: ScanFacts) -> Iterator[str]:
    if facts.image is None:
        return
    mean = np.average(facts.regions.activity, axis=1, weights=facts.timing.duration)
    of_image = float(np.average(facts.image.typical, weights=facts.timing.duration))
    if not (mean > 0).any() or of_image <= 0:
        return
    ratio, (low, high) = float(np.median(mean[mean > 0])) / of_image, _REGIONS_TO_IMAGE
    if not low <= ratio <= high:
        yield (
            f"the mean activity of the median region is {ratio:.2g} times that of the image, where it has activity; "
            f"{low:g} to {high:g} is possible."
        )


def _arterial(recordings: Sequence[BloodRecording]) -> Iterator[BloodRecording]:
    return (each for each in recordings if each.arterial and not each.refused)


def _samples(recording: BloodRecording, *columns: str) -> tuple[Array, Array]:
    """Times and values of the first of some columns that has values, in order of time."""
    for column in columns:
        values = getattr(recording, column)
        if values is None:
            continue
        measured = np.isfinite(values) & np.isfinite(recording.time)
        if measured.any():
            order = np.argsort(recording.time[measured], kind="stable")
            return recording.time[measured][order], values[measured][order]
    return np.empty(0), np.empty(0)


def _joined(recordings: Sequence[BloodRecording], column: str) -> tuple[Array, Array]:
    """Samples of a column of all recordings in order of time."""
    found = [_samples(recording, column) for recording in recordings]
    time = np.concatenate([[], *(time for time, _ in found)])
    value = np.concatenate([[], *(value for _, value in found)])
    order = np.argsort(time, kind="stable")
    return time[order], value[order]


_CHECK_UNITS = "One of them is in another unit than stated: check kBq/mL against Bq/mL."

TISSUE_TO_BLOOD_CHECK = Check(
    "tissue-to-blood",
    Level.DOUBTFUL,
    Part.BLOOD,
    "The mean activity of the median region is 0.005 to 100 times that of arterial blood.",
    _CHECK_UNITS,
    _tissue_to_blood,
    "blood",
)

START_CHECK = Check(
    "blood-start",
    Level.DOUBTFUL,
    Part.BLOOD,
    "Activity begins in blood and in the regions within a minute of each other.",
    "Count times of blood and frames from one time zero, by one clock; check InjectionStart.",
    _start,
    "blood",
)

CHECKS = (
    TISSUE_TO_BLOOD_CHECK,
    START_CHECK,
    Check(
        "plasma-to-blood",
        Level.DOUBTFUL,
        Part.BLOOD,
        "Total plasma is 0.2 to 5 times whole blood.",
        _CHECK_UNITS,
        _plasma_to_blood,
        "blood",
    ),
    Check(
        "blood-recordings",
        Level.DOUBTFUL,
        Part.BLOOD,
        "Recordings of a scan are 0.4 to 2.5 times each other where they overlap.",
        "One of them is in another unit than stated, or on another time axis, or was not calibrated.",
        _recordings,
        "blood",
    ),
    Check(
        "sample-times",
        Level.DOUBTFUL,
        Part.BLOOD,
        "Arterial samples begin before the scan ends, hold no activity before the injection, and are at least 0.1 s "
        "apart.",
        "Give the times of samples in seconds from TimeZero, in the clock of the scan.",
        _sample_times,
        "blood",
    ),
    Check(
        "blood-jump",
        Level.DOUBTFUL,
        Part.BLOOD,
        "From 3 min after injection, blood neither rises nor falls by a factor of 30 from one sample to the next; "
        "before, no sample has 30 times what those right before and after it have.",
        "Check the unit, the dilution and the decay correction of the samples from there on.",
        _jump,
        "blood",
    ),
    Check(
        "first-blood-sample",
        Level.DOUBTFUL,
        Part.BLOOD,
        "Blood is sampled from the injection: a first sample after 2 min is below half of the highest.",
        "Add the samples of the peak, or use an input function that needs none.",
        _first_sample,
        "blood",
    ),
    Check(
        "last-blood-sample",
        Level.DOUBTFUL,
        Part.BLOOD,
        "Arterial blood is sampled to a tenth of the scan at least.",
        "Give the times of the samples in the unit that is stated: seconds, not minutes. Or add the later samples.",
        _last_sample,
        "blood",
    ),
    Check(
        "parent-fraction",
        Level.REFUSED,
        Part.BLOOD,
        "Parent fractions fall from 1 with time.",
        "Write the share of unchanged tracer, 1 minus that of the metabolites.",
        _parent_fraction,
        "blood",
    ),
    Check(
        "regions-apart",
        Level.DOUBTFUL,
        Part.SCAN,
        "Each region's mean activity is within 500 times of the median of all, and 200 times of another region's.",
        "Check the unit of each column of the table of region curves.",
        _regions_apart,
        "regions",
    ),
    Check(
        "regions-to-image",
        Level.DOUBTFUL,
        Part.SCAN,
        "The mean activity of the median region is 0.005 to 20 times that of the image, where it has activity.",
        "The table of region curves, or the image, is in another unit than stated: check kBq/mL, Bq/mL and SUV.",
        _regions_to_image,
        "regions",
    ),
)
