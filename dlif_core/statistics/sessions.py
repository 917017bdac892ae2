"""Comparison of two sessions of the same subjects: drug effect and repeatability."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from dlif_core.errors import ConfigurationError
from dlif_core.statistics.agreement import intraclass_correlation
from dlif_core.statistics.tables import error_name, usable


def paired_sessions(table: xr.Dataset, parameter: str, sessions: tuple[str, str]) -> pd.DataFrame:
    """Values of a parameter in two sessions, side by side.

    Parameters
    ----------
    table
        Result of `dlif_core.statistics.tables.region_table`.
    parameter
        Name of the parameter.
    sessions
        First and second session.

    Returns
    -------
    Columns subject, region, first, second, first_se, second_se; only pairs of which both fits are usable.

    Raises
    ------
    ConfigurationError
        If a subject has more than one scan in a session, so that a pair is not defined.
    """
    first, second = (_of_session(table, parameter, session) for session in sessions)
    pairs = first.merge(second, on=["subject", "region"], suffixes=("_1", "_2"), validate="one_to_one")
    pairs = pairs.rename(columns={"value_1": "first", "value_2": "second", "se_1": "first_se", "se_2": "second_se"})
    return pairs[["subject", "region", "first", "second", "first_se", "second_se"]]


def _of_session(table: xr.Dataset, parameter: str, session: str) -> pd.DataFrame:
    chosen = table.isel(scan=np.flatnonzero(table["session"].to_numpy() == session))
    subjects = pd.Series(chosen["subject"].to_numpy())
    if subjects.duplicated().any():
        raise ConfigurationError(
            f"subject {subjects[subjects.duplicated()].iloc[0]} has more than one scan in session {session}.",
            where=f"comparison of {parameter}",
            hint="Select one scan a session before you compare sessions.",
        )
    values = xr.Dataset({"value": usable(chosen, parameter), "se": chosen[error_name(chosen, parameter)]})
    rows: pd.DataFrame = values.to_dataframe().reset_index()[["subject", "region", "value", "se"]]
    return rows.dropna(subset=["value"])


def session_ratio(table: xr.Dataset, parameter: str, numerator: str, denominator: str) -> pd.DataFrame:
    """Ratio of a parameter between two sessions, for every subject and region.

    The standard error is that of the delta method for independent sessions,
    SE(a/b) = |a/b|·√((SE_a/a)² + (SE_b/b)²). Mean and SD over subjects:
    ``summarise(ratios, "ratio", ["region"])``.

    Returns
    -------
    Columns subject, region, numerator, denominator, ratio, ratio_se.
    """
    pairs = paired_sessions(table, parameter, (numerator, denominator))
    a, b = pairs["first"], pairs["second"]
    ratio = (a / b).where(b != 0)
    # Written without a division by a, which may be zero.
    error = np.sqrt((pairs["first_se"] / b) ** 2 + (a * pairs["second_se"] / b**2) ** 2)
    return pd.DataFrame(
        {
            "subject": pairs["subject"],
            "region": pairs["region"],
            "numerator": a,
            "denominator": b,
            "ratio": ratio,
            "ratio_se": error.where(b != 0),
        }
    )


def retest_differences(table: xr.Dataset, parameter: str, sessions: tuple[str, str]) -> pd.DataFrame:
    """Difference between test and retest for every subject and region.

    Returns
    -------
    Columns subject, region, first, second, difference_percent (second − first, in per cent of their mean)
    and absolute_variability_percent (its absolute value).
    """
    pairs = paired_sessions(table, parameter, sessions).drop(columns=["first_se", "second_se"])
    pairs["difference_percent"] = 200 * (pairs["second"] - pairs["first"]) / (pairs["first"] + pairs["second"])
    pairs["absolute_variability_percent"] = pairs["difference_percent"].abs()
    return pairs


def retest_reliability(table: xr.Dataset, parameter: str, sessions: tuple[str, str]) -> pd.DataFrame:
    """Repeatability of a parameter for every region.

    Returns
    -------
    Columns region, n (subjects), mean (of both sessions), difference_percent, absolute_variability_percent
    (means over subjects), within_subject_sd and repeatability_coefficient (in the parameter's unit), icc, icc_lower,
    icc_upper (ICC(2,1) with 95 % interval; NaN for fewer than three subjects).

    Notes
    -----
    Within-subject SD = √(mean d²/2); repeatability coefficient = 1.96·√2·within-subject SD
    (Bland and Altman, Lancet 1986;327:307).
    """
    differences = retest_differences(table, parameter, sessions)
    rows = [_repeatability(str(region), rows) for region, rows in differences.groupby("region", sort=False)]
    return pd.DataFrame(rows, columns=list(_REPEATABILITY))


_REPEATABILITY = (
    "region",
    "n",
    "mean",
    "difference_percent",
    "absolute_variability_percent",
    "within_subject_sd",
    "repeatability_coefficient",
    "icc",
    "icc_lower",
    "icc_upper",
)


def _repeatability(region: str, rows: pd.DataFrame) -> dict[str, float | str]:
    values = rows[["first", "second"]].to_numpy(float)
    within = float(np.sqrt(np.mean(np.diff(values, axis=1) ** 2) / 2))
    reliability = intraclass_correlation(values)
    return {
        "region": region,
        "n": len(rows),
        "mean": float(values.mean()),
        "difference_percent": float(rows["difference_percent"].mean()),
        "absolute_variability_percent": float(rows["absolute_variability_percent"].mean()),
        "within_subject_sd": within,
        "repeatability_coefficient": 1.96 * float(np.sqrt(2)) * within,
        "icc": reliability.coefficient,
        "icc_lower": reliability.interval[0],
        "icc_upper": reliability.interval[1],
    }
