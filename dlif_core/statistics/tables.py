"""The cohort's tables of region parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from dlif_core.errors import ConfigurationError
from dlif_core.kinetics import FitStatus

_OPTIMUM = (FitStatus.CONVERGED, FitStatus.AT_BOUND, FitStatus.DEGENERATE)

#: Status of a region that a scan doesn't have.
NO_REGION = -1

TIDY_COLUMNS = (
    "scan_id",
    "subject",
    "session",
    "fit",
    "input_function",
    "region",
    "parameter",
    "value",
    "standard_error",
    "status",
    "unit",
)


def parameter_names(dataset: xr.Dataset) -> tuple[str, ...]:
    """Names of the parameters of a fit: the variables that have a standard error beside them, in order."""
    return tuple(str(name) for name in dataset.data_vars if f"{name}_se" in dataset)


def error_name(dataset: xr.Dataset, parameter: str) -> str:
    """Name of the standard error of a parameter: the total one where that of the input function is known."""
    total = f"{parameter}_total_se"
    return total if total in dataset else f"{parameter}_se"


def status_meanings(dataset: xr.Dataset) -> dict[int, str]:
    """Code → meaning of the ``status`` variable, from its CF flag attributes."""
    attributes = dataset["status"].attrs
    codes = np.atleast_1d(attributes["flag_values"]).tolist()
    return {int(code): word for code, word in zip(codes, attributes["flag_meanings"].split(), strict=True)}


def region_table(datasets: Mapping[str, xr.Dataset], scans: pd.DataFrame) -> xr.Dataset:
    """One fit of all scans in one dataset.

    Parameters
    ----------
    datasets
        Scan id → dataset of the fit, with dimension ``region``.
    scans
        Columns scan_id, subject, session; one row a scan.

    Returns
    -------
    Dims (scan, region), coordinates ``subject``, ``session`` and ``input_function``, the method whose curve the fit
    rests on ("" for none), along scan. Regions are joined: where a scan lacks
    one, its values are NaN and its status is `NO_REGION`.

    Raises
    ------
    ConfigurationError
        If the datasets are of different models.
    """
    _require_one_model(datasets)
    meanings = status_meanings(next(iter(datasets.values())))
    parts = [_per_region(dataset) for dataset in datasets.values()]
    order = list(dict.fromkeys(region for part in parts for region in part["region"].to_numpy().tolist()))
    ids = list(datasets)
    table = xr.concat(
        [part.reindex(region=order, fill_value={"status": NO_REGION}) for part in parts],
        dim=pd.Index(ids, name="scan"),
        combine_attrs="drop_conflicts",
    )
    codes = meanings | {NO_REGION: "no_region"}
    table["status"].attrs |= {
        "flag_values": np.array(list(codes), np.int16),
        "flag_meanings": " ".join(codes.values()),
    }
    known = scans.set_index("scan_id").loc[ids]
    return table.assign_coords(
        subject=("scan", known["subject"].to_numpy(object)),
        session=("scan", known["session"].to_numpy(object)),
        input_function=("scan", _input_functions(datasets)),
    )


def join_region_tables(tables: Sequence[xr.Dataset]) -> xr.Dataset:
    """Tables of the same fit of different scans, from `region_table`, in one.

    Raises
    ------
    ConfigurationError
        If the tables are of different models.
    """
    _require_one_model({str(table["scan"].to_numpy()[0]): table for table in tables})
    order = list(dict.fromkeys(str(region) for table in tables for region in table["region"].to_numpy()))
    whole = [table.reindex(region=order, fill_value={"status": NO_REGION}) for table in tables]
    return xr.concat(whole, dim="scan", combine_attrs="drop_conflicts", join="exact") if len(whole) > 1 else whole[0]


def _input_functions(datasets: Mapping[str, xr.Dataset]) -> NDArray[np.object_]:
    return np.array([str(dataset.attrs.get("input_function", "")) for dataset in datasets.values()], object)


def _require_one_model(datasets: Mapping[str, xr.Dataset]) -> None:
    models = {str(dataset.attrs.get("model")): scan for scan, dataset in datasets.items()}
    if len(models) != 1:
        raise ConfigurationError(
            f"a table of one fit was asked for from {len(models)} models ({', '.join(sorted(models)) or 'no scans'}).",
            where=", ".join(models.values()),
            hint="Run the fit again for all scans with the present settings.",
        )


def _per_region(dataset: xr.Dataset) -> xr.Dataset:
    names = [name for name, variable in dataset.data_vars.items() if variable.dims == ("region",)]
    part = dataset[names].reset_coords(drop=True)
    # uint8 has no room for NO_REGION.
    return part.assign(status=part["status"].astype(np.int16))


def to_tidy(tables: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """All fits of a cohort as one table, one row a value.

    Parameters
    ----------
    tables
        Fit name → `region_table`.

    Returns
    -------
    Columns `TIDY_COLUMNS`; regions that a scan lacks have no row. The unit is the one of value and standard error.
    """
    parts = [
        _tidy_parameter(fit, table, parameter) for fit, table in tables.items() for parameter in parameter_names(table)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(TIDY_COLUMNS))


def _tidy_parameter(fit: str, table: xr.Dataset, parameter: str) -> pd.DataFrame:
    error = error_name(table, parameter)
    names = {parameter: "value", error: "standard_error", "scan": "scan_id"}
    chosen = table[[parameter, error, "status"]].rename(names)
    rows = chosen.to_dataframe().reset_index()
    rows = rows[rows["status"] != NO_REGION]
    rows["status"] = rows["status"].map(status_meanings(table))
    rows = rows.assign(fit=fit, parameter=parameter, unit=table[parameter].attrs["units"])
    return rows[list(TIDY_COLUMNS)]


def usable(table: xr.Dataset, parameter: str) -> xr.DataArray:
    """Values that may enter a cohort's mean: NaN where the fit did not end at an optimum.

    An unconverged fit still has a number, but one that says nothing; so has one with a K1 or Ki that no living tissue
    has. A degenerate fit counts: what the data do not
    determine is NaN in it already.
    """
    return table[parameter].where(table["status"].isin(_OPTIMUM))


def summarise(values: pd.DataFrame, column: str, by: Sequence[str]) -> pd.DataFrame:
    """Count, mean, standard deviation and coefficient of variation of a column in groups.

    Parameters
    ----------
    values
        Rows to group; NaN are left out.
    column
        What to summarise.
    by
        Columns that make the groups; groups stay in the order of their first row.

    Returns
    -------
    Columns `by`, n, mean, sd, cv_percent.
    """
    groups = values.groupby(list(by), sort=False, dropna=False)[column]
    table = groups.agg(n="count", mean="mean", sd="std").reset_index()
    table["cv_percent"] = 100 * table["sd"] / table["mean"].abs()
    return table


def parameter_summary(table: xr.Dataset, parameter: str) -> pd.DataFrame:
    """Mean, SD and CV of a parameter for every session and region.

    Returns
    -------
    Columns session, region, n, mean, sd, cv_percent; only `usable` values count.
    """
    rows = usable(table, parameter).rename("value").to_dataframe().reset_index()
    return summarise(rows, "value", ("session", "region"))
