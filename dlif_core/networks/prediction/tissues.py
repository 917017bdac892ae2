"""The tissues into which the networks divide a body."""

from __future__ import annotations

import torch

from dlif_core.phantom.anatomy import BLOOD_POOLS, ORGANS

#: Organs that hold arterial blood.
ARTERIAL_POOLS = ("aorta", "left_ventricle")

_ARTERIAL = [ORGANS.index(organ) for organ in ARTERIAL_POOLS]
_VENOUS = [ORGANS.index(organ) for organ in BLOOD_POOLS if organ not in ARTERIAL_POOLS]
_OTHERS = [index for index, organ in enumerate(ORGANS) if organ not in BLOOD_POOLS]

#: Arterial and venous blood, wherever they are pooled, and every other organ.
TISSUES = ("arterial_blood", "venous_blood", *(ORGANS[index] for index in _OTHERS))

#: Their places among the tissues.
ARTERIAL, VENOUS = 0, 1


def tissue_parts(weights: torch.Tensor) -> torch.Tensor:
    """Parts of the tissues from those of the organs, shape (organs, z, y, x) to (tissues, z, y, x)."""
    pools = [weights[pool].sum(dim=0, keepdim=True) for pool in (_ARTERIAL, _VENOUS)]
    return torch.cat([*pools, weights[_OTHERS]])
