"""Explanation of a learned input function as a dataset: weight map, relevance and occlusion.

The curve is read as the sum over voxels of signed weights times activity, Σ A(v)·C(v, t), so the weight map A is a
complete account of the reading; a smooth factor near 1 then corrects it over time, and is taken as fixed for this scan.
How the segmentation, from which A follows, depends on the image is explained by relevance and by occlusion. All of it
is computed on the image corrected for motion, by every member of the ensemble; occlusion, which takes longest, by the
first one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.networks.explanation.explained_scan import ExplainedScan, explained_scan
from dlif_core.networks.explanation.occlusion import frame_matrix, occluded_region, occluded_windows
from dlif_core.networks.explanation.relevance import STEPS, Relevance, relevance
from dlif_core.networks.explanation.targets import Target, make_target
from dlif_core.networks.prediction.ensemble import time_mean
from dlif_core.networks.prediction.features import WINDOW_EDGES
from dlif_core.networks.prediction.resampling import network_affine, to_network_grid
from dlif_core.networks.prediction.scan import network_scan
from dlif_core.networks.prediction.subject import MOUSE, Subject
from dlif_core.networks.prediction.weight_map import TissueNetwork

if TYPE_CHECKING:
    import xarray as xr

    from dlif_core.scan import DynamicScan

Array = NDArray[np.float64]

#: Metrics of the curve that the reports of a study explain.
REPORTED = ("auc",)


def explain(
    seen: ExplainedScan,
    targets: Sequence[Target],
    regions: Mapping[str, torch.Tensor] | None = None,
    steps: int = STEPS,
) -> xr.Dataset:
    """Weight map, relevance and occlusion of some metrics of a curve.

    Parameters
    ----------
    seen
        The scan and the ensemble.
    targets
        The metrics.
    regions
        Part of each voxel that belongs to a region, shape (z, y, x), by the name of the region; None for a scan
        without regions.
    steps
        Number of points on the path of integrated gradients.

    Returns
    -------
    On the networks' grid (z, y, x): ``weight_map`` and ``weight_map_sd`` (over members), ``mean_activity``. ``factor``
    (frame): the correction over time. For each target ``value``, ``gap``, ``relevance`` and ``relevance_sd`` (z, y, x),
    ``relevance_frames`` and ``relevance_frames_sd`` (frame) and ``occlusion_window`` (window); with regions also
    ``relevance_region`` (the relevance of its voxels) and ``occlusion_region`` (region). SD is NaN where there is one
    member or the metric belongs to the ensemble.
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
            "occlusion_window": (
                ("target", "window"),
                _stacked([occluded_windows(_hiding(seen, one), one) for one in targets]),
            ),
        },
        coords=_coordinates(seen, targets),
        attrs={"members": len(seen.networks), "steps": steps},
    )
    return explained.merge(_by_region(seen, targets, found, regions)) if regions else explained


def _hiding(seen: ExplainedScan, target: Target) -> ExplainedScan:
    """The scan as the networks see it from which something is hidden: the first alone, but for metrics of several."""
    return seen if target.of_ensemble else seen.member(0)


def _by_region(
    seen: ExplainedScan, targets: Sequence[Target], found: Sequence[Relevance], regions: Mapping[str, torch.Tensor]
) -> xr.Dataset:
    import xarray as xr

    parts = torch.stack(list(regions.values())).double().numpy(force=True)
    shares = [np.einsum("rzyx,zyx->r", parts, one.voxels.mean(axis=0)) for one in found]
    hiding = [_hiding(seen, target) for target in targets]
    changes = [
        np.array([occluded_region(by, target, part) for part in regions.values()])
        for by, target in zip(hiding, targets, strict=True)
    ]
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
    subject: Subject = MOUSE,
) -> xr.Dataset:
    """Explanation of a scan's learned input function.

    Parameters
    ----------
    networks
        Members of the ensemble.
    scan
        Scan with image, injected activity and body weight.
    targets
        Names of metrics, see `make_target`.
    matrix
        Whether to give also ``frame_matrix`` (curve_frame, frame), which takes as long as a target.
    subject
        Subject of the model.

    Returns
    -------
    The dataset of `explain`, with the ``affine`` of its grid as attribute.

    Raises
    ------
    InputError
        If the scan has no image or no SUV.
    ConfigurationError
        If there is no such target.
    """
    image = network_scan(scan, subject=subject)
    assert scan.affine is not None, "network_scan refuses scans without affine"
    assert scan.activity is not None, "network_scan refuses scans without image"
    made = [make_target(name, scan) for name in targets]
    seen = explained_scan(networks, image)
    explained = explain(seen, made, _regions(scan, subject))
    if matrix:
        explained["frame_matrix"] = (("curve_frame", "frame"), frame_matrix(seen), {"units": "SUV"})
    explained.attrs["affine"] = network_affine(scan.affine, scan.activity.shape[1:], subject.voxel).tolist()
    return explained


def _regions(scan: DynamicScan, subject: Subject) -> dict[str, torch.Tensor] | None:
    """Parts of the voxels of the networks' grid that belong to each labelled region."""
    if scan.labels is None:
        return None
    size, regions = scan.voxel_size.tolist(), {}
    for label, name in scan.label_names.items():
        mask = scan.labels == label
        if mask.any():
            part = torch.from_numpy(mask[None].astype(np.float32))
            regions[name] = to_network_grid(part, size, subject.voxel)[0]
    return regions or None


def _images(seen: ExplainedScan) -> dict[str, tuple[tuple[str, ...], Array]]:
    space = ("z", "y", "x")
    members = [time_mean(member.frame_weights, seen.timing) for member in seen.prediction.members]
    weights = torch.stack(members).numpy(force=True)
    return {
        "weight_map": (space, _single(seen.prediction.weight_map.numpy(force=True))),
        "weight_map_sd": (space, _single(_spread(weights))),
        "mean_activity": (space, _single(time_mean(seen.activity, seen.timing).numpy(force=True))),
    }


def _spread(members: Array) -> Array:
    return members.std(axis=0, ddof=1) if len(members) > 1 else np.full(members.shape[1:], np.nan)


def _stacked(parts: Sequence[Array]) -> Array:
    return _single(np.stack(parts))


def _single(values: Array) -> Array:
    return values.astype(np.float32)


def _coordinates(seen: ExplainedScan, targets: Sequence[Target]) -> dict[str, object]:
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
