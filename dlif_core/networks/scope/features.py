"""Numbers that tell whether a scan is of the kind that the networks know.

Times are windows after the arrival of the bolus, so that the numbers depend little on schedule and injection; what a
scan does not show is NaN. Nearly all are logarithms of activities or of their ratios: their differences from what is
usual are factors, which a reason can state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from dlif_core.frames import FrameTiming
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.networks.prediction.ensemble import EnsemblePrediction
from dlif_core.networks.prediction.features import arrival
from dlif_core.networks.prediction.predict import Prediction
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.scope.orientation import body_mask

Array = NDArray[np.float64]

#: What a feature tells of; every feature is named by its aspect, then by what it is.
Aspect = str

#: Windows after the arrival of the bolus [s], by name.
WINDOWS = {
    "the first 20 s": (0.0, 20.0),
    "20-60 s": (20.0, 60.0),
    "1-3 min": (60.0, 180.0),
    "3-10 min": (180.0, 600.0),
    "10-20 min": (600.0, 1200.0),
    "20-38 min": (1200.0, 2280.0),
}
_NAMES = tuple(WINDOWS)
_DOSE = _NAMES[2]

# a window counts as measured when frames cover this part of it
_COVERED = 0.5
# added before a logarithm is taken [SUV], so that noise about zero says nothing
_FLOOR = 0.03
_LEVELS = {"quarter": 0.25, "median": 0.5, "three-quarter": 0.75, "90 %": 0.9, "97 %": 0.97}
_CHANGES = ((2, 3), (3, 4), (4, 5), (3, 5))
_CHANGE_LEVELS = {"median": 0.5, "90 %": 0.9, "98 %": 0.98}
# large tissues that networks draw well
_UPTAKE = ("muscle", "brain", "myocardium")
# part of a dose in a depot, and rate at which it empties [min⁻¹]
_DEPOTS = tuple((part, rate) for part in (0.45, 0.7) for rate in (0.02, 0.07))
_LEAST_VOLUME = 40.0  # of a tissue that has a curve [mm³]


class Seen(NamedTuple):
    """What features are read from.

    Attributes
    ----------
    prediction
        Of the networks.
    activity
        Shape (frames, z, y, x), voxels of 1 mm [SUV].
    timing
        Of the frames.
    body_weight
        [kg].
    """

    prediction: Prediction | EnsemblePrediction
    activity: torch.Tensor
    timing: FrameTiming
    body_weight: float


def scan_features(seen: Seen) -> dict[Aspect, dict[str, float]]:
    """Features of a scan, by aspect and name."""
    total = seen.activity.double().mean(dim=(1, 2, 3)).numpy(force=True)
    windows = window_means(seen.timing, arrival(seen.timing, total))
    blood = _blood_read(seen)
    return {
        "distribution": dict(_distribution(seen.activity, seen.timing, windows)),
        "blood": dict(_blood(windows, blood)),
        "tissues": dict(_tissues(seen, windows, blood)),
        "fit": dict(_fit(seen, windows)),
    }


def window_means(timing: FrameTiming, arrived: float) -> Array:
    """Weights of the frames in every window, shape (windows, frames); NaN for a window that was not measured."""
    edges = np.array(list(WINDOWS.values())) + arrived
    overlap = np.minimum(timing.end, edges[:, 1:]) - np.maximum(timing.start, edges[:, :1])
    overlap = np.clip(overlap, 0.0, None)
    covered = overlap.sum(axis=1, keepdims=True)
    measured = covered >= _COVERED * (edges[:, 1:] - edges[:, :1])
    return np.where(measured, overlap / np.maximum(covered, 1e-9), np.nan)


def dose_share(activity: torch.Tensor, timing: FrameTiming, body_weight: float) -> float:
    """Share of the injected activity that the image holds 1 to 3 min after the arrival of the bolus.

    Arguments as of `Seen`; of a scan without that time, the share in the last frame.
    """
    total = activity.double().mean(dim=(1, 2, 3)).numpy(force=True)
    mean = window_means(timing, arrival(timing, total))[_NAMES.index(_DOSE)] @ total
    held = mean if np.isfinite(mean) else total[-1]
    return float(held * _share_of_mean(activity, body_weight))


def missed_arrival(timing: FrameTiming, arrived: float) -> bool:
    """Whether activity was there before the first frame."""
    return bool(arrived < timing.start[0])


def _share_of_mean(activity: torch.Tensor, body_weight: float) -> float:
    """Share of the injected activity for each SUV of the mean over the image: volume over mass of the body."""
    return activity[0].numel() * 1e-6 / body_weight


def _distribution(activity: torch.Tensor, timing: FrameTiming, windows: Array) -> Iterator[tuple[str, float]]:
    smooth = functional.avg_pool3d(activity[:, None], 3, stride=2)[:, 0].double()
    weights = torch.from_numpy(timing.duration / timing.duration.sum()).to(smooth)
    mean = torch.einsum("f,fzyx->zyx", weights, smooth)
    voxels = np.asarray(windows @ smooth[:, body_mask(mean)].numpy(force=True))
    for name, values in list(zip(_NAMES, voxels, strict=True))[1:]:
        for level, value in zip(_LEVELS, np.quantile(values, list(_LEVELS.values())), strict=True):
            yield f"activity of the {level} voxel at {name}", _log(value)
    for first, second in _CHANGES:
        with np.errstate(invalid="ignore"):
            change = np.log(np.maximum(voxels[second], 0.0) + 0.1) - np.log(np.maximum(voxels[first], 0.0) + 0.1)
        for level, value in zip(_CHANGE_LEVELS, np.quantile(change, list(_CHANGE_LEVELS.values())), strict=True):
            yield f"change from {_NAMES[first]} to {_NAMES[second]} in the {level} voxel", float(value)


def paravenous_features(seen: Seen) -> Iterator[dict[str, float]]:
    """Features of the blood as they would be with part of the dose in a depot that empties slowly.

    Kinetics are linear: the curve becomes (1 − part) of itself and `part` of its convolution with the release from the
    depot, rate·e^(−rate·t).
    """
    total = seen.activity.double().mean(dim=(1, 2, 3)).numpy(force=True)
    windows = window_means(seen.timing, arrival(seen.timing, total))
    blood = _blood_read(seen)
    timing = seen.timing
    nodes = np.concatenate([timing.start[:1], timing.mid, timing.end[-1:]])
    response = FrameConvolution(nodes, np.concatenate([[0.0], blood, blood[-1:]]), timing)
    for part, rate in _DEPOTS:
        yield dict(_blood(windows, (1.0 - part) * blood + part * rate * response.exponential(rate)[0]))


def _blood_read(seen: Seen) -> Array:
    """Blood as the weight map reads it: the correction after it is fitted to FDG and might hide another tracer."""
    return np.asarray(_array(seen.prediction.curves)[TISSUES.index("blood")], float)


def _blood(windows: Array, blood: Array) -> Iterator[tuple[str, float]]:
    for name, value in zip(_NAMES, windows @ blood, strict=True):
        yield f"blood at {name}", _log(float(value))
    yield "the peak of the blood", _log(float(blood.max()))


def _tissues(seen: Seen, windows: Array, blood: Array) -> Iterator[tuple[str, float]]:
    """Uptake over the integral of the blood before it: what kinetics, not the dose, decide."""
    curves = np.asarray(_array(seen.prediction.curves), float)
    volumes = torch.as_tensor(seen.prediction.tissues).sum(dim=(1, 2, 3)).tolist()
    given = np.cumsum(np.clip(blood, 0.0, None) * seen.timing.duration) / 60.0
    for index in (2, 3, 4, 5):
        integral = _log(float(windows[index] @ given), 0.3)
        for tissue in _UPTAKE:
            place = TISSUES.index(tissue)
            uptake = _log(float(windows[index] @ curves[place]), 0.05) - integral
            yield f"uptake of {tissue} at {_NAMES[index]}", uptake if volumes[place] >= _LEAST_VOLUME else float("nan")


def _fit(seen: Seen, windows: Array) -> Iterator[tuple[str, float]]:
    tissues = torch.as_tensor(seen.prediction.tissues)
    curves = torch.as_tensor(_array(seen.prediction.curves)).to(tissues)
    means = torch.from_numpy(np.nan_to_num(windows)).to(tissues)
    modelled = torch.einsum("wk,kzyx->wzyx", means @ curves.T, tissues)
    measured = torch.einsum("wf,fzyx->wzyx", means, seen.activity.to(tissues))
    left = functional.avg_pool3d((measured - modelled)[:, None], 2).flatten(1).norm(dim=1)
    size = functional.avg_pool3d(measured[:, None], 2).flatten(1).norm(dim=1)
    shares = (left / size.clamp(min=1e-9)).double().numpy(force=True)
    for name, share, row in list(zip(_NAMES, shares, windows, strict=True))[1:]:
        yield f"part of the image at {name} that the tissues leave unexplained", _log(float(share + 0.0 * row[0]), 0.01)
    displacement = torch.as_tensor(seen.prediction.displacement).double()
    yield "displacement of the body", _log(float(displacement.square().sum(dim=1).mean().sqrt()), 0.1)
    if isinstance(seen.prediction, EnsemblePrediction) and len(seen.prediction.members) > 1:
        spread, curve = seen.prediction.spread, seen.prediction.whole_blood
        yield "disagreement of the networks", _log(float(spread.mean() / np.abs(curve).mean()), 0.003)


def _log(value: float, floor: float = _FLOOR) -> float:
    return float(np.log(max(value, 0.0) + floor)) if np.isfinite(value) else float("nan")


def _array(values: torch.Tensor | Array) -> NDArray[np.generic]:
    return values.numpy(force=True) if isinstance(values, torch.Tensor) else np.asarray(values)
