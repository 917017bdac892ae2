"""The one way from keyword arguments to the settings of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from dlif_core.errors import ConfigurationError
from dlif_core.kinetics import FitSettings
from dlif_core.registry import suggestion

#: Arguments that describe a scan; they belong where it is made.
_ABOUT_THE_SCAN = ("acquisition", "blood", "blood_units", "radionuclide", "time_unit", "timing", "units")
_OF_THE_SCAN = "It describes the scan: give it to dlif.read_curves or dlif.from_arrays, and fit what that returns."


def fit_settings(model: object, settings: Mapping[str, Any]) -> FitSettings:
    """Validated settings of a fit.

    Parameters
    ----------
    model
        Name of a model in `MODELS`.
    settings
        Fields of `FitSettings` by name.

    Raises
    ------
    ConfigurationError
        If a setting or the model is unknown, or a value is not possible.
    """
    _require_known(settings)
    return FitSettings(model, **settings)  # type: ignore[arg-type]


def _require_known(settings: Mapping[str, Any]) -> None:
    known = [field.name for field in fields(FitSettings) if field.name != "model"]
    for name in settings:
        if name not in known:
            raise ConfigurationError(
                f"there is no fit setting {name!r}.{suggestion(name, known)}",
                where="fit settings",
                hint=_OF_THE_SCAN if name in _ABOUT_THE_SCAN else f"Settings are {', '.join(known)}.",
            )
