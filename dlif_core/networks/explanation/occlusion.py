"""Change of a metric when a region or a time window is hidden from the networks, and influence of single frames."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.networks.explanation.explained_scan import ExplainedScan
from dlif_core.networks.explanation.targets import Target
from dlif_core.networks.prediction.features import WINDOWS, features, seen_through

Array = NDArray[np.float64]

# mean activity of voxels of the body [SUV]
_BODY = 0.2


@torch.no_grad()
def occluded_region(seen: ExplainedScan, target: Target, region: torch.Tensor) -> float:
    """Change of a metric when a region shows the mean of the body, and the networks segment that image.

    The change is a part of the metric: 1 means that nothing is left of it, a negative number that it rises. A region
    without activity would make an image unlike any on which the networks were trained.

    Parameters
    ----------
    seen, target
        The scan and the metric.
    region
        Part of each voxel that belongs to the region, shape (z, y, x).
    """
    whole = float(target.value(seen.own_curves))
    body = seen.activity.mean(dim=0) > _BODY
    average = seen.activity[:, body].mean(dim=1)[:, None, None, None]
    # a voxel that lies in the region shows exactly the average: unmixing may enlarge rounding a thousand times
    occluded = (1.0 - region) * seen.activity + region * average
    return 1.0 - float(target.value(seen.curves(occluded))) / whole


@torch.no_grad()
def occluded_windows(seen: ExplainedScan, target: Target) -> Array:
    """Change of a metric when the networks segment without seeing a time window, shape (windows,).

    They see the mean of the windows before and after instead, and read the curve from all frames. The change is a part
    of the metric, as in `occluded_region`; NaN for windows that the scan lacks.
    """
    whole = float(target.value(seen.own_curves))
    described = features(seen.scan)
    measured = torch.nonzero(described.constants[:WINDOWS] > 0).flatten().tolist()
    changes = np.full(WINDOWS, np.nan)
    for window in measured:
        windows = described.windows.clone()
        windows[window] = windows[[other for other in (window - 1, window + 1) if other in measured]].mean(dim=0)
        changed = seen.curves_from(seen_through(described, seen.activity, windows), seen.activity)
        changes[window] = 1.0 - float(target.value(changed)) / whole
    return changes


def frame_matrix(seen: ExplainedScan) -> Array:
    """Contribution of every frame of the image to every frame of the curve, shape (curve, image) [SUV].

    It is the gradient of the mean curve times activity, summed over voxels. The diagonal is what is read from the frame
    itself; other elements are the influence of the frames on the segmentation.
    """
    activity = seen.activity.clone().requires_grad_()
    rows = np.zeros((len(seen.timing),) * 2)
    for index in range(len(seen.networks)):
        curve = seen.member(index).curves(activity)[0]
        for frame, value in enumerate(curve):
            (gradient,) = torch.autograd.grad(value, activity, retain_graph=frame < len(curve) - 1)
            rows[frame] += (gradient * seen.activity).sum(dim=(1, 2, 3)).double().numpy(force=True)
    return rows / len(seen.networks)
