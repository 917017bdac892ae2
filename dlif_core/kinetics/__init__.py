"""Kinetic models and their fits: voxelwise (batched variable projection) and regional (lmfit).

`MODELS`, `FitSettings` and `FitStatus` are light; `VoxelFit`, `fit_regions`, `image_delay` and `frame_weights`
are loaded at first use, because they need torch, lmfit and xarray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dlif_core.kinetics.models import MODELS, RATE_BOUNDS, Model, Parameter
from dlif_core.kinetics.settings import DELAY_BOUNDS, FitSettings, FitStatus

if TYPE_CHECKING:
    from dlif_core.kinetics.regional import fit_regions, image_delay
    from dlif_core.kinetics.voxels import VoxelFit
    from dlif_core.kinetics.weights import frame_weights

__all__ = [
    "DELAY_BOUNDS",
    "MODELS",
    "RATE_BOUNDS",
    "FitSettings",
    "FitStatus",
    "Model",
    "Parameter",
    "VoxelFit",
    "fit_regions",
    "frame_weights",
    "image_delay",
]

_HOME = {"VoxelFit": "voxels", "fit_regions": "regional", "image_delay": "regional", "frame_weights": "weights"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
