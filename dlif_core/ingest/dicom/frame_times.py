"""Start and duration of the frames of a series, and what else it says of their times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding
from dlif_core.checks.metadata import FRAME_REFERENCE, FRAME_STARTS
from dlif_core.ingest.dicom.frames import FramesOfPlanes
from dlif_core.ingest.dicom.planes import Plane

Array = NDArray[np.float64]

#: Rounding of clock times [s].
_CLOCK = 1.0
#: Overlap of frames [s] that is of no account, and digits of seconds that moments hold.
_UNSEEN, _DIGITS = 1e-3, 4


@dataclass(frozen=True, eq=False)
class TimesOfFrames:
    """Times of the frames of a series.

    Attributes
    ----------
    start, duration
        Shape (frames,), from the start of the first frame [s]; None where the files don't tell.
    zero
        Moment of the first frame; None where no clock time is stated.
    reference
        Times that the frames count as, from the start of the first frame [s]; none where one is missing.
    factors
        Factors of decay correction; none where one is missing.
    findings
        What is assumed or doubtful.
    """

    start: Array | None
    duration: Array | None
    zero: float | None
    reference: tuple[float, ...] = ()
    factors: tuple[float, ...] = ()
    findings: tuple[Finding, ...] = ()


def times_of_frames(frames: FramesOfPlanes, where: str) -> TimesOfFrames:
    """Times of the frames of a series.

    The start of a frame is that of its acquisition. Where all frames have the same, or none, it is worked out from the
    times that the frames count as, if the frames then follow each other without gaps.

    Parameters
    ----------
    frames
        The planes in order.
    where
        The series, for messages.
    """
    firsts = [planes[0] for planes in frames.planes]
    started, duration = _column(firsts, "began"), _column(firsts, "duration")
    reference, factors = _column(firsts, "reference"), _column(firsts, "decay_factor")
    zero = None if firsts[0].start is None else firsts[0].began
    stated = () if factors is None else tuple(factors.tolist())
    if started is not None and len(np.unique(started)) == len(started):
        start, rounding = _without_rounding(np.round(started - started[0], _DIGITS), duration, where)
        findings, offset = _agreement(start, duration, reference, where)
        counted = () if reference is None or offset is None else tuple((reference - offset).tolist())
        return TimesOfFrames(start, duration, zero, counted, stated, (*rounding, *findings))
    found = _from_references(reference, duration)
    if found is None:
        return TimesOfFrames(None, duration, zero, (), stated)
    message = (
        "The files give no start of acquisition for each frame; it is worked out from the times that the frames count "
        "as, so that they follow each other."
    )
    return TimesOfFrames(found, duration, zero, (), stated, (FRAME_STARTS.found(message, where=where),))


def _column(planes: Sequence[Plane], name: str) -> Array | None:
    values = [getattr(one, name) for one in planes]
    return None if None in values else np.array(values, dtype=float)


def _without_rounding(start: Array, duration: Array | None, where: str) -> tuple[Array, tuple[Finding, ...]]:
    """Starts of which none lies before the end of the frame before it by less than a clock shows."""
    if duration is None:
        return start, ()
    moved = start.copy()
    for frame in range(1, len(start)):
        end = moved[frame - 1] + duration[frame - 1]
        if 0 < end - moved[frame] <= _CLOCK:
            moved[frame] = end
    worst = float(np.max(moved - start))
    if worst <= _UNSEEN:
        return start, ()
    message = f"Clock times are rounded: frames overlap by up to {worst:.3g} s, and are taken to follow each other."
    return moved, (FRAME_STARTS.found(message, where=where),)


def _agreement(
    start: Array, duration: Array | None, reference: Array | None, where: str
) -> tuple[tuple[Finding, ...], float | None]:
    """Whether the times that frames count as lie within them, but for one offset of all; the offset, None for none."""
    if duration is None or reference is None:
        return (), None
    low, high = reference - (start + duration), reference - start
    if low.max() - _CLOCK <= high.min() + _CLOCK:
        return (), float(np.clip(0.0, low.max(), max(low.max(), high.min())))
    worst = int(np.argmax(np.abs(low - np.median(low))))
    message = (
        f"The start of acquisition and FrameReferenceTime contradict each other: frame {worst + 1} begins at "
        f"{start[worst]:g} s, lasts {duration[worst]:g} s and counts as {reference[worst]:g} s."
    )
    return (FRAME_REFERENCE.found(message, where=where),), None


def _from_references(reference: Array | None, duration: Array | None) -> Array | None:
    """Starts of frames that follow each other, if the references are their starts or their middles."""
    if reference is None or duration is None:
        return None
    for start in (reference - duration / 2, reference):
        if np.allclose(start[1:], (start + duration)[:-1], rtol=0, atol=_CLOCK):
            return np.asarray(start - start[0])
    return None
