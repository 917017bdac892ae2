"""Where in the image and when a learned input function came from.

The curve is read as the sum over voxels of signed weights times activity, Σ A(v)·C(v, t), so the weight map A is a
complete account of the reading; a smooth factor near 1 then corrects it over time, and is kept as it is for this scan.
That the network drew A from the image is the other half: integrated gradients (Sundararajan, Taly & Yan, ICML 2017)
share a figure of the curve out among voxels and frames through both. Their path runs from the same image at half its
activity to the image. Nearer to nothing a network sees what it never learned, and what it draws there jumps. The path
is straight in the roots of the activity, which is what the network sees. The shares are enlarged such that they
add up to the figure itself (but for what the correction makes of nothing, which is little).

Occlusion asks otherwise: how the figure changes when a region shows what the body shows on average, or when the network
does not see what a time window shows. All is done on the image put right for motion, by every member of the ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dlif_core.frames import FrameTiming
from dlif_core.networks.explanation.targets import Target, make_target
from dlif_core.networks.prediction.ensemble import EnsemblePrediction, predict_ensemble
from dlif_core.networks.prediction.features import WINDOW_EDGES, WINDOWS, Features, features, seen_through
from dlif_core.networks.prediction.fit_quality import OFFSET
from dlif_core.networks.prediction.predict import network_image
from dlif_core.networks.prediction.resampling import displaced, network_affine, to_network_grid
from dlif_core.networks.prediction.unmixing import noise_confidence, unmix
from dlif_core.networks.prediction.weight_map import TissueNetwork

if TYPE_CHECKING:
    import xarray as xr

    from dlif_core.scan import DynamicScan

Array = NDArray[np.float64]

#: Figures of the curve that a study's reports explain.
REPORTED = ("auc",)
#: Points on the path of integrated gradients.
STEPS = 12
# root of the share of the activity at which the path begins
_FAINT = 0.5**0.5
# mean activity of voxels of the body [SUV]
_BODY = 0.2


@dataclass(frozen=True, eq=False)
class Seen:
    """A scan as an ensemble sees it.

    Attributes
    ----------
    networks
        Members.
    activity
        Put right for motion, shape (frames, z, y, x), voxels of 1 mm [SUV].
    timing, body_weight
        Of the scan [kg].
    prediction
        What the ensemble finds in it.
    """

    networks: tuple[TissueNetwork, ...]
    activity: torch.Tensor
    timing: FrameTiming
    body_weight: float
    prediction: EnsemblePrediction

    def curves(self, activity: torch.Tensor) -> torch.Tensor:
        """Curve of every member for another image, shape (frames, z, y, x) to (members, frames) [SUV]."""
        return self.drawn_from(features(activity, self.timing, self.body_weight), activity)

    def drawn_from(self, described: Features, activity: torch.Tensor) -> torch.Tensor:
        """Curve of every member that sees these features, and reads this activity; shape (members, frames) [SUV]."""
        counting = noise_confidence(activity, torch.tensor(self.timing.duration))
        drawn = [network.draw(activity, described, counting) for network in self.networks]
        read = [unmix(activity, one.tissues, counting * one.confidence).curves[0] for one in drawn]
        return self.corrected(torch.stack(read))

    def corrected(self, read: torch.Tensor) -> torch.Tensor:
        """Curves as the members correct those that they read, shape (members, frames) [SUV]."""
        factor = torch.stack([member.factor for member in self.prediction.members])
        return factor * (read + OFFSET) - OFFSET

    def member(self, index: int) -> Seen:
        """The scan as one member sees it."""
        prediction = replace(self.prediction, members=self.prediction.members[index : index + 1])
        return replace(self, networks=self.networks[index : index + 1], prediction=prediction)


def see(networks: Sequence[TissueNetwork], activity: torch.Tensor, timing: FrameTiming, body_weight: float) -> Seen:
    """Let an ensemble see a scan; arguments and errors as of `predict_ensemble`."""
    prediction = predict_ensemble(networks, activity, timing, body_weight)
    return Seen(tuple(networks), displaced(activity, prediction.displacement), timing, body_weight, prediction)


class Relevance(NamedTuple):
    """A figure of the curve shared out among voxels and frames.

    Attributes
    ----------
    value
        Of the figure.
    voxels
        Shares of the voxels, shape (members, z, y, x), in the unit of the figure.
    frames
        Shares of the frames, shape (members, frames). Where a figure belongs to the ensemble, not to its members, both
        have one entry.
    gap
        Part of the figure by which the shares don't add up to it.
    """

    value: float
    voxels: Array
    frames: Array
    gap: float

    @property
    def steady(self) -> Array:
        """Mean over members where it exceeds their standard deviation, 0 elsewhere; shape (z, y, x)."""
        mean = self.voxels.mean(axis=0)
        if len(self.voxels) == 1:
            return np.asarray(mean)
        return np.where(np.abs(mean) > self.voxels.std(axis=0, ddof=1), mean, 0.0)


def relevance(seen: Seen, target: Target, steps: int = STEPS) -> Relevance:
    """Integrated gradients of a figure of the curve.

    Parameters
    ----------
    seen
        The scan.
    target
        The figure.
    steps
        Points on the path, of a Gauss-Legendre rule.
    """
    target = target.settled(torch.from_numpy(seen.prediction.whole_blood))
    parts = [seen] if target.of_ensemble else [seen.member(index) for index in range(len(seen.networks))]
    shares = [_integrated(part, target, steps) for part in parts]
    voxels, frames = (np.stack([share.sum(axis) for share in shares]) for axis in (0, (1, 2, 3)))
    value = _figure(parts, target, lambda part: part.curves(part.activity))
    faint = _figure(parts, target, lambda part: part.curves(_FAINT**2 * part.activity))
    # what the path leaves as it is, such as the spread of members that agree, can't be enlarged
    to_figure = (value - _figure(parts, target, _of_nothing)) / (value - faint) if value != faint else 1.0
    frames, voxels = to_figure * frames, to_figure * voxels
    gap = abs(float(frames.mean(axis=0).sum()) - to_figure * (value - faint)) / max(abs(value), 1e-9)
    return Relevance(value, voxels, frames, gap)


@torch.no_grad()
def _figure(parts: Sequence[Seen], target: Target, curves: Callable[[Seen], torch.Tensor]) -> float:
    """Mean over parts of a figure of such curves."""
    return float(np.mean([float(target.value(curves(part))) for part in parts]))


def _of_nothing(seen: Seen) -> torch.Tensor:
    """What the correction makes of curves that are zero."""
    return seen.corrected(seen.activity.new_zeros(len(seen.networks), len(seen.timing)))


class _FromRoots(nn.Module):
    """The figure of images given by the roots of their activity, one after the other."""

    def __init__(self, seen: Seen, target: Target) -> None:
        super().__init__()
        self.seen, self.target = seen, target

    def forward(self, roots: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.target.value(self.seen.curves(root * root.abs())) for root in roots])


def _integrated(seen: Seen, target: Target, steps: int) -> Array:
    """Shares of frames and voxels, shape (frames, z, y, x)."""
    from captum.attr import IntegratedGradients

    roots = seen.activity.sign() * seen.activity.abs().sqrt()
    rule = IntegratedGradients(_FromRoots(seen, target), multiply_by_inputs=True)
    shares = rule.attribute(
        roots[None], _FAINT * roots[None], n_steps=steps, method="gausslegendre", internal_batch_size=1
    )
    return np.asarray(shares[0].double().numpy(force=True))


@torch.no_grad()
def occluded_region(seen: Seen, target: Target, region: torch.Tensor) -> float:
    """Change of a figure when a region shows what the body shows on average, and the network draws anew.

    As a part of the figure: 1 means that nothing is left of it, a negative number that it rises. A region cut out of
    the body would be an image unlike any that the network has learned from.

    Parameters
    ----------
    seen, target
        The scan and the figure.
    region
        Part of each voxel that belongs to it, shape (z, y, x).
    """
    whole = float(target.value(seen.curves(seen.activity)))
    body = seen.activity.mean(dim=0) > _BODY
    average = seen.activity[:, body].mean(dim=1)[:, None, None, None]
    # a voxel of the region alone shows exactly the average; the unmixing may enlarge rounding a thousand times
    occluded = (1.0 - region) * seen.activity + region * average
    return 1.0 - float(target.value(seen.curves(occluded))) / whole


@torch.no_grad()
def occluded_windows(seen: Seen, target: Target) -> Array:
    """Change of a figure when the network draws without seeing a time window, shape (windows,).

    It sees the mean of the windows before and after instead, and reads off all frames. Parts as of `occluded_region`;
    NaN for windows that the scan does not have.
    """
    whole = float(target.value(seen.curves(seen.activity)))
    described = features(seen.activity, seen.timing, seen.body_weight)
    measured = torch.nonzero(described.constants[:WINDOWS] > 0).flatten().tolist()
    changes = np.full(WINDOWS, np.nan)
    for window in measured:
        windows = described.windows.clone()
        windows[window] = windows[[other for other in (window - 1, window + 1) if other in measured]].mean(dim=0)
        changed = seen.drawn_from(seen_through(described, seen.activity, windows), seen.activity)
        changes[window] = 1.0 - float(target.value(changed)) / whole
    return changes


def frame_matrix(seen: Seen) -> Array:
    """What every frame of the image contributes to every frame of the curve, shape (curve, image) [SUV].

    Gradient of the mean curve times activity, summed over voxels. The diagonal is what a frame shows itself; off it
    stands how the other frames shape the drawing.
    """
    activity = seen.activity.clone().requires_grad_()
    rows = np.zeros((len(seen.timing),) * 2)
    for index in range(len(seen.networks)):
        curve = seen.member(index).curves(activity)[0]
        for frame, value in enumerate(curve):
            (gradient,) = torch.autograd.grad(value, activity, retain_graph=frame < len(curve) - 1)
            rows[frame] += (gradient * seen.activity).sum(dim=(1, 2, 3)).double().numpy(force=True)
    return rows / len(seen.networks)


def explain(
    seen: Seen, targets: Sequence[Target], regions: Mapping[str, torch.Tensor] | None = None, steps: int = STEPS
) -> xr.Dataset:
    """Weight map, relevance and occlusion of some figures of a curve.

    Parameters
    ----------
    seen
        The scan.
    targets
        The figures.
    regions
        Name → part of each voxel that belongs to the region, shape (z, y, x); None for a scan without.
    steps
        As of `relevance`.

    Returns
    -------
    On the networks' grid (z, y, x): ``weight_map`` and ``weight_map_sd`` (over members), ``mean_activity``. ``factor``
    (frame): the correction over time. For each target ``value``, ``gap``, ``relevance`` and ``relevance_sd`` (z, y, x),
    ``relevance_frames`` and ``relevance_frames_sd`` (frame) and ``occlusion_window`` (window); with regions also
    ``relevance_region`` (the relevance of its voxels) and ``occlusion_region`` (region). SD is NaN where there is one
    member or the figure belongs to the ensemble.
    """
    import xarray as xr

    found = [relevance(seen, target, steps) for target in targets]
    voxels, frames = ("target", "z", "y", "x"), ("target", "frame")
    explained = xr.Dataset(
        {
            **_images(seen),
            "factor": ("frame", seen.prediction.factor, {"long_name": "correction of the read curve plus its offset"}),
            "value": ("target", [one.value for one in found]),
            "gap": ("target", [one.gap for one in found]),
            "relevance": (voxels, _stacked([one.voxels.mean(axis=0) for one in found])),
            "relevance_sd": (voxels, _stacked([_spread(one.voxels) for one in found])),
            "relevance_frames": (frames, _stacked([one.frames.mean(axis=0) for one in found])),
            "relevance_frames_sd": (frames, _stacked([_spread(one.frames) for one in found])),
            "occlusion_window": (("target", "window"), _stacked([occluded_windows(seen, one) for one in targets])),
        },
        coords=_coordinates(seen, targets),
        attrs={"members": len(seen.networks), "steps": steps},
    )
    return explained.merge(_by_region(seen, targets, found, regions)) if regions else explained


def _by_region(
    seen: Seen, targets: Sequence[Target], found: Sequence[Relevance], regions: Mapping[str, torch.Tensor]
) -> xr.Dataset:
    import xarray as xr

    parts = torch.stack(list(regions.values())).double().numpy(force=True)
    shares = [np.einsum("rzyx,zyx->r", parts, one.voxels.mean(axis=0)) for one in found]
    changes = [np.array([occluded_region(seen, target, part) for part in regions.values()]) for target in targets]
    dimensions = ("target", "region")
    return xr.Dataset(
        {"relevance_region": (dimensions, _stacked(shares)), "occlusion_region": (dimensions, _stacked(changes))},
        coords={"region": list(regions), "target": [target.name for target in targets]},
    )


def explain_scan(
    networks: Sequence[TissueNetwork],
    scan: DynamicScan,
    targets: Sequence[str] = REPORTED,
    *,
    matrix: bool = False,
) -> xr.Dataset:
    """Explanation of a scan's learned input function.

    Parameters
    ----------
    networks
        Members of the ensemble.
    scan
        With image, dose and body weight.
    targets
        Names of figures, see `make_target`.
    matrix
        Also give ``frame_matrix`` (curve_frame, frame), which takes as long as a target.

    Returns
    -------
    As of `explain`, with the ``affine`` of its grid as attribute.

    Raises
    ------
    InputError
        If the scan has no image or no SUV.
    ConfigurationError
        If there is no such target.
    """
    activity = network_image(scan)
    assert scan.affine is not None
    assert scan.activity is not None
    made = [make_target(name, scan) for name in targets]
    weight = scan.acquisition.body_weight
    assert weight is not None
    seen = see(networks, activity, scan.timing, weight)
    explained = explain(seen, made, _regions(scan))
    if matrix:
        explained["frame_matrix"] = (("curve_frame", "frame"), frame_matrix(seen), {"units": "SUV"})
    explained.attrs["affine"] = network_affine(scan.affine, scan.activity.shape[1:]).tolist()
    return explained


def _regions(scan: DynamicScan) -> dict[str, torch.Tensor] | None:
    """Labelled regions on the networks' grid."""
    if scan.labels is None:
        return None
    size, regions = scan.voxel_size.tolist(), {}
    for label, name in scan.label_names.items():
        mask = scan.labels == label
        if mask.any():
            regions[name] = to_network_grid(torch.from_numpy(mask[None].astype(np.float32)), size)[0]
    return regions or None


def _images(seen: Seen) -> dict[str, tuple[tuple[str, ...], Array]]:
    space = ("z", "y", "x")
    weights = torch.stack([member.weight_map for member in seen.prediction.members]).numpy(force=True)
    share = torch.tensor(seen.timing.duration / seen.timing.duration.sum()).to(seen.activity)
    return {
        "weight_map": (space, _single(seen.prediction.weight_map.numpy(force=True))),
        "weight_map_sd": (space, _single(_spread(weights))),
        "mean_activity": (space, _single(torch.einsum("f,fzyx->zyx", share, seen.activity).numpy(force=True))),
    }


def _spread(members: Array) -> Array:
    return members.std(axis=0, ddof=1) if len(members) > 1 else np.full(members.shape[1:], np.nan)


def _stacked(parts: Sequence[Array]) -> Array:
    return _single(np.stack(parts))


def _single(values: Array) -> Array:
    return values.astype(np.float32)


def _coordinates(seen: Seen, targets: Sequence[Target]) -> dict[str, object]:
    return {
        "target": [target.name for target in targets],
        "title": ("target", [target.title for target in targets]),
        "units": ("target", [target.unit for target in targets]),
        "window_start": ("window", list(WINDOW_EDGES[:-1]), {"units": "s", "long_name": "after arrival of the bolus"}),
        "window_end": ("window", list(WINDOW_EDGES[1:]), {"units": "s", "long_name": "after arrival of the bolus"}),
        "frame_start": ("frame", seen.timing.start, {"units": "s"}),
        "frame_duration": ("frame", seen.timing.duration, {"units": "s"}),
        "curve": ("frame", seen.prediction.whole_blood, {"units": "SUV"}),
    }
