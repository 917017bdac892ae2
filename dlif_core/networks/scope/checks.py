"""Checks of a scan that need no network: species, tracer, units, voxels, field of view and frames.

Limits are the ranges of the population that networks are trained on, with some room, for each species.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.features import arrival
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.subject import MOUSE, Subject
from dlif_core.networks.scope.features import dose_share, missed_arrival
from dlif_core.networks.scope.frames import check_frames
from dlif_core.networks.scope.orientation import body_mask
from dlif_core.networks.scope.verdict import Verdict, worst
from dlif_core.networks.scope.voxels import check_voxels, cleaned
from dlif_core.radionuclides import HALF_LIFE_TOLERANCE, HALF_LIVES, nuclide
from dlif_core.scan import Acquisition, DynamicScan, is_fdg, voxel_size
from dlif_core.shown import shortened

Array = NDArray[np.float64]

# (lowest, highest) that are usual, and that are possible at all
_Range = tuple[float, float]
_Limits = tuple[_Range, _Range]
_END: _Limits = ((880.0, 5400.0), (600.0, np.inf))  # of the scan [s]


@dataclass(frozen=True)
class _Known:
    """What the networks of a species know.

    Attributes
    ----------
    weight
        Body weight [kg].
    voxel
        Edge length of the scanner's voxels [mm].
    long, across
        Field of view along the body and across it [mm].
    share
        Share of the injected activity in the image.
    usual_share
        The usual share.
    weights, voxels
        The usual weights and voxels in words.
    longest
        Whether the body in the image is longest from head to tail.
    """

    weight: _Limits
    voxel: _Limits
    long: _Limits
    across: _Limits
    share: _Limits
    usual_share: float
    weights: str
    voxels: str
    longest: bool


_KNOWN: Mapping[str, _Known] = {
    "mouse": _Known(
        weight=((0.016, 0.040), (0.008, 0.080)),
        voxel=((0.3, 1.1), (0.1, 1.5)),
        long=((42.0, 110.0), (36.0, 160.0)),
        across=((21.0, 80.0), (18.0, 160.0)),
        share=((0.1, 2.5), (0.03, 6.0)),
        usual_share=0.8,
        weights="18 to 35 g",
        voxels="0.3 to 1.1 mm",
        longest=True,
    ),
    # a chest alone holds a quarter of the activity, and is wider than long
    "human": _Known(
        weight=((43.0, 115.0), (35.0, 160.0)),
        voxel=((1.3, 5.0), (0.8, 7.0)),
        long=((185.0, 400.0), (160.0, 1200.0)),
        across=((250.0, 720.0), (200.0, 900.0)),
        share=((0.05, 1.3), (0.015, 4.0)),
        usual_share=0.25,
        weights="45 to 110 kg",
        voxels="1.6 to 4.1 mm",
        longest=False,
    ),
}

_EARLY, _EARLY_FRAMES, _FEWEST_FRAMES = 180.0, 10, 6
_LONGEST_GAP, _LATEST_START = 10.0, 10.0  # [s]
_LONG_GAP = 0.3  # share of the time since the scan began
# span after the arrival in which the bolus passes, and length of a frame in which it may pass whole [s]
_FIRST_PASS, _LONG = 15.0, 25.0
# the total before a frame in which it rises, as a share of the median of so many frames from there on
_RISE, _RISEN = 0.25, 5
_ALONG = 0.9  # least cosine between an axis of the image and the axis of the body it should run along


def precheck(scan: DynamicScan, subject: Subject = MOUSE) -> Verdict:
    """Check metadata, voxels and frames of a scan for a model of a subject, before anything is computed."""
    verdicts = [*_acquisition(scan.acquisition, subject), *_schedule(scan.timing)]
    if scan.activity is None or scan.affine is None:
        verdicts.append(_out("the scan has no image with known voxel size, which the learned input function needs."))
    else:
        verdicts += _voxels(voxel_size(scan.affine), scan.activity.shape[1:], subject)
        verdicts += _axes(np.asarray(scan.affine, float)[:3, :3])
    return worst(*verdicts)


def check_image(scan: NetworkScan) -> Verdict:
    """Check that the image has about the injected activity, bolus, every frame and the body along z."""
    activity = scan.activity
    if not bool(torch.isfinite(activity).all()):
        return _out("the image holds values that are not finite.")
    clean, known = cleaned(scan), _KNOWN[scan.subject.species]
    total = clean.activity.double().mean(dim=(1, 2, 3)).numpy(force=True)
    if total.max() <= 0.0:
        return _out("the image is empty.")
    share, arrived = dose_share(clean), arrival(scan.timing, total)
    verdicts = [Verdict(), *_limits(share, known.share, _wrong_unit(share / known.usual_share, scan.subject))]
    verdicts += _longest(clean.activity.mean(dim=0)) if known.longest else []
    verdicts += [*check_voxels(scan), *check_frames(scan), *_first_pass(scan.timing, total, arrived)]
    if missed_arrival(scan.timing, arrived):
        verdicts.append(
            _doubtful("activity is there from the first frame on: the scan starts after the bolus arrived.")
        )
    return worst(*verdicts)


def _first_pass(timing: FrameTiming, total: Array, arrived: float) -> Iterator[Verdict]:
    """Doubt frames so long that the bolus came and went within one of them: their mean is far below the peak."""
    if missed_arrival(timing, arrived):
        return
    passed = (timing.end > arrived) & (timing.start < arrived + _FIRST_PASS)
    longest = int(np.argmax(timing.duration * passed))
    before, after = total[: longest + 1], total[longest:]
    rises = before[max(longest - 1, 0)] < _RISE * np.median(after[:_RISEN])
    if passed[longest] and timing.duration[longest] >= _LONG and rises:
        yield _doubtful(
            f"frame {longest + 1} ({timing.start[longest]:g} to {timing.end[longest]:g} s) is too long for the first "
            "pass of the bolus: a peak that comes and goes within it is read too low."
        )


def _longest(image: torch.Tensor) -> Iterator[Verdict]:
    """Check that the body is longest along z."""
    places = torch.argwhere(body_mask(image)).double().std(dim=0).tolist()
    if max(places) > places[0]:
        along = "zyx"[int(np.argmax(places))]
        yield _out(
            f"the body is longer along {along} than along z (tail to head): are the axes in order, and is the heart in "
            "view?"
        )


def _wrong_unit(factor: float, subject: Subject) -> str:
    return (
        f"the image is {factor:.2g} times as active as an FDG {subject.species} should be: are the units Bq/mL, and "
        "are injected activity and body weight right?"
    )


def _acquisition(acquisition: Acquisition, subject: Subject) -> Iterator[Verdict]:
    if not acquisition.species:
        yield _doubtful(f"the species is not stated; the model knows {subject.plural} only.")
    elif acquisition.species != subject.species:
        yield _out(f"the species is {acquisition.species!r}; the model knows {subject.plural} only.")
    if not acquisition.tracer:
        yield _doubtful("the tracer is not stated: whether the blood is that of FDG can't be checked.")
    yield from _half_life(acquisition)
    if not acquisition.decay_corrected:
        yield _out("the image is not decay-corrected.")
    if acquisition.suv_factor is None:
        yield _out("injected activity or body weight is unknown, so that the image has no SUV.")
    if acquisition.body_weight:
        known, weight = _KNOWN[subject.species], acquisition.body_weight
        stated = f"{weight:.3g} kg" if weight >= 1.0 else f"{1000.0 * weight:.3g} g"
        words = f"the body weight is {stated}; the model knows {subject.plural} of {known.weights}."
        yield from _limits(weight, known.weight, words)


def _half_life(acquisition: Acquisition) -> Iterator[Verdict]:
    """Check that the half-life is that of the nuclide in the tracer's name, of fluorine-18 where FDG names none."""
    tracer, found = acquisition.tracer, acquisition.half_life
    named = nuclide(tracer) or ("F18" if is_fdg(tracer) else "")
    known = HALF_LIVES.get(named)
    if known is not None and abs(found / known - 1.0) > HALF_LIFE_TOLERANCE:
        name = "FDG" if is_fdg(tracer) else shortened(tracer)
        yield _out(f"the half-life is {found:.0f} s, that of {named} {known:.0f} s: is the tracer {name}?")


def _schedule(timing: FrameTiming) -> Iterator[Verdict]:
    begin, end = float(timing.start[0]), float(timing.end[-1])
    if begin > _LATEST_START:
        yield _doubtful(f"the first frame starts {begin:.0f} s after the injection; the model needs to see the bolus.")
    early = int(((timing.start < _EARLY) & (timing.end > 0.0)).sum())
    if early < _EARLY_FRAMES:
        words = f"{early} frames start in the first 3 min; the model needs {_EARLY_FRAMES} to see the bolus."
        yield _out(words) if early < _FEWEST_FRAMES else _doubtful(words)
    yield from _limits(end, _END, _end_in_words(end))
    if (gap := long_gap(timing)) is not None:
        yield _doubtful(
            f"nothing was recorded from {gap[0]:g} to {gap[1]:g} s; the model knows no scans that lack so much of "
            "their course."
        )
    after = [gap.after_frame for gap in timing.gaps if timing.start[gap.after_frame] < _EARLY]
    longest = max((float(timing.start[k + 1] - max(timing.end[k], 0.0)) for k in after), default=0.0)
    if longest > _LONGEST_GAP:
        yield _doubtful(f"nothing was recorded for {longest:.0f} s while the bolus passed.")


def long_gap(timing: FrameTiming) -> tuple[float, float] | None:
    """Begin and end of a gap after the first minutes that is long for its time [s], or None."""
    for gap in timing.gaps:
        begin, end = float(timing.end[gap.after_frame]), float(timing.start[gap.after_frame + 1])
        if begin >= _EARLY and end - begin > _LONG_GAP * (end - timing.begin):
            return begin, end
    return None


def _end_in_words(end: float) -> str:
    (first, last), _ = _END
    return f"the scan lasts {end / 60:.3g} min; the model takes scans of {first / 60:.0f} to {last / 60:.0f} min."


def _voxels(size: Array, shape: tuple[int, ...], subject: Subject) -> Iterator[Verdict]:
    known = _KNOWN[subject.species]
    for axis, edge, count in zip("zyx", size, shape, strict=True):
        words = f"voxels are {edge:.3g} mm along {axis}; the model knows {known.voxels}."
        yield from _limits(edge, known.voxel, words)
        length = edge * count
        limits = known.long if axis == "z" else known.across
        wanted = f"{limits[0][0]:g} mm along {axis}" + (" (tail to head)" if axis == "z" else "")
        words = f"the field of view is {length:.3g} mm along {axis}, the model needs {wanted}: are the axes in order?"
        largest = limits[0][1]
        if length > largest:
            words = (
                f"the field of view is {length:.3g} mm along {axis}, the model knows up to {largest:.0f} mm: crop the "
                f"image to one {subject.species}."
            )
        yield from _limits(length, limits, words)


def _axes(directions: Array) -> Iterator[Verdict]:
    """Check that axis i of the affine runs along axis i of the body; its direction can't be checked."""
    cosines = np.abs(directions) / np.linalg.norm(directions, axis=0)
    for index, axis in enumerate("xyz"):
        if cosines[index, index] < _ALONG:
            along = "xyz"[int(np.argmax(cosines[:, index]))]
            yield _out(f"by the affine, axis {axis} of the image runs along {along} of the body: reorient the image.")


def _limits(value: float, ranges: _Limits, words: str) -> Iterator[Verdict]:
    usual, possible = ranges
    if not possible[0] <= value <= possible[1]:
        yield _out(words)
    elif not usual[0] <= value <= usual[1]:
        yield _doubtful(words)


def _doubtful(reason: str) -> Verdict:
    return Verdict("doubtful", (reason,))


def _out(reason: str) -> Verdict:
    return Verdict("out of scope", (reason,))
