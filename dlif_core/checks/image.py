"""Frames of an image, or of region curves, against each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlif_core.checks.check import Check, Level, Part
from dlif_core.checks.facts import Array, ScanFacts

#: Share of its highest activity that a region holds beside a value that was lost.
_NOTABLE = 0.1
#: From this time after injection on [s], activity in the field of view no longer jumps from frame to frame.
_SETTLED = 180.0
#: Largest factor between a frame and what its neighbours let expect.
_JUMP = 2.5
#: From this time on [s], a jump between two frames without a pause (a share of a frame's length), from a level to
#: another, each steady to this factor, is a step. Of nuclides with a half-life below [s] a second injection may follow.
_STEADY, _PAUSE, _LITTLE, _SECOND_INJECTION = 300.0, 0.5, 1.7, 300.0
#: Values below zero as large as those above it, in a frame with neighbours that have none, were wrapped.
_WRAPPED = 0.8
_NOT_WRAPPED = 0.3
#: At any time, a frame between two that hold activity has no less than this share of both, and no frame has more than
#: this many times both of its neighbours: a bolus passes, but some of it stays.
_DIP = 1 / 30
_SPIKE = 100.0
#: Share of the highest level above which a frame holds activity; noise alone lies within as much of zero.
_PRESENT = 0.05
#: No activity is as high [Bq/mL]: all of a large dose in a drop.
_HIGHEST = 1e11
#: Noise reaches less than this many times the highest activity below zero.
_BELOW_ZERO = 10.0
#: Frames, at least, that have the highest value of the image in common, and their share.
_SAME_FRAMES, _SAME_SHARE = 3, 0.25
#: Mean of all voxels over its standard error, were they all noise.
_ABOVE_NOISE = 5.0


def levels(facts: ScanFacts) -> Array:
    """Mean activity of each frame, of the whole image or of all regions, shape (frames,) [Bq/mL]."""
    if facts.image is not None:
        return facts.image.mean
    return np.asarray(facts.regions.activity.mean(axis=0))


def empty_frames(facts: ScanFacts) -> list[int]:
    """Frames without any activity after frames with activity: they were not measured."""
    empty = _empty(facts)
    if empty.all():
        return []
    first = int(np.argmax(~empty))
    return [int(i) for i in np.flatnonzero(empty) if i > first]


def _empty(facts: ScanFacts) -> np.typing.NDArray[np.bool_]:
    if facts.image is not None:
        return np.asarray((facts.image.lowest == 0) & (facts.image.highest == 0))
    return np.asarray((facts.regions.activity == 0).all(axis=0))


def _no_activity(facts: ScanFacts) -> Iterator[str]:
    if not (levels(facts) > 0).any():
        yield "no frame has any activity."
    elif facts.image is not None:
        noise = np.sqrt(facts.image.mean_square / facts.image.voxels)
        if (facts.image.lowest < 0).all() and (facts.image.mean < _ABOVE_NOISE * noise).all():
            yield "no frame has activity above its noise: values are as often below zero as above."


def _jumps(facts: ScanFacts) -> Iterator[str]:
    level = levels(facts)
    for negative in np.flatnonzero(level < -_PRESENT * level.max()):
        yield f"the mean of frame {negative + 1} is below zero, {level[negative]:.3g} Bq/mL."
    factors = dict(_spikes_and_dips(level)) | dict(_settled_jumps(facts))
    for frame, factor in sorted(factors.items()):
        yield _jump(facts, frame, factor)
    yield from _lost_values(facts)


def _lost_values(facts: ScanFacts) -> Iterator[str]:
    """Regions that are exactly zero in a later frame and hold activity beside it."""
    for name, curve in zip(facts.regions.names, facts.regions.activity, strict=True):
        notable = curve > _NOTABLE * curve.max()
        for frame in np.flatnonzero((curve == 0) & (facts.timing.start >= _SETTLED)):
            beside = [near for near in (frame - 1, frame + 1) if 0 <= near < len(curve)]
            if notable[beside].all():
                yield f"region {name!r} is zero in frame {frame + 1}, but holds activity beside it."


def _spikes_and_dips(level: Array) -> Iterator[tuple[int, float]]:
    """Frames that can't lie between their neighbours at any time, and their factors."""
    for frame in np.flatnonzero(level[:-1] > -_PRESENT * level.max()):
        beside = level[[near for near in (frame - 1, frame + 1) if near >= 0]]
        dips = len(beside) == 2 and beside.min() > _PRESENT * level.max() and level[frame] < _DIP * beside.min()
        if dips or level[frame] > _SPIKE * beside.max() > 0:
            yield int(frame), float(level[frame] / beside.mean())


def _settled_jumps(facts: ScanFacts) -> Iterator[tuple[int, float]]:
    """Later frames with another activity than their neighbours let expect, and the factors."""
    level, mid = levels(facts), facts.timing.mid
    settled = np.flatnonzero((facts.timing.start >= _SETTLED) & (level > 0))
    for position in range(1, len(settled)):
        frame, before = settled[position], settled[position - 1]
        expected = level[before]
        if position + 1 < len(settled):
            after = settled[position + 1]
            share = (mid[frame] - mid[before]) / (mid[after] - mid[before])
            expected = level[before] ** (1 - share) * level[after] ** share
            if not 1 / _JUMP < level[after] / level[before] < _JUMP:
                continue
        factor = level[frame] / expected
        if not 1 / _JUMP < factor < _JUMP:
            yield int(frame), float(factor)


def _jump(facts: ScanFacts, frame: int, factor: float) -> str:
    return (
        f"frame {frame + 1} ({facts.timing.start[frame]:g} to {facts.timing.end[frame]:g} s) has {factor:.2g} times "
        "the activity that its neighbours let expect."
    )


def _steps(facts: ScanFacts) -> Iterator[str]:
    """Levels that jump between frames without a pause and stay there, against what the frames before let expect."""
    level, timing = levels(facts), facts.timing
    if facts.acquisition.half_life < _SECOND_INJECTION:
        return
    for i in range(2, len(level) - 1):
        around = level[i - 2 : i + 2]
        has_pause = timing.start[i] - timing.end[i - 1] > _PAUSE * timing.duration[i]
        if timing.start[i] < _STEADY or has_pause or not (around > 0).all():
            continue
        change, before, after = around[2] / around[1], around[1] / around[0], around[3] / around[2]
        if not 1 / _JUMP < change < _JUMP and all(1 / _LITTLE < each < _LITTLE for each in (before, after)):
            yield (
                f"the frames from {i + 1} ({timing.start[i]:g} s) on have {change:.2g} times the activity of those "
                "before."
            )


def _changes(facts: ScanFacts) -> Iterator[str]:
    yield from _jumps(facts)
    yield from _steps(facts)


def _negative(facts: ScanFacts) -> Iterator[str]:
    if facts.image is None:
        return
    highest = np.where(facts.image.highest > 0, facts.image.highest, np.inf)
    share = -facts.image.lowest / highest
    for frame in np.flatnonzero(share > _WRAPPED):
        others = [share[near] for near in (frame - 1, frame + 1) if 0 <= near < len(share)]
        if others and max(others) < _NOT_WRAPPED:
            yield (
                f"frame {frame + 1} holds values down to {facts.image.lowest[frame]:.3g} Bq/mL, as far below zero as "
                f"the highest is above it ({facts.image.highest[frame]:.3g}); its neighbours have none such."
            )


def _out_of_range(facts: ScanFacts) -> Iterator[str]:
    lowest, highest = _extremes(facts)
    peak = float(highest.max())
    far = (peak > 0) & ((highest > _HIGHEST) | (lowest < -_BELOW_ZERO * peak))
    for frame in np.flatnonzero(far)[:1]:
        yield (
            f"frame {frame + 1} holds values from {lowest[frame]:.3g} to {highest[frame]:.3g} Bq/mL, where the highest "
            f"of the scan is {peak:.3g}."
        )


def _extremes(facts: ScanFacts) -> tuple[Array, Array]:
    """Lowest and highest value of each frame, of all voxels or regions, shape (frames,) [Bq/mL]."""
    if facts.image is not None:
        return facts.image.lowest, facts.image.highest
    return facts.regions.activity.min(axis=0), facts.regions.activity.max(axis=0)


def _same_highest(facts: ScanFacts) -> Iterator[str]:
    if facts.image is None:
        return
    top, frames = float(facts.image.highest.max()), len(facts.image.highest)
    same = int(np.isclose(facts.image.highest, top, rtol=1e-6, atol=0.0).sum())
    if top > 0 and same >= max(_SAME_FRAMES, _SAME_SHARE * frames):
        yield (
            f"{same} of {frames} frames have the same highest value, {top:g} Bq/mL: values were clipped, or the scale "
            "factors of the frames were lost."
        )


NOT_MEASURED = Check(
    "empty-frames",
    Level.REPAIRED,
    Part.SCAN,
    "A frame after frames with activity holds activity; one that is zero everywhere was not measured and is left out.",
    "Make sure that the scan was stopped early, or convert the image again.",
)

CHECKS = (
    NOT_MEASURED,
    Check(
        "no-activity",
        Level.REFUSED,
        Part.SCAN,
        "The image, or the regions, hold activity, and more than noise.",
        "Convert the image again; check its scale factors.",
        _no_activity,
        "image",
    ),
    Check(
        "activity-range",
        Level.REFUSED,
        Part.SCAN,
        "No activity is above 10¹¹ Bq/mL, or below zero by more than 10 times the highest of the scan.",
        "Convert the image, or extract the regions, again: numbers in it were damaged.",
        _out_of_range,
        "image",
    ),
    Check(
        "frame-jump",
        Level.DOUBTFUL,
        Part.SCAN,
        "From 3 min after injection, no frame has more than 2.5 times, or less than 1/2.5 of, the activity that its "
        "neighbours let expect, nor have all frames from one on; at any time, none has 100 times that of both, or less "
        "than 1/30 of both, or is negative.",
        "Check scale factors and decay correction of these frames, or whether two scans were joined; convert the image "
        "again.",
        _changes,
        "image",
    ),
    Check(
        "same-highest",
        Level.DOUBTFUL,
        Part.SCAN,
        "Fewer than three frames, or than a quarter of them, have the highest value of the image in common.",
        "Convert the image again, as floating point, with the scale factor of each frame.",
        _same_highest,
        "image",
    ),
    Check(
        "wrapped-values",
        Level.DOUBTFUL,
        Part.SCAN,
        "No frame has values as far below zero as above it where its neighbours have none.",
        "The numbers overflowed the integers they were stored in: convert the image again, as floating point.",
        _negative,
        "image",
    ),
)
