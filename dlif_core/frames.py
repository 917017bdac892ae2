"""Frame timing of a dynamic scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import FrameOverlapError, FrameTimingError

Array = NDArray[np.float64]

# longest part of a frame before the injection that may show the tracer, because stated times are not exact [s]
_BEFORE_INJECTION = 60.0


@dataclass(frozen=True)
class FrameGap:
    """Time between two frames in which nothing was recorded.

    Attributes
    ----------
    after_frame
        Index of the frame before the gap.
    seconds
        Length of the gap [s].
    """

    after_frame: int
    seconds: float

    def __str__(self) -> str:
        return f"gap of {self.seconds:g} s after frame {self.after_frame + 1}"


@dataclass(frozen=True, eq=False)
class FrameTiming:
    """Start and duration of every frame, in seconds from the reference time (injection).

    Frames are in order and don't overlap; gaps are allowed and listed in `gaps`.
    Times that differ by less than 1 % of the shorter neighbour count as equal, because files round.

    Parameters
    ----------
    start, duration
        Arrays of shape (frames,) [s].
    where
        File the times came from, for error messages.

    Raises
    ------
    FrameTimingError
        If lengths differ, a value is not a finite number, a duration is not positive, or frames are not in order.
    FrameOverlapError
        If frames overlap; the hint says so when the durations look like frame end times.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> timing = dlif.FrameTiming(start=[0, 30, 60], duration=[30, 30, 60])
    >>> len(timing), timing.mid.tolist(), timing.gaps
    (3, [15.0, 45.0, 90.0], ())
    """

    start: Array
    duration: Array

    def __init__(self, start: ArrayLike, duration: ArrayLike, *, where: object = "") -> None:
        start, duration = _column(start, "start", where), _column(duration, "duration", where)
        _require_sound(start, duration, where)
        _require_no_overlap(start, duration, where)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "duration", duration)

    def __len__(self) -> int:
        return len(self.start)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrameTiming) or len(self) != len(other):
            return False
        return bool(np.allclose(self.start, other.start) and np.allclose(self.duration, other.duration))

    def first(self, number: int) -> FrameTiming:
        """Timing of the first `number` frames."""
        return FrameTiming(self.start[:number], self.duration[:number])

    @property
    def end(self) -> Array:
        """End of every frame [s], shape (frames,)."""
        return self.start + self.duration

    @property
    def mid(self) -> Array:
        """Middle of every frame [s], shape (frames,)."""
        return self.start + 0.5 * self.duration

    @property
    def begin(self) -> float:
        """Start of the first frame that is not over before the injection [s].

        Of a frame that began more than a minute before the injection, only that minute counts.
        """
        shown = self.start[self.end > 0.0]
        return max(float(shown[0]), -_BEFORE_INJECTION) if len(shown) else float(self.start[0])

    @property
    def gaps(self) -> tuple[FrameGap, ...]:
        """Gaps between frames, those within the rounding tolerance left out."""
        space = self.start[1:] - self.end[:-1]
        wide = np.flatnonzero(space > _tolerance(self.duration))
        return tuple(FrameGap(int(i), float(space[i])) for i in wide)

    def average(self, time: ArrayLike, values: ArrayLike) -> Array:
        """Exact average over each frame of a piecewise linear curve.

        The curve is zero before its first point and constant after its last.

        Parameters
        ----------
        time
            Shape (points,), increasing [s].
        values
            Shape (..., points).

        Returns
        -------
        Shape (..., frames), in the unit of `values`.
        """
        time, values = np.asarray(time, float), np.asarray(values, float)
        integral = integral_at(time, values, np.concatenate([self.start, self.end]))
        return (integral[..., len(self) :] - integral[..., : len(self)]) / self.duration


def integral_at(time: Array, values: Array, at: ArrayLike) -> Array:
    """Integral from its first point of a piecewise linear curve, at given times.

    Parameters
    ----------
    time
        Shape (points,), increasing.
    values
        Shape (..., points).
    at
        Shape (n,); before the first point the integral is zero, after the last the curve stays constant.

    Returns
    -------
    Shape (..., n), in unit of `values` times unit of `time`.
    """
    at = np.asarray(at, float)
    areas = 0.5 * (values[..., 1:] + values[..., :-1]) * np.diff(time)
    total = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(areas, axis=-1)], axis=-1)
    if len(time) == 1:
        return np.asarray(values[..., :1] * np.clip(at - time[0], 0.0, None))
    inside = np.clip(at, time[0], time[-1])
    left = np.clip(np.searchsorted(time, inside, side="right") - 1, 0, len(time) - 2)
    passed = inside - time[left]
    slope = (values[..., left + 1] - values[..., left]) / (time[left + 1] - time[left])
    beyond = np.clip(at - time[-1], 0.0, None) * values[..., -1:]
    return np.asarray(total[..., left] + values[..., left] * passed + 0.5 * slope * passed**2 + beyond)


def _column(values: ArrayLike, name: str, where: object) -> Array:
    try:
        column = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise FrameTimingError(
            f"the frame {name} times are not numbers.",
            where=where,
            hint="Give one number of seconds for each frame.",
        ) from None
    column.setflags(write=False)
    return column


def _require_sound(start: Array, duration: Array, where: object) -> None:
    if start.ndim != 1 or start.shape != duration.shape or len(start) == 0:
        raise FrameTimingError(
            f"there are {start.size} frame start times (shape {start.shape}) "
            f"for {duration.size} durations (shape {duration.shape}).",
            where=where,
            hint="FrameTimesStart and FrameDuration must have one number for each frame.",
        )
    if not (np.isfinite(start).all() and np.isfinite(duration).all()):
        raise FrameTimingError("a frame time is not a finite number.", where=where, hint="Correct the frame times.")
    if (duration <= 0).any():
        frame = int(np.argmax(duration <= 0))
        raise FrameTimingError(
            f"frame {frame + 1} has a duration of {duration[frame]:g} s.",
            where=where,
            hint="Every duration must be positive.",
        )
    if (np.diff(start) <= 0).any():
        frame = int(np.argmax(np.diff(start) <= 0)) + 1
        raise FrameTimingError(
            f"frame {frame + 1} starts at {start[frame]:g} s, not after frame {frame} ({start[frame - 1]:g} s).",
            where=where,
            hint="Sort the frames by time.",
        )


def _require_no_overlap(start: Array, duration: Array, where: object) -> None:
    overlap = start[:-1] + duration[:-1] - start[1:]
    worst = overlap > _tolerance(duration)
    if not worst.any():
        return
    frame = int(np.argmax(worst))
    raise FrameOverlapError(
        f"frame {frame + 1} ends {overlap[frame]:g} s after frame {frame + 2} starts.",
        where=where,
        hint=_overlap_hint(start, duration),
    )


def _overlap_hint(start: Sequence[float] | Array, duration: Array) -> str:
    if np.allclose(duration[:-1], start[1:]):
        return (
            "FrameDuration holds frame END times: each value equals the next frame's start. "
            "Write FrameDuration = end - start."
        )
    return "Correct FrameTimesStart or FrameDuration; frames must not overlap."


def _tolerance(duration: Array) -> Array:
    return np.asarray(np.maximum(0.01 * np.minimum(duration[:-1], duration[1:]), 1e-3))
