"""Features of a scan by which the scope check compares it with sound scans.

Times are windows after the arrival of the bolus, so that features depend little on frame schedule and injection; those
that a scan lacks are NaN. Nearly all are logarithms of activities or of their ratios: a difference from the usual value
is a factor, which a reason can state.
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
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.tissues import ARTERIAL, TISSUES, VENOUS
from dlif_core.networks.scope.orientation import body_mask

Array = NDArray[np.float64]

#: Group of features, such as ``blood``.
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
# added before a logarithm is taken [SUV], so that noise around zero has no effect
_FLOOR = 0.03
_LEVELS = {"quarter": 0.25, "median": 0.5, "three-quarter": 0.75, "90 %": 0.9, "97 %": 0.97}
_CHANGES = ((2, 3), (3, 4), (4, 5), (3, 5))
_CHANGE_LEVELS = {"median": 0.5, "90 %": 0.9, "98 %": 0.98}
# large tissues that networks segment well
_UPTAKE = ("muscle", "brain", "myocardium")
# part of a dose in a depot, and rate at which it empties [min⁻¹]
_DEPOTS = tuple((part, rate) for part in (0.45, 0.7) for rate in (0.02, 0.07))
_LEAST_VOLUME = 40.0  # of a tissue that has a curve [voxels]
# added before logarithms of the volume and of the activity of pools are taken [voxels, SUV]
_TINY_POOL, _FAINT_POOL = 5.0, 0.2


class PredictedScan(NamedTuple):
    """A scan with the networks' prediction for it.

    Attributes
    ----------
    prediction
        Prediction of a network or an ensemble.
    scan
        The scan on the networks' grid.
    """

    prediction: Prediction | EnsemblePrediction
    scan: NetworkScan

    @property
    def windows(self) -> Array:
        """Weights of the frames in every window, see `window_means`."""
        total = self.scan.activity.double().mean(dim=(1, 2, 3)).numpy(force=True)
        return window_means(self.scan.timing, arrival(self.scan.timing, total))


def scan_features(seen: PredictedScan) -> dict[Aspect, dict[str, float]]:
    """Features of a scan, by aspect and name."""
    windows = seen.windows
    blood = _blood_read(seen)
    return {
        "distribution": dict(_distribution(seen.scan, windows)),
        "blood": dict(_blood(windows, blood)),
        "tissues": dict(_tissues(seen, windows, blood)),
        "pools": dict(_pools(seen, windows)),
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


def dose_share(scan: NetworkScan) -> float:
    """Share of the injected activity in the image 1 to 3 min after arrival, or in the last frame of a shorter scan."""
    activity, timing = scan.activity, scan.timing
    total = activity.double().mean(dim=(1, 2, 3)).numpy(force=True)
    mean = window_means(timing, arrival(timing, total))[_NAMES.index(_DOSE)] @ total
    held = mean if np.isfinite(mean) else total[-1]
    return float(held * _share_of_mean(scan))


def missed_arrival(timing: FrameTiming, arrived: float) -> bool:
    """Whether the bolus arrived before the first frame."""
    return bool(arrived < timing.start[0])


def _share_of_mean(scan: NetworkScan) -> float:
    """Share of the injected activity per SUV of the mean over the image: volume of the image over mass of the body."""
    return scan.activity[0].numel() * 1e-6 * scan.subject.voxel**3 / scan.body_weight


def _distribution(scan: NetworkScan, windows: Array) -> Iterator[tuple[str, float]]:
    smooth = functional.avg_pool3d(scan.activity[:, None], 3, stride=2)[:, 0].double()
    duration = scan.timing.duration
    weights = torch.from_numpy(duration / duration.sum()).to(smooth)
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


def paravenous_features(seen: PredictedScan) -> Iterator[dict[str, float]]:
    """Features of the blood if part of the dose were in a depot that empties slowly.

    Kinetics are linear: the curve becomes (1 − part) of itself and `part` of its convolution with the release from the
    depot, rate·e^(−rate·t).
    """
    windows, blood, timing = seen.windows, _blood_read(seen), seen.scan.timing
    nodes = np.concatenate([timing.start[:1], timing.mid, timing.end[-1:]])
    response = FrameConvolution(nodes, np.concatenate([[0.0], blood, blood[-1:]]), timing)
    for part, rate in _DEPOTS:
        yield dict(_blood(windows, (1.0 - part) * blood + part * rate * response.exponential(rate)[0]))


def _blood_read(seen: PredictedScan) -> Array:
    """Blood before the correction, which is fitted to FDG and might hide another tracer; shape (frames,) [SUV]."""
    return np.asarray(as_array(seen.prediction.curves)[ARTERIAL])


def _blood(windows: Array, blood: Array) -> Iterator[tuple[str, float]]:
    for name, value in zip(_NAMES, windows @ blood, strict=True):
        yield f"blood at {name}", _log(float(value))
    yield "the peak of the blood", _log(float(blood.max()))


def _pools(seen: PredictedScan, windows: Array) -> Iterator[tuple[str, float]]:
    """Size of the pools of blood, and what venous blood is of arterial: more while it arrives, the same once mixed."""
    volumes = torch.as_tensor(seen.prediction.tissues).sum(dim=(1, 2, 3)).tolist()
    curves = windows @ as_array(seen.prediction.curves).T
    yield "the volume of arterial pools", _log(volumes[ARTERIAL], _TINY_POOL)
    yield "the volume of venous pools", _log(volumes[VENOUS], _TINY_POOL)
    for index in (2, 3, 4, 5):
        arterial, venous = (_log(float(curves[index, pool]), _FAINT_POOL) for pool in (ARTERIAL, VENOUS))
        yield f"venous over arterial blood at {_NAMES[index]}", venous - arterial


def _tissues(seen: PredictedScan, windows: Array, blood: Array) -> Iterator[tuple[str, float]]:
    """Uptake over the integral of the blood before it, which depends on kinetics and not on the dose."""
    curves = as_array(seen.prediction.curves)
    volumes = torch.as_tensor(seen.prediction.tissues).sum(dim=(1, 2, 3)).tolist()
    given = np.cumsum(np.clip(blood, 0.0, None) * seen.scan.timing.duration) / 60.0
    for index in (2, 3, 4, 5):
        integral = _log(float(windows[index] @ given), 0.3)
        for tissue in _UPTAKE:
            place = TISSUES.index(tissue)
            uptake = _log(float(windows[index] @ curves[place]), 0.05) - integral
            yield f"uptake of {tissue} at {_NAMES[index]}", uptake if volumes[place] >= _LEAST_VOLUME else float("nan")


def _fit(seen: PredictedScan, windows: Array) -> Iterator[tuple[str, float]]:
    tissues = torch.as_tensor(seen.prediction.tissues)
    curves = torch.as_tensor(as_array(seen.prediction.curves)).to(tissues)
    means = torch.from_numpy(np.nan_to_num(windows)).to(tissues)
    modelled = torch.einsum("wk,kzyx->wzyx", means @ curves.T, tissues)
    measured = torch.einsum("wf,fzyx->wzyx", means, seen.scan.activity.to(tissues))
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


def as_array(values: torch.Tensor | Array) -> Array:
    """Values of a tensor or an array, as float64."""
    return np.asarray(values.numpy(force=True) if isinstance(values, torch.Tensor) else values, float)
