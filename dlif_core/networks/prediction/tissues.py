"""The tissues into which the networks divide a body."""

from __future__ import annotations

import torch

from dlif_core.phantom.anatomy import BLOOD_POOLS, ORGANS

_BLOOD = [ORGANS.index(organ) for organ in BLOOD_POOLS]
_OTHERS = [index for index in range(len(ORGANS)) if index not in _BLOOD]

#: Arterial blood, wherever it is pooled, and every other organ.
TISSUES = ("blood", *(ORGANS[index] for index in _OTHERS))


def tissue_parts(weights: torch.Tensor) -> torch.Tensor:
    """Parts of the tissues from those of the organs, shape (organs, z, y, x) to (tissues, z, y, x)."""
    return torch.cat([weights[_BLOOD].sum(dim=0, keepdim=True), weights[_OTHERS]])
