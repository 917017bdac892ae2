"""The built-in kinetic models. A model is one module with a `MODEL`, which is entered here into `MODELS`."""

from __future__ import annotations

from dlif_core.kinetics.model import MODELS
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

__all__ = ["MODELS"]

for _module in (
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
):
    MODELS.register(_module.MODEL)
