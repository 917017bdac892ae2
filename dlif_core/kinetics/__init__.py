"""Kinetic models and their fits: voxelwise (batched variable projection) and regional (lmfit).

`MODELS`, `FitSettings`, `FitStatus` and `FitContext` are light; the rest is loaded at first use, because it needs
torch, lmfit and xarray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlif_core.kinetics.context import Estimates, Estimator, FitContext, FitStatus
from dlif_core.kinetics.model import RATE_BOUNDS, CompartmentModel, Model, Parameter
from dlif_core.kinetics.models import MODELS
from dlif_core.kinetics.settings import DELAY_BOUNDS, FitSettings
from dlif_core.lazy import lazy_attribute

if TYPE_CHECKING:
    from dlif_core.kinetics.preparation import Preparation, prepare
    from dlif_core.kinetics.regional import fit_attributes, fit_regions
    from dlif_core.kinetics.voxels import VoxelFit
    from dlif_core.kinetics.weights import frame_weights

__all__ = [
    "DELAY_BOUNDS",
    "MODELS",
    "RATE_BOUNDS",
    "CompartmentModel",
    "Estimates",
    "Estimator",
    "FitContext",
    "FitSettings",
    "FitStatus",
    "Model",
    "Parameter",
    "Preparation",
    "VoxelFit",
    "fit_attributes",
    "fit_regions",
    "frame_weights",
    "prepare",
]

_HOME = {
    "Preparation": "preparation",
    "VoxelFit": "voxels",
    "fit_attributes": "regional",
    "fit_regions": "regional",
    "frame_weights": "weights",
    "prepare": "preparation",
}


def __getattr__(name: str) -> Any:
    return lazy_attribute(__name__, _HOME, name)
