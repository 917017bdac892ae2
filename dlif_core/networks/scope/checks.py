"""Checks of a scan that need no network: species, tracer, units, voxels, field of view and frames.

Limits are the ranges of the population that networks are trained on, with some room.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.features import arrival
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.scope.features import dose_share, missed_arrival
from dlif_core.networks.scope.frames import check_frames
from dlif_core.networks.scope.orientation import body_mask
from dlif_core.networks.scope.verdict import Verdict, worst
from dlif_core.radionuclides import HALF_LIFE_TOLERANCE, HALF_LIVES, nuclide
from dlif_core.scan import Acquisition, DynamicScan, is_fdg, voxel_size
from dlif_core.shown import shortened

Array = NDArray[np.float64]

# (lowest, highest) that are usual, and that are possible at all
_Range = tuple[float, float]
_WEIGHT: tuple[_Range, _Range] = ((0.016, 0.040), (0.008, 0.080))  # [kg]
_VOXEL: tuple[_Range, _Range] = ((0.3, 1.1), (0.1, 1.5))  # [mm]
_LONG: tuple[_Range, _Range] = ((42.0, 110.0), (36.0, 160.0))  # field of view along the body [mm]
_ACROSS: tuple[_Range, _Range] = ((21.0, 80.0), (18.0, 160.0))  # and across it
_END: tuple[_Range, _Range] = ((880.0, 5400.0), (600.0, np.inf))  # of the scan [s]
_SHARE: tuple[_Range, _Range] = ((0.1, 2.5), (0.03, 6.0))  # of the injected activity in the image

_USUAL_SHARE = 0.8

_EARLY, _EARLY_FRAMES, _FEWEST_FRAMES = 180.0, 10, 6
_LONGEST_GAP, _LATEST_START = 10.0, 10.0  # [s]
_ALONG = 0.9  # least cosine between an axis of the image and the axis of the body it should run along


def precheck(scan: DynamicScan) -> Verdict:
    """Check metadata, voxels and frames of a scan, before anything is computed."""
    verdicts = [*_acquisition(scan.acquisition), *_schedule(scan.timing)]
    if scan.activity is None or scan.affine is None:
        verdicts.append(_out("the scan has no image with known voxel size, which the learned input function needs."))
    else:
        verdicts += _voxels(voxel_size(scan.affine), scan.activity.shape[1:])
        verdicts += _axes(np.asarray(scan.affine, float)[:3, :3])
    return worst(*verdicts)


def check_image(scan: NetworkScan) -> Verdict:
    """Check that the image has about the injected activity, bolus, every frame and the body along z."""
    activity = scan.activity
    if not bool(torch.isfinite(activity).all()):
        return _out("the image holds values that are not finite.")
    total = activity.double().mean(dim=(1, 2, 3)).numpy(force=True)
    if total.max() <= 0.0:
        return _out("the image is empty.")
    share = dose_share(scan)
    verdicts = [Verdict(), *_limits(share, _SHARE, _wrong_unit(share))]
    verdicts += _longest(activity.mean(dim=0))
    verdicts += check_frames(scan)
    if missed_arrival(scan.timing, arrival(scan.timing, total)):
        verdicts.append(
            _doubtful("activity is there from the first frame on: the scan starts after the bolus arrived.")
        )
    return worst(*verdicts)


def _longest(image: torch.Tensor) -> Iterator[Verdict]:
    """Check that the body is longest along z."""
    places = torch.argwhere(body_mask(image)).double().std(dim=0).tolist()
    if max(places) > places[0]:
        along = "zyx"[int(np.argmax(places))]
        yield _out(
            f"the body is longer along {along} than along z (tail to head): are the axes in order, and is the heart in "
            "view?"
        )


def _wrong_unit(share: float) -> str:
    return (
        f"the image is {share / _USUAL_SHARE:.2g} times as active as an FDG mouse should be: are the units Bq/mL, and "
        "are injected activity and body weight right?"
    )


def _acquisition(acquisition: Acquisition) -> Iterator[Verdict]:
    if not acquisition.species:
        yield _doubtful("the species is not stated; the model knows mice only.")
    elif acquisition.species != "mouse":
        yield _out(f"the species is {acquisition.species!r}; the model knows mice only.")
    if not acquisition.tracer:
        yield _doubtful("the tracer is not stated: whether the blood is that of FDG can't be checked.")
    yield from _half_life(acquisition)
    if not acquisition.decay_corrected:
        yield _out("the image is not decay-corrected.")
    if acquisition.suv_factor is None:
        yield _out("injected activity or body weight is unknown, so that the image has no SUV.")
    if acquisition.body_weight:
        grams = 1000.0 * acquisition.body_weight
        yield from _limits(
            acquisition.body_weight, _WEIGHT, f"the body weight is {grams:.3g} g; the model knows mice of 18 to 35 g."
        )


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
    yield from _limits(end, _END, f"the scan lasts {end / 60:.3g} min; the model knows scans of 15 to 55 min.")
    after = [gap.after_frame for gap in timing.gaps if timing.start[gap.after_frame] < _EARLY]
    longest = max((float(timing.start[k + 1] - max(timing.end[k], 0.0)) for k in after), default=0.0)
    if longest > _LONGEST_GAP:
        yield _doubtful(f"nothing was recorded for {longest:.0f} s while the bolus passed.")


def _voxels(size: Array, shape: tuple[int, ...]) -> Iterator[Verdict]:
    for axis, edge, count in zip("zyx", size, shape, strict=True):
        yield from _limits(edge, _VOXEL, f"voxels are {edge:.3g} mm along {axis}; the model knows 0.3 to 1.1 mm.")
        length = edge * count
        long = axis == "z"
        wanted = "42 mm along z (tail to head)" if long else f"21 mm along {axis}"
        words = f"the field of view is {length:.3g} mm along {axis}, the model needs {wanted}: are the axes in order?"
        ranges = _LONG if long else _ACROSS
        largest = ranges[0][1]
        if length > largest:
            words = (
                f"the field of view is {length:.3g} mm along {axis}, the model knows up to {largest:.0f} mm: crop the "
                "image to the animal, or to one of several."
            )
        yield from _limits(length, ranges, words)


def _axes(directions: Array) -> Iterator[Verdict]:
    """Check that axis i of the affine runs along axis i of the body; its direction can't be checked."""
    cosines = np.abs(directions) / np.linalg.norm(directions, axis=0)
    for index, axis in enumerate("xyz"):
        if cosines[index, index] < _ALONG:
            along = "xyz"[int(np.argmax(cosines[:, index]))]
            yield _out(f"by the affine, axis {axis} of the image runs along {along} of the body: reorient the image.")


def _limits(value: float, ranges: tuple[_Range, _Range], words: str) -> Iterator[Verdict]:
    usual, possible = ranges
    if not possible[0] <= value <= possible[1]:
        yield _out(words)
    elif not usual[0] <= value <= usual[1]:
        yield _doubtful(words)


def _doubtful(reason: str) -> Verdict:
    return Verdict("doubtful", (reason,))


def _out(reason: str) -> Verdict:
    return Verdict("out of scope", (reason,))
