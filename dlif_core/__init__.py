"""Quantitative dynamic PET: input functions, kinetics and parametric maps.

>>> import dlif_core as dlif
>>> scan = dlif.read_curves("tacs.tsv", blood="blood.tsv")
>>> fit = dlif.fit(scan, "2tcm-irreversible", delay="region")

What there is to choose from, other packages' parts included, is in three registries:

>>> list(dlif.MODELS)[:3], dlif.MODELS["patlak"].title
(['patlak', 'relative-patlak', 'logan'], 'Patlak plot')
>>> list(dlif.METHODS)[:3], list(dlif.READERS)[:2]
(['arterial', 'learned', 'image-derived'], ['pet-bids', 'dicom'])

The names below are the public API. Each is loaded when it is first used, so that importing this package costs next to
nothing. The library stands alone: it knows neither Prefect nor the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlif_core.lazy import lazy_attribute

if TYPE_CHECKING:
    from dlif_core.api.arrays import from_arrays
    from dlif_core.api.blood_curve import blood
    from dlif_core.api.checking import check
    from dlif_core.api.curves import read_curves
    from dlif_core.api.fits import compare_models, fit
    from dlif_core.api.folders import open_scan
    from dlif_core.api.images import fit_image
    from dlif_core.api.inputs import estimate_input_function
    from dlif_core.api.pet_scan import PetScan
    from dlif_core.curve import InputFunction
    from dlif_core.errors import ConfigurationError, DlifError, DlifWarning, InputError
    from dlif_core.frames import FrameTiming
    from dlif_core.ingest import READERS
    from dlif_core.input_function.registry import METHODS
    from dlif_core.kinetics import MODELS, FitSettings, FitStatus
    from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
    from dlif_core.store import open_store

__all__ = [
    "METHODS",
    "MODELS",
    "READERS",
    "Acquisition",
    "ConfigurationError",
    "DlifError",
    "DlifWarning",
    "DynamicScan",
    "FitSettings",
    "FitStatus",
    "FrameTiming",
    "InputError",
    "InputFunction",
    "PetScan",
    "RegionCurves",
    "blood",
    "check",
    "compare_models",
    "estimate_input_function",
    "fit",
    "fit_image",
    "from_arrays",
    "open_scan",
    "open_store",
    "read_curves",
]

#: Module of each name, below this package.
_HOME = {
    "METHODS": "input_function.registry",
    "MODELS": "kinetics",
    "READERS": "ingest",
    "Acquisition": "scan",
    "ConfigurationError": "errors",
    "DlifError": "errors",
    "DlifWarning": "errors",
    "DynamicScan": "scan",
    "FitSettings": "kinetics",
    "FitStatus": "kinetics",
    "FrameTiming": "frames",
    "InputError": "errors",
    "InputFunction": "curve",
    "PetScan": "api.pet_scan",
    "RegionCurves": "scan",
    "blood": "api.blood_curve",
    "check": "api.checking",
    "compare_models": "api.fits",
    "estimate_input_function": "api.inputs",
    "fit": "api.fits",
    "fit_image": "api.images",
    "from_arrays": "api.arrays",
    "open_scan": "api.folders",
    "open_store": "store",
    "read_curves": "api.curves",
}


def __getattr__(name: str) -> Any:
    value = lazy_attribute(__name__, _HOME, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
