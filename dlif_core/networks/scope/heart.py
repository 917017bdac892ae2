"""Whether the left ventricle was found: clear arterial blood beside myocardium, as in no other part of the body."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from dlif_core.networks.prediction.tissues import ARTERIAL, TISSUES
from dlif_core.networks.scope.verdict import Verdict

_MYOCARDIUM = TISSUES.index("myocardium")
# voxels across the cube in which myocardium is beside blood
_BESIDE = 5
# share of sound scans below the limit; the least limit [mm³], above what is found in sound scans without their heart
_BELOW, _LEAST = 0.01, 0.6
_TINY = 0.1  # added to volumes before they are compared [mm³]
_FAR = 1.5  # distance from which no blood can be read


def ventricle_volume(tissues: torch.Tensor) -> float:
    """Volume of the left ventricle that a segmentation shows [mm³].

    The sum over voxels of the square of the part of arterial blood, so that blurred and doubtful blood counts little,
    times the largest part of myocardium within 2 mm.

    Parameters
    ----------
    tissues
        Segmentation in voxels of 1 mm, shape (tissues, z, y, x).
    """
    beside = functional.max_pool3d(tissues[_MYOCARDIUM][None, None], _BESIDE, stride=1, padding=_BESIDE // 2)[0, 0]
    return float((tissues[ARTERIAL].square() * beside).sum())


def fit_heart(volumes: Sequence[float]) -> float:
    """Least `ventricle_volume` of a scan in scope [mm³], from those of sound scans."""
    return max(_LEAST, float(np.quantile(volumes, _BELOW, method="lower")))


def heart_distance(volume: float, limit: float) -> float:
    """Distance of a scan from sound ones by its ventricle, above 1 if it is smaller than the limit."""
    return (limit + _TINY) / (volume + _TINY)


def check_heart(volume: float, limit: float) -> Verdict:
    """Judge a scan by its `ventricle_volume` and the least that sound scans have [mm³]."""
    distance = heart_distance(volume, limit)
    if distance <= 1.0:
        return Verdict(score=distance)
    reason = (
        f"no left ventricle was found in the image (arterial blood beside myocardium: {volume:.2g} mm³, in sound scans "
        f"above {limit:.2g} mm³): is the heart in the field of view?"
    )
    return Verdict("out of scope" if distance > _FAR else "doubtful", (reason,), distance)
