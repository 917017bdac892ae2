"""Kinetic parameters of regions as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from dlif_core.statistics.tables import error_name, parameter_names, status_meanings

#: Columns of `long_table`.
LONG_COLUMNS = (
    "region",
    "parameter",
    "value",
    "standard_error",
    "interval_lower",
    "interval_upper",
    "unit",
    "status",
)


def long_table(fit: xr.Dataset) -> pd.DataFrame:
    """The parameters of all regions, one row a value.

    Parameters
    ----------
    fit
        Result of a kinetic analysis of regions.

    Returns
    -------
    Columns `LONG_COLUMNS`. The interval is the 95 % profile-likelihood interval, NaN where none was asked for; value,
    error and interval have the unit of the row.
    """
    tables = [_of_parameter(fit, name) for name in parameter_names(fit)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(LONG_COLUMNS))


def _of_parameter(fit: xr.Dataset, name: str) -> pd.DataFrame:
    columns = (region_names(fit), name, *_numbers(fit, name), fit[name].attrs["units"], _status(fit))
    return pd.DataFrame(dict(zip(LONG_COLUMNS, columns, strict=True)))


def _numbers(fit: xr.Dataset, name: str) -> tuple[Any, ...]:
    """Values, standard errors and both ends of the interval, each of shape (regions,)."""
    missing = np.full(fit.sizes["region"], np.nan)
    parts = (name, error_name(fit, name), f"{name}_lower", f"{name}_upper")
    return tuple(fit[part].to_numpy() if part in fit else missing for part in parts)


def _status(fit: xr.Dataset) -> list[str]:
    meanings = status_meanings(fit)
    return [meanings[int(code)] for code in fit["status"].to_numpy()]


def region_names(fit: xr.Dataset) -> list[str]:
    """Names of the regions of a fit, in order."""
    return [str(name) for name in fit["region"].to_numpy()]
