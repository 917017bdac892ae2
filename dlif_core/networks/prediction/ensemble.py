"""Several networks on one scan: the mean of their curves, how far they differ, and what noise the mean has.

Every member's curve is a sum over voxels of signed weights times activity, so the mean curve is too, with the mean of
the weight maps. Its variance from image noise follows in closed form from the covariance of the voxels, which is
estimated from the image itself: the residual of the tissue model in a frame differs from the mean of those before and
after by noise, because heterogeneity within organs stays from frame to frame. The variance of a voxel is taken as
α²(t)·C(v, t)/Δt with ln α² linear in time, as decay makes it, and neighbours as correlated by an amount for each axis.
Heterogeneity that moves with the body counts as noise: where counts are high, in frames of minutes, the noise comes out
up to twice too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.predict import Prediction, align, predict_aligned
from dlif_core.networks.prediction.resampling import displaced
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.weight_map import TissueNetwork

Array = NDArray[np.float64]

_FEWEST_FRAMES = 4
# least mean activity of the voxels [SUV] and frames (as a share of the median frame) from which noise is estimated
_BODY, _FILLED = 0.2, 0.3
# mean activity by which the model's is divided at least [SUV]
_FLOOR = 0.05
# voxels across a cube that holds the kernel of a displacement by less than one voxel
_KERNEL = 7
# differences of more times the median are not taken for noise
_OUTLIER = 8.0
# of images (frames, z, y, x), and correlations that neighbours of averaged noise can have
_AXES, _POSSIBLE = (1, 2, 3), (-0.2, 0.5)


@dataclass(frozen=True, eq=False)
class EnsemblePrediction:
    """Prediction of an ensemble for a scan; it doesn't hold the image.

    Attributes
    ----------
    timing
        Start and duration of the frames.
    body_weight
        Body weight of the animal [kg].
    members
        One prediction for each network; all have the same displacement.
    noise
        Standard deviation that image noise gives `whole_blood`, in closed form, shape (frames,) [SUV].
    """

    timing: FrameTiming
    body_weight: float
    members: tuple[Prediction, ...]
    noise: Array

    @property
    def whole_blood(self) -> Array:
        """Mean of the members' frame averages, shape (frames,) [SUV]."""
        return np.asarray(self._curves().mean(axis=0))

    @property
    def spread(self) -> Array:
        """Standard deviation between the members, shape (frames,) [SUV]; zero if there is one member."""
        curves = self._curves()
        return curves.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(curves.shape[1])

    @property
    def frame_weights(self) -> torch.Tensor:
        """Mean of the members' signed weights in every frame, shape (frames, z, y, x)."""
        return torch.stack([member.frame_weights for member in self.members]).mean(dim=0)

    @property
    def weight_map(self) -> torch.Tensor:
        """Mean of the signed weights over members and time, shape (z, y, x)."""
        return time_mean(self.frame_weights, self.timing)

    @property
    def factor(self) -> Array:
        """Mean of the members' corrections, shape (frames,)."""
        return torch.stack([member.factor for member in self.members]).mean(dim=0).double().numpy(force=True)

    @property
    def expected(self) -> Array:
        """Mean size of the errors to be expected of the members, shape (frames,) [SUV]."""
        return torch.stack([member.expected for member in self.members]).mean(dim=0).double().numpy(force=True)

    @property
    def displacement(self) -> torch.Tensor:
        """Displacement of the body in every frame, along z, y, x, shape (frames, 3) [voxels]."""
        return self.members[0].displacement

    @property
    def tissues(self) -> torch.Tensor:
        """Mean of the members' segmentations, shape (tissues, z, y, x)."""
        return torch.stack([member.tissues for member in self.members]).mean(dim=0)

    @property
    def curves(self) -> Array:
        """Mean of the members' frame averages of all tissues, shape (tissues, frames) [SUV]."""
        return torch.stack([member.curves for member in self.members]).mean(dim=0).double().numpy(force=True)

    def _curves(self) -> Array:
        return torch.stack([member.whole_blood for member in self.members]).double().numpy(force=True)


def time_mean(images: torch.Tensor, timing: FrameTiming) -> torch.Tensor:
    """Mean over time of images, shape (frames, z, y, x) to (z, y, x)."""
    share = torch.tensor(timing.duration / timing.duration.sum()).to(images)
    return torch.einsum("f,fzyx->zyx", share, images)


@torch.no_grad()
def predict_ensemble(networks: Sequence[TissueNetwork], scan: NetworkScan) -> EnsemblePrediction:
    """Predict the whole-blood curve of a scan by several networks.

    Motion is corrected once, by the mean of the networks' segmentations; with one network the result is that of
    `predict`.

    Parameters
    ----------
    networks
        Trained networks on the device of the scan.
    scan
        Scan on the networks' grid.

    Raises
    ------
    ConfigurationError
        If there is no network.
    InputError
        If there are fewer than four frames, in which noise can't be distinguished from a change.
    """
    if not networks:
        raise ConfigurationError("an ensemble without networks predicts nothing.", hint="Give at least one network.")
    frames = len(scan.timing)
    if frames < _FEWEST_FRAMES:
        raise InputError(
            f"the scan has {frames} frames, a learned input function needs at least {_FEWEST_FRAMES}.",
            hint="Use an input function from blood.",
        )
    aligned = align(networks, scan)
    members = tuple(predict_aligned(network, aligned) for network in networks)
    prediction = EnsemblePrediction(scan.timing, scan.body_weight, members, np.zeros(frames))
    return replace(prediction, noise=curve_noise(prediction, aligned.activity))


def curve_noise(prediction: EnsemblePrediction, aligned: torch.Tensor) -> Array:
    """Standard deviation that image noise gives the mean curve.

    Parameters
    ----------
    prediction
        Prediction whose members are used; its own `noise` is not.
    aligned
        Image corrected for the displacement of the prediction, shape (frames, z, y, x) [SUV].

    Returns
    -------
    Shape (frames,) [SUV].
    """
    modelled = sum(torch.einsum("kf,kzyx->fzyx", member.curves, member.tissues) for member in prediction.members) / len(
        prediction.members
    )
    assert isinstance(modelled, torch.Tensor)
    seconds = torch.tensor(prediction.timing.duration).to(aligned)
    kept = _kept_variance(prediction.displacement) / seconds
    expected = _expected_activity(modelled, aligned, seconds)
    variance = expected * kept[:, None, None, None]
    inside = expected.mean(dim=0) > _BODY
    filled = expected.mean(dim=_AXES)
    usable = _inner_frames(filled > _FILLED * filled.median())
    if not inside.any() or usable.sum() < 2:
        raise InputError(
            "the image shows no activity from which noise could be estimated.", hint="Check the image's unit."
        )
    size = _difference_variance(variance).clamp(min=1e-12).sqrt()
    change = (_second_difference(aligned - expected) / size)[usable]
    largest = _OUTLIER * change[:, inside].abs().median()
    change = change.clamp(-largest, largest)
    correlation = [_correlation(change, inside, axis) for axis in _AXES]
    level = _noise_level(change, inside, correlation, prediction.timing, usable.numpy(force=True))
    weighted = prediction.frame_weights * variance.sqrt()
    neighbours = _with_neighbours(weighted, correlation)
    own = (weighted * neighbours).sum(dim=_AXES).clamp(min=0.0).double().numpy(force=True)
    return np.asarray(prediction.factor * np.sqrt(level * own))


def _expected_activity(modelled: torch.Tensor, aligned: torch.Tensor, seconds: torch.Tensor) -> torch.Tensor:
    """The model's course over time with each voxel's own mean over time, which is nearly free of noise."""
    share = seconds / seconds.sum()
    own, model = (torch.einsum("f,fzyx->zyx", share, images) for images in (aligned, modelled))
    return (modelled * (own.clamp(min=0.0) / model.clamp(min=_FLOOR))).clamp(min=0.0)


def _second_difference(frames: torch.Tensor, axis: int = 0) -> torch.Tensor:
    """Each element less the mean of its neighbours along an axis, without the first and the last."""
    length = frames.shape[axis] - 2
    before, here, after = (frames.narrow(axis, first, length) for first in range(3))
    return here - 0.5 * (before + after)


def _difference_variance(variance: torch.Tensor) -> torch.Tensor:
    """Variance of the second difference of independent frames."""
    return variance[1:-1] + 0.25 * (variance[:-2] + variance[2:])


def _inner_frames(usable: torch.Tensor) -> torch.Tensor:
    return usable[1:-1] & usable[:-2] & usable[2:]


def _kept_variance(displacement: torch.Tensor) -> torch.Tensor:
    """Share of the variance of white noise that interpolation leaves, shape (frames,)."""
    part = displacement - displacement.round()
    point = displacement.new_zeros(len(part), *(_KERNEL,) * 3)
    point[:, _KERNEL // 2, _KERNEL // 2, _KERNEL // 2] = 1.0
    return displaced(point, part).square().sum(dim=_AXES)


def _correlation(change: torch.Tensor, inside: torch.Tensor, axis: int) -> float:
    """Correlation of neighbours along an axis, the median over frames.

    Second differences along the other axes take off what the tissue model misses, which is smoother than noise.
    """
    rough, mask = _rough(change, inside, [other for other in _AXES if other != axis])
    length = rough.shape[axis] - 1
    first, second = rough.narrow(axis, 0, length), rough.narrow(axis, 1, length)
    both = mask.narrow(axis - 1, 0, length) & mask.narrow(axis - 1, 1, length)
    size = 0.5 * ((first.square() + second.square()) * both).sum(dim=_AXES)
    shared = (first * second * both).sum(dim=_AXES) / size.clamp(min=1e-12)
    return float(shared.median().clamp(*_POSSIBLE))


def _rough(change: torch.Tensor, inside: torch.Tensor, axes: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Second differences along axes, and where they lie inside."""
    for axis in axes:
        change, inside = _second_difference(change, axis), inside.narrow(axis - 1, 1, inside.shape[axis - 1] - 2)
    return change, inside


def _noise_level(
    change: torch.Tensor,
    inside: torch.Tensor,
    correlation: Sequence[float],
    timing: FrameTiming,
    usable: NDArray[np.bool_],
) -> Array:
    """α² of every frame: exponential in time, by the median of slopes, which frames with the bolus can't pull."""
    from scipy.stats import theilslopes

    rough, mask = _rough(change, inside, _AXES)
    noise = rough[:, mask]
    largest = _OUTLIER * noise.abs().median(dim=1, keepdim=True).values
    seen = noise.clamp(-largest, largest).square().mean(dim=1) / float(np.prod([1.5 - 2.0 * r for r in correlation]))
    logs, mid = np.log(seen.clamp(min=1e-12).double().numpy(force=True)), timing.mid[1:-1][usable]
    slope = max(float(theilslopes(logs, mid).slope), 0.0)
    return np.asarray(np.exp(np.median(logs - slope * mid) + slope * timing.mid))


def _with_neighbours(images: torch.Tensor, correlation: Sequence[float]) -> torch.Tensor:
    """Each voxel plus its correlated neighbours, along one axis after the other."""
    for axis, share in zip(_AXES, correlation, strict=True):
        before, after = images.narrow(axis, 0, images.shape[axis] - 1), images.narrow(axis, 1, images.shape[axis] - 1)
        images = images + share * (_padded(before, axis, 1, 0) + _padded(after, axis, 0, 1))
    return images


def _padded(images: torch.Tensor, axis: int, first: int, last: int) -> torch.Tensor:
    padding = [0] * 6
    padding[2 * (3 - axis)], padding[2 * (3 - axis) + 1] = first, last
    return functional.pad(images, padding)
