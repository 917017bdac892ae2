"""The one way from keyword arguments to the settings of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

import numpy as np

from dlif_core.errors import ConfigurationError
from dlif_core.kinetics import FitSettings


def fit_settings(model: object, settings: Mapping[str, Any]) -> FitSettings:
    """Validated settings of a fit.

    Parameters
    ----------
    model
        Name of a model in `MODELS`.
    settings
        Fields of `FitSettings` by name; NumPy arrays and scalars and lists count as tuples and numbers.

    Raises
    ------
    ConfigurationError
        If a setting or the model is unknown, or a value is not possible.
    """
    if not isinstance(model, str):
        raise ConfigurationError(
            f"{model!r} is no model.", where="fit setting model", hint="Give its name; list(dlif.MODELS) shows all."
        )
    _require_known(settings)
    try:
        return FitSettings(model, **{name: plain(value) for name, value in settings.items()})
    except ConfigurationError:
        raise
    except (TypeError, ValueError) as fault:
        raise ConfigurationError(
            f"the settings can't be used: {fault}.", where=f"fit of {model}", hint="See help(dlif.FitSettings)."
        ) from fault


def plain(value: Any) -> Any:
    """A setting as plain Python: arrays and lists become tuples, NumPy scalars become numbers."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(plain(each) for each in value) if isinstance(value, list) else value


def _require_known(settings: Mapping[str, Any]) -> None:
    known = [field.name for field in fields(FitSettings) if field.name != "model"]
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise ConfigurationError(
                f"there is no fit setting {name!r}.{f' Did you mean {near[0]!r}?' if near else ''}",
                where="fit settings",
                hint=f"Settings are {', '.join(known)}.",
            )
