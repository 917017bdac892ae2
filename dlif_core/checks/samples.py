"""Samples of blood against the injection, the scan and each other; of recordings and of other programs' curves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks.facts import Array
from dlif_core.frames import FrameTiming

#: Clocks of scan and blood differ by less [s].
_CLOCK = 30.0
#: Share of the highest activity that blood can't have had before the injection.
_BEFORE = 0.3
#: No sampler takes so many samples at so short intervals [s].
_MANY, _SHORTEST_INTERVAL = 10, 0.1
#: Blood is not sampled for so many times the length of a scan.
_LONGEST = 10.0
#: From this time after injection on [s], blood doesn't rise or fall by such a factor from sample to sample.
_MIXED, _JUMP = 180.0, 30.0
#: Before, no sample has so many times both of its neighbours, if these are as near [s].
_NEAR = 30.0
#: Blood doesn't go from more than this share of its peak to nothing.
_LOST = 0.02
#: Share of its peak that blood holds beside a sample in another unit.
_NOTABLE = 0.05


def clock_faults(recording: BloodRecording, timing: FrameTiming) -> Iterator[str]:
    """Say why the times of a recording, as it was read, can't be seconds from the injection of the scan."""
    time = recording.time[np.isfinite(recording.time)]
    if not len(time):
        return
    end = float(timing.end[-1])
    before = _held_before_injection(recording)
    if before > _BEFORE:
        yield (
            f"{recording.name}: samples from {-time.min():g} s to {_CLOCK:g} s before the injection hold {before:.0%} "
            "of the highest activity; there was none."
        )
    if time.min() >= end:
        yield f"{recording.name}: the first sample is at {time.min():g} s; the scan ends at {end:g} s."
    interval = float(np.median(np.diff(np.unique(time)))) if len(time) > _MANY else np.inf
    if interval < _SHORTEST_INTERVAL:
        yield (
            f"{recording.name}: {len(time)} samples are {interval:.2g} s apart (median), which no sampler does. In "
            f"minutes they would be {60 * interval:.2g} s apart."
        )


def _held_before_injection(recording: BloodRecording) -> float:
    """Highest activity before the injection over the highest of all, of whole blood or plasma."""
    shares = [0.0]
    for values in (recording.whole_blood, recording.plasma):
        known = np.isfinite(recording.time) & np.isfinite(values) if values is not None else np.zeros(0, bool)
        if values is not None and known.any() and values[known].max() > 0:
            early = values[known & (recording.time < -_CLOCK)]
            shares.append(float(early.max(initial=0.0) / values[known].max()))
    return max(shares)


def outlasts(last: float, timing: FrameTiming) -> str:
    """Say why the last sample [s] can't belong to the scan; "" if it can."""
    end = float(timing.end[-1])
    if len(timing) < 2 or end <= 0 or last <= _LONGEST * end:
        return ""
    return f"blood was sampled to {last:g} s, {last / end:.3g} times as long as the scan, which ends at {end:g} s."


def jump_fault(name: str, time: Array, value: Array) -> str:
    """Say where a curve of blood can't go on as it does; "" if it can.

    Parameters
    ----------
    name
        What is measured.
    time, value
        Shape (samples,), in order of time [s] [Bq/mL].
    """
    present = value > 0
    ends = _end_in_zeros(name, time, value)
    time, value = time[present], value[present]
    for i in range(1, len(value)):
        find = _late_jump if time[i - 1] >= _MIXED else _spike
        fault = find(name, time, value, i)
        if fault:
            return fault
    return ends


def _end_in_zeros(name: str, time: Array, value: Array) -> str:
    """Say where blood is nothing from one sample on, after it held a notable share of its peak."""
    present = np.flatnonzero(value > 0)
    if not len(present) or present[-1] == len(value) - 1 or value[present[-1]] <= _LOST * value.max():
        return ""
    last = int(present[-1])
    return (
        f"from {time[last]:g} s to {time[last + 1]:g} s {name} falls from {value[last]:g} to 0 Bq/mL and stays there."
    )


def _late_jump(name: str, time: Array, value: Array, i: int) -> str:
    settled = int(np.searchsorted(time, _MIXED))
    before, after = (float(np.median(part)) for part in (value[max(i - 3, settled) : i], value[i : i + 3]))
    if value[i] > _JUMP * max(before, value[i - 1]):
        return _jumped(name, time[i - 1 : i + 1], "rises", value[i] / value[i - 1])
    if before > _JUMP * after and value[i - 1] > _JUMP * value[i]:
        return _jumped(name, time[i - 1 : i + 1], "falls", value[i - 1] / value[i])
    beside = min(value[i - 1], value[min(i + 1, len(value) - 1)])
    if beside > max(_JUMP * value[i], _NOTABLE * value.max()):
        share = value[i] / beside
        return f"at {time[i]:g} s {name} is {share:.2g} times what the samples before and after it hold."
    return ""


def _jumped(name: str, time: Array, how: str, times: float) -> str:
    return f"from {time[0]:g} s to {time[1]:g} s {name} {how} by a factor of {times:.3g}; blood is mixed by then."


def _spike(name: str, time: Array, value: Array, i: int) -> str:
    if i + 1 == len(value) or time[i + 1] - time[i - 1] > 2 * _NEAR:
        return ""
    times = value[i] / max(value[i - 1], value[i + 1])
    if times <= _JUMP:
        return ""
    return f"at {time[i]:g} s {name} is {times:.3g} times what the samples before and after it hold."
