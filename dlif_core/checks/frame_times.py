"""Frame times against the half-life, the blood, the start of the scan and the decay correction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlif_core.checks.check import Check, Level, Part
from dlif_core.checks.facts import Array, ScanFacts
from dlif_core.checks.image import levels
from dlif_core.checks.samples import outlasts

#: A dynamic scan that ends sooner after injection [s] tells nothing of kinetics, unless the nuclide itself is as short.
_SHORTEST = 150.0
_SHORTEST_HALF_LIVES = 0.25
#: After so many half-lives a millionth of the activity is left.
_LONGEST_HALF_LIVES = 20.0
#: No animal lies still in a scanner for longer [s].
_LONGEST = 12 * 3600.0
#: Rounding of clock times [s].
_CLOCK = 60.0
#: Frames that end so long before the injection [s] don't hold this share of the highest activity.
_BEFORE, _ACTIVE_BEFORE = 30.0, 0.2
#: The median frame is not followed by a pause of so many times its length.
_LONGEST_PAUSE = 20.0
#: Rounding and conventions of decay factors.
_DECAY_TOLERANCE = 0.05
#: An image that is acquired later after the start of its series [s] is no first frame.
_LATE_ACQUISITION = 300.0


def _too_short(facts: ScanFacts) -> Iterator[str]:
    end, half_life = float(facts.timing.end[-1]), facts.acquisition.half_life
    if len(facts.timing) > 1 and 0 < end < min(_SHORTEST, _SHORTEST_HALF_LIVES * half_life):
        shortest = float(facts.timing.duration.min())
        yield (
            f"the {len(facts.timing)} frames end {end:g} s after injection, the shortest lasts {shortest:g} s: a "
            f"scan is hardly that short. If these are minutes, it ends at {60 * end:g} s."
        )


def _too_long(facts: ScanFacts) -> Iterator[str]:
    length, half_life = float(facts.timing.end[-1] - facts.timing.start[0]), facts.acquisition.half_life
    last = float(facts.timing.start[-1])
    if length > _LONGEST or last > _LONGEST_HALF_LIVES * half_life:
        yield (
            f"the frames cover {length / 3600:.3g} h and the last begins {last / half_life:.3g} half-lives after "
            f"injection, when no activity is left. In milliseconds they would cover {length / 1000:.4g} s."
        )


def _before_scan(facts: ScanFacts) -> Iterator[str]:
    start, first = facts.timeline.scan_start, float(facts.timing.start[0])
    if start is not None and first < start - _CLOCK:
        yield (
            f"the first frame begins {start - first:g} s before the scan does (frame at {first:g} s, scan at "
            f"{start:g} s from injection)."
        )


def _before_injection(facts: ScanFacts) -> Iterator[str]:
    if facts.timing.end[-1] <= 0:
        yield f"the scan ends {-facts.timing.end[-1]:g} s before the injection."


def _active_before(facts: ScanFacts) -> Iterator[str]:
    level = levels(facts)
    share = level / level.max() if level.max() > 0 else 0.0 * level
    early = np.flatnonzero((facts.timing.end <= -_BEFORE) & (share > _ACTIVE_BEFORE))
    if len(early):
        first, last = facts.timing.start[early[0]], facts.timing.end[early[-1]]
        yield (
            f"frames from {first:g} to {last:g} s, before the injection, hold up to {share[early].max():.0%} of the "
            "highest activity."
        )


def _blood_outlasts(facts: ScanFacts) -> Iterator[str]:
    last = max((float(np.nanmax(each.time)) for each in facts.blood if len(each.time)), default=0.0)
    fault = outlasts(last, facts.timing)
    if fault:
        yield fault


def _decay_factors(facts: ScanFacts) -> Iterator[str]:
    stated = np.array(facts.timeline.decay_factors, dtype=float)
    if stated.shape != (len(facts.timing),) or not np.isfinite(facts.acquisition.half_life):
        return
    reference = facts.timeline.decay_reference
    others = [time for time in (0.0, facts.timeline.scan_start, float(facts.timing.start[0])) if time is not None]
    found = [time for time in (reference, *others) if time is not None and _within_frames(stated, facts, time)]
    if found and reference in (None, found[0]):
        return
    if found and reference is not None:
        times = 2.0 ** (abs(found[0] - reference) / facts.acquisition.half_life)
        yield (
            f"the factors correct to {found[0]:g} s from injection, not to {reference:g} s, as the time of decay "
            f"correction is given or assumed; between them lies a factor of {times:.3g}."
        )
    if found:
        return
    worst = int(np.argmax(np.abs(np.log(np.maximum(stated, 1e-9) / _decay(facts, facts.timing.mid)))))
    yield (
        f"frame {worst + 1} ({facts.timing.start[worst]:g} to {facts.timing.end[worst]:g} s from injection) was "
        f"corrected for decay by {stated[worst]:g}; its times give "
        f"{_decay(facts, facts.timing.start)[worst]:.3f} to {_decay(facts, facts.timing.end)[worst]:.3f}."
    )


def _decay_reference(facts: ScanFacts) -> Iterator[str]:
    reference, half_life = facts.timeline.decay_reference, facts.acquisition.half_life
    if reference is None:
        return
    zero, first, end = -_injection(facts), float(facts.timing.start[0]), float(facts.timing.end[-1])
    times = [time for time in (0.0, zero, first, end, facts.timeline.scan_start) if time is not None]
    away = max(min(times) - half_life - reference, reference - max(times) - _CLOCK)
    if away > 0:
        yield (
            f"the image is given as corrected for decay to {reference:g} s from injection, "
            f"{abs(reference) / half_life:.3g} half-lives; the scan lasts from {first:g} to {end:g} s."
        )
        return
    named = facts.timeline.decay_scheme
    nearest = min(named, key=lambda time: abs(time - reference), default=reference)
    if abs(nearest - reference) > half_life * np.log2(1 + _DECAY_TOLERANCE):
        yield (
            f"the image is given as corrected for decay to {reference:g} s from injection, but DecayCorrection names "
            f"{nearest:g} s; between them lies a factor of {2.0 ** (abs(nearest - reference) / half_life):.3g}."
        )


def _injection(facts: ScanFacts) -> float:
    """Time of injection on the axis of the files [s]; zero where it isn't stated."""
    return facts.acquisition.injection_start or 0.0


def _pauses(facts: ScanFacts) -> Iterator[str]:
    if len(facts.timing) < 4:
        return
    ratio = float(np.median(np.diff(facts.timing.start) / facts.timing.duration[:-1]))
    if ratio > _LONGEST_PAUSE:
        yield f"most frames last only 1/{ratio:.3g} of the time to the next one."


def _mid_times(facts: ScanFacts) -> Iterator[str]:
    """Starts that are the middles of frames without gaps: halves of durations apart, each as the frames have it."""
    start, duration = facts.timing.start + _injection(facts), facts.timing.duration
    if len(start) < 4 or np.ptp(duration) < 0.5 or not np.isclose(start[0], duration[0] / 2, rtol=0, atol=0.01):
        return
    middles = np.cumsum(duration) - duration / 2
    if np.allclose(start, middles, rtol=1e-3, atol=0.5):
        yield (
            f"the first frame begins at {start[0]:g} s, half of its duration of {duration[0]:g} s, and so on: these "
            "are the middles of the frames, not their starts."
        )


def _within_frames(stated: Array, facts: ScanFacts, reference: float) -> bool:
    """Whether each factor is that of a time within its frame."""
    low = _decay(facts, facts.timing.start - reference) * (1 - _DECAY_TOLERANCE)
    high = _decay(facts, facts.timing.end - reference) * (1 + _DECAY_TOLERANCE)
    return bool(((stated >= low) & (stated <= high)).all())


def _decay(facts: ScanFacts, time: Array) -> Array:
    return np.asarray(2.0 ** np.minimum(time / facts.acquisition.half_life, 1000.0))


def _late_acquisition(facts: ScanFacts) -> Iterator[str]:
    late, start = facts.timeline.acquired_after_series, facts.timeline.scan_start or 0.0
    first = float(facts.timing.start[0]) - start
    if late is not None and late > _LATE_ACQUISITION and first < late / 2:
        yield (
            f"the image was acquired {late:g} s after its series began, but its first frame is given {first:g} s after "
            "the start of the scan."
        )


CHECKS = (
    Check(
        "scan-too-short",
        Level.DOUBTFUL,
        Part.SCAN,
        "A dynamic scan lasts to 2.5 min after injection at least, or to a quarter of a half-life.",
        "Give FrameTimesStart and FrameDuration in seconds, not in minutes.",
        _too_short,
        "frames",
    ),
    Check(
        "scan-too-long",
        Level.DOUBTFUL,
        Part.SCAN,
        "Frames cover 12 h at most, and begin at most 20 half-lives after injection.",
        "Give FrameTimesStart and FrameDuration in seconds, not in milliseconds, and the half-life in seconds.",
        _too_long,
        "frames",
    ),
    Check(
        "frames-before-scan",
        Level.REFUSED,
        Part.SCAN,
        "No frame begins before the scan.",
        "Count frame times from time zero; or, if they count from the start of the scan, set ScanStart to 0 and "
        "InjectionStart to the time of injection, negative if it was before the scan.",
        _before_scan,
        "frames",
    ),
    Check(
        "scan-before-injection",
        Level.REFUSED,
        Part.SCAN,
        "The scan goes on after the injection.",
        "Correct the time of injection or the frame times; both count from time zero.",
        _before_injection,
        "frames",
    ),
    Check(
        "active-before-injection",
        Level.DOUBTFUL,
        Part.SCAN,
        "Frames that end half a minute before the injection hold less than a fifth of the highest activity.",
        "Correct InjectionStart, in seconds from TimeZero, or the frame times.",
        _active_before,
        "frames",
    ),
    Check(
        "blood-outlasts-scan",
        Level.DOUBTFUL,
        Part.SCAN,
        "Blood is sampled for at most 10 times the length of the scan.",
        "Give the times of frames and of blood samples in the units that are stated: seconds, not minutes.",
        _blood_outlasts,
        "frames",
    ),
    Check(
        "decay-factors",
        Level.DOUBTFUL,
        Part.SCAN,
        "The stated factors of decay correction are those of the frame times, to 5 %.",
        "Correct the frame times, or the decay correction, whichever is wrong.",
        _decay_factors,
        "frames",
    ),
    Check(
        "decay-reference",
        Level.DOUBTFUL,
        Part.SCAN,
        "The time to which the image is corrected for decay lies between a half-life before injection and the end of "
        "the scan, and is the one that DecayCorrection names, to 5 % of the activity.",
        "Give ImageDecayCorrectionTime in seconds from TimeZero, not as seconds since midnight or from another time; "
        "remove DecayCorrection if it is wrong.",
        _decay_reference,
        "decay",
    ),
    Check(
        "frame-durations",
        Level.DOUBTFUL,
        Part.SCAN,
        "The median frame lasts at least 1/20 of the time to the next one.",
        "Give FrameDuration in seconds, not in minutes.",
        _pauses,
        "frames",
    ),
    Check(
        "mid-times",
        Level.DOUBTFUL,
        Part.SCAN,
        "Frames start where they are said to, not half of their duration before.",
        "Give the starts of the frames in FrameTimesStart, not their middles.",
        _mid_times,
        "frames",
    ),
    Check(
        "acquisition-time",
        Level.DOUBTFUL,
        Part.SCAN,
        "An image that was acquired minutes after its series began has frames that begin as late.",
        "Count frame times from the injection, or from the start of the series with InjectionStart.",
        _late_acquisition,
        "frames",
    ),
)
