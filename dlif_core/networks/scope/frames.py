"""Frames that can't be right: empty, of one value, of another activity than their neighbours, or in another place.

Decay-corrected activity in the field of view rises with the bolus and then changes slowly, so that a frame lies between
those before and after it, by its total and by how the activity is divided among the tissues. How far frames of sound
scans lie beside that line is measured on sound scans; noise and motion are in it. A change of scale from one frame on
lies on no such line: it is found as a step between two frames that the changes before and after it don't explain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.features import arrival
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.scope.verdict import Verdict
from dlif_core.networks.scope.voxels import cleaned, offset, spot_shares, without_spots

Array = NDArray[np.float64]

# share of the fullest frame below which a frame of one value is empty
_EMPTY = 0.01
# a frame of one value, and an image of one curve: part of the activity that differs, and of the energy that is left
_SAME, _ONE_CURVE = 1e-3, 1e-3
_JOINED = 4  # voxels that become one where curves are compared
# share of the plateau that is added before logarithms of totals are taken, and the time after arrival it begins [s]
_FAINT, _MIXED = 0.05, 60.0
_PRESENT = 0.25  # share of the plateau from which a frame shows tissues
_RUN = 3  # most frames in a row that are compared with those around them
# share of sound scans within a limit, and factor on the limit
_WITHIN, _ROOM = 0.99, 1.3
# factor on the total from which no curve can be read
_REFUSED = 2.0
# change of the total from one frame to the next, beyond that before and after it, from which its scale is doubted, and
# from which no curve can be read; share of a frame that a spot may hold where the frame is judged
_STEP, _STEP_REFUSED, _SPOTTED = 1.35, 1.6, 0.05
# frames on either side with which a division among tissues is compared, what is added to their median, and the least
# volume of a tissue that counts [mm³]
_NEAR, _USUAL, _LEAST_VOLUME = 4, 0.05, 60.0
_NAMED = 4


class FrameDepartures(NamedTuple):
    """How far each frame of a scan lies from what its neighbours let expect.

    Attributes
    ----------
    timing
        Start and duration of the frames.
    total
        Logarithm of the total activity over the nearest that is expected, shape (frames,).
    tissues
        Distance of the division among tissues from those before and after, over the usual one of frames nearby, shape
        (frames,).
    step
        Logarithm of the change of the total to the next frame beyond the changes before and after it, shape
        (frames − 1,); zero while the bolus arrives.
    """

    timing: FrameTiming
    total: Array
    tissues: Array
    step: Array


def check_frames(scan: NetworkScan) -> Iterator[Verdict]:
    """Find frames of one value, which before the bolus may be zero, and an image that has one curve everywhere."""
    images = cleaned(scan).activity.flatten(1)
    low, high = images.min(dim=1).values, images.max(dim=1).values
    same = (high - low <= _SAME * torch.maximum(high.abs(), low.abs())).numpy(force=True)
    total = images.double().mean(dim=1).numpy(force=True)
    total = np.where(np.abs(total) > _EMPTY * np.abs(total).max(), total, 0.0)
    active = (total != 0.0) | (scan.timing.start > arrival(scan.timing, total))
    for frame in np.flatnonzero(same & active):
        what = "is empty" if total[frame] == 0.0 else "has the same value everywhere"
        reason = f"{_named(scan.timing, [int(frame)])} {what}: was it measured? Leave it out of the image."
        yield Verdict("out of scope", (reason,))
    if not same.all() and _beside_one_curve(scan) < _ONE_CURVE:
        yield Verdict("out of scope", ("all voxels have the same curve: is this the image of an animal?",))


def _beside_one_curve(scan: NetworkScan) -> float:
    """Part of the energy of the image that one curve for all voxels leaves."""
    size = [min(_JOINED, length) for length in scan.activity.shape[1:]]
    joined = functional.avg_pool3d(without_spots(scan.activity)[:, None], size).flatten(1).double()
    weighted = joined * torch.from_numpy(np.sqrt(scan.timing.duration)).to(joined)[:, None]
    values = torch.linalg.eigvalsh(weighted @ weighted.T)
    return float(1.0 - values[-1] / values.sum().clamp(min=1e-30))


def frame_departures(scan: NetworkScan, tissues: torch.Tensor, curves: Array) -> FrameDepartures:
    """Departures of the frames of a scan.

    Parameters
    ----------
    scan
        The scan on the networks' grid.
    tissues
        Segmentation of the networks, shape (tissues, z, y, x).
    curves
        Frame averages of all tissues, corrected for motion, shape (tissues, frames) [SUV].
    """
    timing = scan.timing
    total = cleaned(scan).activity.double().mean(dim=(1, 2, 3)).numpy(force=True)
    arrived = arrival(timing, total)
    volumes = tissues.sum(dim=(1, 2, 3)).double().numpy(force=True)
    weights = np.sqrt(volumes) * (volumes > _LEAST_VOLUME)
    plateau = _plateau(timing, total, arrived)
    first = 1 + int(np.argmax(total > _PRESENT * plateau))
    level = np.log(np.maximum(total, 0.0) + _FAINT * plateau)
    of_total = np.where(
        _beside_gap(timing) & (timing.start <= arrived + _MIXED), 0.0, _of_total(timing, level, arrived)
    )
    of_tissues = _of_tissues(weights * (curves - offset(without_spots(scan.activity), scan.seconds)).T, first)
    of_tissues[_beside_gap(timing) | _near(spot_shares(scan.activity) > _SPOTTED)] = 0.0
    return FrameDepartures(timing, of_total, of_tissues, _steps(timing, level, arrived))


def _beside_gap(timing: FrameTiming) -> NDArray[np.bool_]:
    """Frames beside a gap that is longer than they are: what changed in it is not known."""
    space = timing.start[1:] - timing.end[:-1]
    wide = space > np.minimum(timing.duration[1:], timing.duration[:-1])
    return np.asarray(np.append(wide, False) | np.append(False, wide), dtype=np.bool_)


def _near(faulty: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Faulty frames, and those that are compared with them."""
    return np.asarray(np.convolve(faulty, np.ones(3), mode="same") > 0.0)


def _steps(timing: FrameTiming, level: Array, arrived: float) -> Array:
    """Change to the next frame beyond what the changes before and after it let expect, over the logarithm of time."""
    mixed = timing.start > arrived + _MIXED
    since = np.log(np.maximum(timing.mid - arrived, 1.0))
    change, time = np.diff(level), np.maximum(np.diff(since), 1e-6)
    known = mixed[:-1] & ~(_beside_gap(timing)[:-1] & _beside_gap(timing)[1:])
    found = np.zeros(len(change))
    for step in np.flatnonzero(known):
        beside = [change[k] / time[k] for k in (step - 1, step + 1) if 0 <= k < len(change) and known[k]]
        low, high = (time[step] * limit for limit in (min([0.0, *beside]), max([0.0, *beside])))
        found[step] = change[step] - np.clip(change[step], low, high)
    return found


def _plateau(timing: FrameTiming, total: Array, arrived: float) -> float:
    mixed = total[timing.start > arrived + _MIXED]
    return max(float(np.median(mixed)) if len(mixed) else float(total.max()), 1e-9)


def _of_total(timing: FrameTiming, level: Array, arrived: float) -> Array:
    """Distance from the interval between frames before and after; once mixed, the largest for gaps of 1 to 3 frames."""
    found = np.zeros(len(level))
    for gap in range(1, 1 + _RUN):
        beside, inner = _beside(level[gap:-gap], level[: -2 * gap], level[2 * gap :]), found[gap:-gap]
        if gap > 1:  # while the bolus arrives, frames further apart differ
            beside *= timing.start[: -2 * gap] > arrived + _MIXED
        inner[:] = np.where(np.abs(beside) > np.abs(inner), beside, inner)
    if len(level) > 2:
        first, last = (float(_beside(*three)) for three in (level[:3], level[:-4:-1]))
        found[0] = max(0.0, first) if timing.start[0] < arrived + _MIXED else first
        found[-1] = last if timing.start[-1] > arrived + _MIXED else 0.0
    return found


def _beside(here: Array, one: Array, other: Array) -> Array:
    """Distance from the interval between two values; negative below it."""
    above, below = here - np.maximum(one, other), here - np.minimum(one, other)
    return np.where(above > 0.0, above, np.minimum(below, 0.0))


def _of_tissues(curves: Array, first: int) -> Array:
    """Distance of each frame from the line between its neighbours, from the first frame that counts on.

    Parameters
    ----------
    curves
        Weighted activity of the tissues, shape (frames, tissues).
    first
        First frame that counts; the one before it shows the bolus too.
    """
    parts = curves / np.maximum(np.linalg.norm(curves, axis=1, keepdims=True), 1e-9)
    beside = np.zeros(len(parts))
    for frame in range(first, len(parts) - 1):
        beside[frame] = _from_segment(parts[frame], parts[frame - 1], parts[frame + 1])
    inner = range(first, len(parts) - 1)
    usual = [np.median(beside[max(first, f - _NEAR) : min(len(parts) - 1, f + _NEAR + 1)]) for f in inner]
    beside[first:-1] /= np.array(usual) + _USUAL
    return beside


def _from_segment(point: Array, first: Array, last: Array) -> float:
    along = last - first
    share = np.clip((point - first) @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
    return float(np.linalg.norm(point - first - share * along))


@dataclass(frozen=True)
class FrameLimits:
    """Largest departures of the frames of sound scans.

    Attributes
    ----------
    total, tissues
        Limits on the size of the departures of the same name in `FrameDepartures`.
    """

    total: float
    tissues: float

    def distance(self, found: FrameDepartures) -> float:
        """Largest departure in units of its limit."""
        return max(_largest(found.total) / self.total, _largest(found.tissues) / self.tissues)

    def verdicts(self, found: FrameDepartures) -> Iterator[Verdict]:
        """Judge the frames; reasons name those that depart most."""
        yield from _of_steps(found)
        size = np.abs(found.total) / self.total
        for frame in np.flatnonzero(size > 1.0):
            factor = float(np.exp(found.total[frame]))
            far = not 1.0 / _REFUSED < factor < _REFUSED
            reason = (
                f"{_named(found.timing, [int(frame)])} has {factor:.2g} times the activity that the frames beside it "
                "let expect: are its scale and its place right?"
            )
            yield Verdict("out of scope" if far else "doubtful", (reason,), float(size[frame]))
        turned = found.tissues / self.tissues
        odd = np.flatnonzero((turned > 1.0) & (size <= 1.0))
        if len(odd):
            named = sorted(odd[np.argsort(-turned[odd])][:_NAMED].tolist())
            reason = f"{_named(found.timing, named)} shows other tissues than those beside it: is the order right?"
            yield Verdict("doubtful", (reason,), float(turned[odd].max()))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {"total": self.total, "tissues": self.tissues}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> FrameLimits:
        """Read what `to_dict` wrote."""
        return cls(float(kept["total"]), float(kept["tissues"]))


def _of_steps(found: FrameDepartures) -> Iterator[Verdict]:
    """Tell the largest change of scale from one frame on, where no single frame departs from those beside it."""
    alone = np.abs(found.total) > np.log(_STEP)
    step = np.where(alone[:-1] | alone[1:], 0.0, found.step)
    if not len(step) or np.abs(step).max() <= np.log(_STEP):
        return
    last = int(np.abs(step).argmax())
    timing, size = found.timing, float(np.abs(step[last]))
    reason = (
        f"from frame {last + 2} on ({timing.start[last + 1]:g} s) the image has {np.exp(step[last]):.2g} times the "
        f"activity that frame {last + 1} lets expect: does the scale change between the frames?"
    )
    far = size > np.log(_STEP_REFUSED)
    yield Verdict("out of scope" if far else "doubtful", (reason,), size / float(np.log(_STEP)))


def fit_frames(scans: Sequence[FrameDepartures]) -> FrameLimits:
    """Fit the limits to sound scans."""
    return FrameLimits(_limit([scan.total for scan in scans]), _limit([scan.tissues for scan in scans]))


def _limit(departures: Sequence[Array]) -> float:
    return _ROOM * float(np.quantile([_largest(values) for values in departures], _WITHIN))


def _largest(values: Array) -> float:
    return float(np.abs(values).max())


def _named(timing: FrameTiming, frames: Sequence[int]) -> str:
    """Numbers of frames, counted from one, and the time of a single one."""
    if len(frames) == 1:
        frame = frames[0]
        return f"frame {frame + 1} ({timing.start[frame]:g} to {timing.end[frame]:g} s)"
    return "each of the frames " + ", ".join(str(frame + 1) for frame in frames)
