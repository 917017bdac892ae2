"""Metrics of a cohort from the records of its scans, with bootstrap intervals over animals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dlif_core.evaluation.conditions import STANDARD
from dlif_core.evaluation.metrics import KI_INTERVALS, ORGANS
from dlif_core.evaluation.runner import FAILED, MADE
from dlif_core.statistics.resampling import bootstrap_interval, paired_difference, rank_correlation, roc_area

Array = NDArray[np.float64]
Limits = tuple[float, float]

#: Verdict on a scan without a reason against it.
IN_SCOPE = "in scope"

_ANY: Limits = (-np.inf, np.inf)

COLUMNS = ("condition", "method", "figure", "title", "unit", "value", "low", "high", "n", "required", "reached")


@dataclass(frozen=True)
class Metric:
    """A metric of a cohort.

    Attributes
    ----------
    name, title, unit
        Name, title and unit in tables.
    columns
        Columns of the records from which it is computed; scans that lack one are left out.
    statistic
        Function of the columns and, if it is vectorized, of an axis.
    required
        Least and greatest value that the learned method has to reach.
    vectorized
        Whether the statistic works along an axis.
    """

    name: str
    title: str
    unit: str
    columns: tuple[str, ...]
    statistic: Callable[..., Any]
    required: Limits = _ANY
    vectorized: bool = True


def _median_size(values: Array, axis: int = -1) -> Any:
    return np.median(np.abs(values), axis=axis)


def _p95_size(values: Array, axis: int = -1) -> Any:
    return np.percentile(np.abs(values), 95, axis=axis)


def _p05(values: Array, axis: int = -1) -> Any:
    return np.percentile(values, 5, axis=axis)


def _p95(values: Array, axis: int = -1) -> Any:
    return np.percentile(values, 95, axis=axis)


def _ratio_of_medians(first: Array, second: Array, axis: int = -1) -> Any:
    return np.median(first, axis=axis) / np.median(second, axis=axis)


def _recall(flagged: Array, faulty: Array, axis: int = -1) -> Any:
    return _share(flagged * faulty, faulty, axis)


def _precision(flagged: Array, faulty: Array, axis: int = -1) -> Any:
    return _share(flagged * faulty, flagged, axis)


def _share(part: Array, whole: Array, axis: int) -> Any:
    """Ratio of sums along an axis; NaN where the whole is zero."""
    total = np.sum(whole, axis=axis)
    return np.where(total > 0, np.sum(part, axis=axis) / np.maximum(total, 1), np.nan)


_WORST_KI = {"brain": 5.0, "myocardium": 5.0, "tumour": 6.0}

#: Metrics of every method on the held-out cohort.
COHORT_METRICS = (
    Metric("rmse", "whole-blood RMSE, median", "SUV", ("rmse",), np.median, (0.0, 0.30)),
    Metric("auc_ratio", "AUC ratio, median", "", ("auc_ratio",), np.median, (0.98, 1.02)),
    Metric("auc_ratio_p05", "AUC ratio, 5 %", "", ("auc_ratio",), _p05, (0.93, np.inf)),
    Metric("auc_ratio_p95", "AUC ratio, 95 %", "", ("auc_ratio",), _p95, (0.0, 1.07)),
    Metric("peak_ratio", "peak ratio, median", "", ("peak_ratio",), np.median, (0.95, 1.05)),
    Metric("fwhm_error", "FWHM error, median size", "min", ("fwhm_error",), _median_size, (0.0, 0.05)),
    *(
        metric
        for organ, worst in _WORST_KI.items()
        for metric in (
            Metric(f"ki_{organ}", f"Ki error {organ}, median", "%", (f"ki_{organ}_error",), _median_size, (0.0, worst)),
            Metric(f"ki_{organ}_p95", f"Ki error {organ}, 95 %", "%", (f"ki_{organ}_error",), _p95_size, (0.0, 15.0)),
        )
    ),
    Metric("k1_brain", "K1 error brain, median", "%", ("k1_brain_error",), _median_size, (0.0, 10.0)),
    Metric("k1_brain_p95", "K1 error brain, 95 %", "%", ("k1_brain_error",), _p95_size),
    Metric("band_covers", "90 % band holds the whole curve", "share", ("band_covers",), np.mean, (0.86, 0.94)),
    Metric("band_width", "width of the band, mean", "SUV", ("band_width",), np.mean),
    Metric(
        "error_and_width", "Spearman of RMSE and width", "", ("rmse", "band_width"), rank_correlation, (0.5, 1.0), False
    ),
    *(
        Metric(f"{name}_covered", f"90 % interval holds the {title}", "share", (f"{name}_covered",), np.mean)
        for name, title in [
            ("auc", "AUC"),
            ("peak", "peak"),
            *((f"ki_{organ}", f"Ki {organ}") for organ in KI_INTERVALS),
        ]
    ),
    Metric("seconds", "processor time, median", "s", ("seconds",), np.median),
)

#: Metrics against the standard cohort on the frames present: condition, column of the standard cohort.
_VARIANTS = {"truncated": "early_rmse", "shifted": "rmse"}
_MOST_WORSE: Limits = (0.0, 1.25)

#: Metrics of the scope check, from whether a scan was flagged and whether it has a fault.
SCOPE_METRICS = (
    Metric("recall", "recall of faults", "share", ("flagged", "faulty"), _recall, (0.95, 1.0)),
    Metric("precision", "precision", "share", ("flagged", "faulty"), _precision, (0.90, 1.0)),
    Metric("auroc", "area under the ROC", "", ("suspicion", "faulty"), roc_area, vectorized=False),
)

#: Groups of the cohort by their title; each takes the records.
SUBGROUPS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "below 26 g": lambda table: table["body_weight"] < 0.026,
    "26 g and more": lambda table: table["body_weight"] >= 0.026,
    "without tumour": lambda table: table["tumour"] == 0,
    "with tumour": lambda table: table["tumour"] > 0,
    "low noise (α < 1.5)": lambda table: table["noise"] < 1.5,
    "high noise (α ≥ 1.5)": lambda table: table["noise"] >= 1.5,
    # centres are .028 fasted and .19 fed; halfway between them on a logarithmic scale
    "low myocardial Ki (< .07, as fasted)": lambda table: table["myocardium_ki"] < 0.07,
    "high myocardial Ki (as fed)": lambda table: table["myocardium_ki"] >= 0.07,
}
_SUBGROUP_METRICS = ("rmse", "auc_ratio", "peak_ratio", *(f"ki_{organ}" for organ in ORGANS), "k1_brain", "band_covers")


def metric_row(metric: Metric, table: pd.DataFrame) -> dict[str, Any]:
    """One metric with its 95 % bootstrap interval, from records of one method.

    Returns
    -------
    ``figure`` (name of the metric), ``title``, ``unit``, ``value``, ``low``, ``high``, ``n`` (number of scans),
    ``required`` and ``reached`` (None without a requirement or without a value).
    """
    known = table.reindex(columns=list(metric.columns)).astype(float).dropna()
    columns = [known[name].to_numpy() for name in metric.columns]
    value = float(metric.statistic(*columns)) if len(known) else np.nan
    low, high = bootstrap_interval(columns, metric.statistic, vectorized=metric.vectorized)
    least, most = metric.required
    stated = metric.required != _ANY and np.isfinite(value)
    return {
        "figure": metric.name,
        "title": metric.title,
        "unit": metric.unit,
        "value": value,
        "low": low,
        "high": high,
        "n": len(known),
        "required": _limits_text(metric.required),
        "reached": bool(least <= value <= most) if stated else None,
    }


def _limits_text(limits: Limits) -> str:
    low, high = limits
    if limits == _ANY:
        return ""
    if low <= 0:
        return f"≤ {high:g}"
    return f"≥ {low:g}" if high in (1.0, np.inf) else f"{low:g} to {high:g}"


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """All metrics of all methods.

    Parameters
    ----------
    table
        Records from `runner.evaluate`.

    Returns
    -------
    One row a condition, method and metric, with `COLUMNS`.
    """
    rows = [row for method in _methods(table) for row in _metrics_of(table, method)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _metrics_of(table: pd.DataFrame, method: str) -> Iterator[dict[str, Any]]:
    own = table[table["method"] == method]
    cohort = own[own["condition"] == STANDARD]
    made = (cohort["outcome"] == MADE).astype(float)
    of_cohort = {"condition": STANDARD, "method": method}
    yield of_cohort | metric_row(_MADE, pd.DataFrame({"made": made}))
    for metric in COHORT_METRICS:
        if any(name in cohort and cohort[name].notna().any() for name in metric.columns[-1:]):
            yield of_cohort | metric_row(metric, cohort)
    for condition, column in _VARIANTS.items():
        yield {"condition": condition, "method": method} | _against_standard(own, condition, column)
    yield from _scope_metrics(own, method)


_MADE = Metric("made", "curves made", "share", ("made",), np.mean)


def _against_standard(own: pd.DataFrame, condition: str, column: str) -> dict[str, Any]:
    """Median RMSE of a condition relative to that of the same animals in the standard cohort."""
    pairs = [
        own.loc[own["condition"] == name].set_index("seed").reindex(columns=[kind])[kind].rename(name)
        for name, kind in ((condition, "rmse"), (STANDARD, column))
    ]
    title = f"RMSE {condition}, of the standard cohort's"
    metric = Metric(f"{condition}_rmse", title, "", (condition, STANDARD), _ratio_of_medians, _MOST_WORSE)
    return metric_row(metric, pd.concat(pairs, axis=1))


_JUDGED = ("condition", "fault", "outcome", "verdict", "score")


def _scope_metrics(own: pd.DataFrame, method: str) -> Iterator[dict[str, Any]]:
    """Metrics of the verdicts on sound scans of the cohort and on faulty ones; none for methods without verdicts."""
    if "verdict" not in own or not own["verdict"].notna().any():
        return
    judged = own[(own["condition"] == STANDARD) | (own["fault"] != "")].reindex(columns=list(_JUDGED))
    crashed = judged["outcome"] == FAILED
    verdicts = pd.DataFrame(
        {
            "kind": judged["condition"],
            "flagged": ((judged["verdict"] != IN_SCOPE) & ~crashed).astype(float),
            "faulty": (judged["fault"] != "").astype(float),
            # a scan that was refused outright is the most suspicious; a method that broke down suspected nothing
            "suspicion": judged["score"].astype(float).fillna(np.inf).mask(crashed, -np.inf),
        }
    )
    for metric in SCOPE_METRICS:
        yield {"condition": "faults", "method": method} | metric_row(metric, verdicts)
    for kind, rows in verdicts.groupby("kind", sort=False):
        yield {"condition": str(kind), "method": method} | metric_row(_FLAGGED, rows)


_FLAGGED = Metric("flagged", "share flagged", "share", ("flagged",), np.mean)


def compare(table: pd.DataFrame, first: str) -> pd.DataFrame:
    """RMSE of one method against every other on the scans for which both made a curve.

    Returns
    -------
    Columns method, other, n, difference (median over scans of the first's less the other's), low, high [SUV], p_value
    (two-sided, Wilcoxon's signed-rank test).
    """
    cohort = table[table["condition"] == STANDARD]
    errors = cohort.reindex(columns=["seed", "method", "rmse"]).pivot(index="seed", columns="method", values="rmse")
    rows = []
    for other in _methods(table):
        if other != first:
            found = paired_difference(errors[first], errors[other])
            low, high = found.interval
            values = (first, other, found.n, found.median, low, high, found.p_value)
            rows.append(values)
    return pd.DataFrame(rows, columns=["method", "other", "n", "difference", "low", "high", "p_value"])


def subgroups(table: pd.DataFrame) -> pd.DataFrame:
    """Metrics of groups of the cohort.

    Returns
    -------
    Columns method, group, scans, and one for each metric.
    """
    metrics = [metric for metric in COHORT_METRICS if metric.name in _SUBGROUP_METRICS]
    cohort = table[table["condition"] == STANDARD]
    rows = []
    for method in _methods(table):
        own = cohort[cohort["method"] == method]
        for title, belongs in SUBGROUPS.items():
            group = own[belongs(own)]
            values = {metric.name: _value(metric, group) for metric in metrics}
            rows.append({"method": method, "group": title, "scans": len(group), **values})
    return pd.DataFrame(rows)


def _value(metric: Metric, table: pd.DataFrame) -> float:
    known = table.reindex(columns=list(metric.columns)).astype(float).dropna()
    return float(metric.statistic(*(known[name].to_numpy() for name in metric.columns))) if len(known) else np.nan


def _methods(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table["method"].astype(str)))
