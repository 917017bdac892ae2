"""Checks of explanations on simulated scans whose truth is known.

Pointing game, share of relevance in the blood and deletion test whether the explanation shows what the curve was read
from; random weights test whether it depends on the network (Adebayo et al., NeurIPS 2018). Blood is that of the left
ventricle and the arteries for metrics of the first pass, which differs between arteries and veins. Metrics that late
blood decides are read from all pools of blood, and are checked on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.networks.explanation.explained_scan import ExplainedScan, explained_scan
from dlif_core.networks.explanation.relevance import STEPS, Relevance, relevance
from dlif_core.networks.explanation.targets import Target, curve_target
from dlif_core.networks.prediction.refinement import tissue_network
from dlif_core.networks.prediction.resampling import NETWORK_VOXEL
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.tissues import ARTERIAL_POOLS
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.phantom import CoarseScan
from dlif_core.phantom.anatomy import BLOOD_POOLS, ORGANS

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Metrics of the first pass.
FIRST_PASS = ("peak", "early-auc")

# a voxel is of the blood if it lies in a pool by this part; thin vessels fill no voxel
_IN_BLOOD = 0.25
# parts of the voxels that are deleted
_DELETED = np.linspace(0.0, 1.0, 11)
# mean activity of voxels of the body [SUV]
_BODY = 0.2


@dataclass(frozen=True)
class ExplanationMetrics:
    """Results of the checks of an explanation of one scan.

    Attributes
    ----------
    pointed
        Whether the voxel of highest relevance lies in the blood, dilated by the point spread function: in arterial
        blood for metrics of the first pass, see `pools_of`.
    blood_share
        Share of the positive relevance that lies there, as a multiple of the share of the volume.
    reading_pointed, reading_blood_share
        Both for the reading alone, that is the weight map times activity, added up for the metric.
    deletion
        Area under the course of the metric as voxels are deleted in the order of their relevance, as a multiple of that
        in random order. The weight map is kept; deleted voxels are not read.
    deletion_resegmented
        The same as `deletion`, but deleted voxels show no activity and the networks segment that image.
    randomisation
        Rank correlation over the body with the relevance of a network of random weights.
    gap
        Part of the metric by which the relevance does not add up to it.
    """

    pointed: bool
    blood_share: float
    reading_pointed: bool
    reading_blood_share: float
    deletion: float
    deletion_resegmented: float
    randomisation: float
    gap: float


def explanation_metrics(
    networks: Sequence[TissueNetwork], scan: CoarseScan, target: str = "auc", steps: int = STEPS
) -> ExplanationMetrics:
    """Explain a simulated scan and check the explanation against its truth.

    Parameters
    ----------
    networks
        Members of an ensemble.
    scan
        Simulated scan on the networks' grid.
    target
        Name of the metric, see `curve_target`.
    steps
        Number of points on the path of integrated gradients.
    """
    timing = scan.protocol.timing
    made = curve_target(target, timing)
    seen = explained_scan(networks, NetworkScan(scan.activity, timing, scan.mouse.body_weight))
    found = relevance(seen, made, steps)
    shares, read = found.voxels.mean(axis=0), read_shares(seen, made)
    blood = dilated_blood(scan, pools_of(target))
    return ExplanationMetrics(
        pointed=bool(blood.flat[shares.argmax()]),
        blood_share=share_in(shares, blood) / float(blood.mean()),
        reading_pointed=bool(blood.flat[read.argmax()]),
        reading_blood_share=share_in(read, blood) / float(blood.mean()),
        deletion=deletion(shares, _reading(seen, made)),
        deletion_resegmented=deletion(shares, _resegmenting(seen, made)),
        randomisation=randomisation(seen, made, found, steps),
        gap=found.gap,
    )


def read_shares(seen: ExplainedScan, target: Target) -> Array:
    """Shares of the voxels in a metric of the curve that the weight map reads, to first order; shape (z, y, x)."""
    read = seen.prediction.frame_weights * seen.activity
    curve = read.sum(dim=(1, 2, 3)).requires_grad_()
    (slope,) = torch.autograd.grad(target.value(curve[None]), curve)
    return np.asarray(torch.einsum("f,fzyx->zyx", slope, read).double().numpy(force=True))


def pools_of(target: str) -> tuple[str, ...]:
    """Organs whose blood a metric should be read from: arterial ones in the first pass, later veins as well."""
    return ARTERIAL_POOLS if target in FIRST_PASS else BLOOD_POOLS


def dilated_blood(scan: CoarseScan, pools: Sequence[str] = BLOOD_POOLS) -> Mask:
    """Mask of the voxels within one point spread function of these organs, shape (z, y, x)."""
    from scipy import ndimage

    indices = [1 + ORGANS.index(organ) for organ in pools]
    inside = (scan.fractions[indices].sum(dim=0) >= _IN_BLOOD).numpy(force=True)
    width = max(max(scan.protocol.resolution) / NETWORK_VOXEL, 1.0)
    return np.asarray(ndimage.distance_transform_edt(~inside) <= width)


def share_in(shares: Array, mask: Mask) -> float:
    """Share of the positive relevance that lies in a mask."""
    positive = np.clip(shares, 0.0, None)
    return float(positive[mask].sum() / positive.sum())


def deletion(shares: Array, left: Callable[[torch.Tensor], float], seed: int = 0) -> float:
    """Area under a metric as voxels are deleted, most relevant first, as a multiple of that in random order.

    Parameters
    ----------
    shares
        Relevance of the voxels, shape (z, y, x).
    left
        Function from a mask of the voxels that remain to the part of the metric that remains.
    seed
        Seed of the random order.
    """
    order = np.argsort(-shares, axis=None, kind="stable")
    random = np.random.default_rng(seed).permutation(order.size)
    areas = [np.trapezoid(_remainders(one, shares.shape, left), _DELETED) for one in (order, random)]
    return float(areas[0] / areas[1])


def _remainders(order: NDArray[np.intp], shape: tuple[int, ...], left: Callable[[torch.Tensor], float]) -> Array:
    parts = []
    for deleted in _DELETED:
        mask = torch.ones(order.size)
        mask[torch.from_numpy(order[: round(deleted * order.size)].copy())] = 0.0
        parts.append(float(np.clip(left(mask.view(shape)), 0.0, 1.0)))
    return np.array(parts)


def _reading(seen: ExplainedScan, target: Target) -> Callable[[torch.Tensor], float]:
    """Part of a metric that remains when the weight map of the whole scan is applied to fewer voxels."""
    read = seen.prediction.frame_weights * seen.activity
    whole = float(target.value(read.sum(dim=(1, 2, 3))[None]))
    return lambda mask: float(target.value((mask * read).sum(dim=(1, 2, 3))[None])) / whole


def _resegmenting(seen: ExplainedScan, target: Target) -> Callable[[torch.Tensor], float]:
    """Part of a metric that remains when the networks segment an image of fewer voxels."""
    with torch.no_grad():
        whole = float(target.value(seen.curves(seen.activity)))

    @torch.no_grad()
    def left(mask: torch.Tensor) -> float:
        return float(target.value(seen.curves(mask * seen.activity))) / whole if mask.any() else 0.0

    return left


def randomisation(seen: ExplainedScan, target: Target, found: Relevance, steps: int = STEPS, seed: int = 0) -> float:
    """Rank correlation over the body of the first member's relevance with that of a network of random weights."""
    from scipy.stats import spearmanr

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random = tissue_network(seen.networks[0].channels, seen.networks[0].revisions).to(seen.activity.device).eval()
    body = (seen.activity.mean(dim=0) > _BODY).numpy(force=True)
    alone = replace(seen.member(0), networks=(random,))
    other = relevance(alone, target, steps).voxels[0][body]
    # a network that reads nothing has no relevance to rank
    return float(spearmanr(found.voxels[0][body], other).statistic) if np.ptp(other) > 0 else 0.0
