"""The registry of kinetic models. A model is one module with a `MODEL`; it is entered here."""

from __future__ import annotations

from dlif_core.kinetics.models import (
    common_volume,
    frtm,
    fur,
    irreversible,
    liver,
    logan,
    ma1,
    ma2,
    mrtm,
    mrtm2,
    one_tissue,
    patlak,
    reference_logan,
    reference_patlak,
    relative_patlak,
    reversible,
    spectral,
    srtm,
    srtm2,
    suv,
    suvr,
    water,
)
from dlif_core.kinetics.models.base import RATE_BOUNDS, CompartmentModel, Model, Option, Parameter

__all__ = ["MODELS", "RATE_BOUNDS", "CompartmentModel", "Model", "Option", "Parameter"]

_MODULES = (
    patlak,
    relative_patlak,
    logan,
    ma1,
    ma2,
    reference_patlak,
    reference_logan,
    mrtm,
    mrtm2,
    srtm,
    srtm2,
    frtm,
    one_tissue,
    irreversible,
    reversible,
    water,
    common_volume,
    liver,
    spectral,
    fur,
    suv,
    suvr,
)

#: Every kinetic model by name.
MODELS: dict[str, Model] = {module.MODEL.name: module.MODEL for module in _MODULES}
