"""Metrics of a cohort from the records of its scans, with bootstrap intervals over laboratories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dlif_core.evaluation.conditions import HELD_OUT_LABORATORIES, HOME, STANDARD, TRACERS
from dlif_core.evaluation.metrics import KI_INTERVALS, ORGANS
from dlif_core.evaluation.runner import FAILED, MADE, REFUSED
from dlif_core.statistics.resampling import bootstrap_interval, paired_difference, rank_correlation, roc_area

Array = NDArray[np.float64]
Limits = tuple[float, float]

#: Verdicts on a scan without a reason against it, and with one that does not decide.
IN_SCOPE, DOUBTFUL = "in scope", "doubtful"

#: All held-out laboratories together, as a condition of metrics.
COHORT = "cohort"

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


_WORST_KI = 5.0

#: Metrics of every method on held-out laboratories.
COHORT_METRICS = (
    Metric("rmse", "whole-blood RMSE, median", "SUV", ("rmse",), np.median, (0.0, 0.30)),
    Metric("auc_ratio", "AUC ratio, median", "", ("auc_ratio",), np.median, (0.97, 1.03)),
    Metric("auc_ratio_p05", "AUC ratio, 5 %", "", ("auc_ratio",), _p05, (0.93, np.inf)),
    Metric("auc_ratio_p95", "AUC ratio, 95 %", "", ("auc_ratio",), _p95, (0.0, 1.07)),
    Metric("peak_ratio", "peak ratio, median", "", ("peak_ratio",), np.median, (0.95, 1.05)),
    Metric("tilt", "tilt of the tail, median", "", ("tilt",), np.median, (0.0, 0.03)),
    Metric("fwhm_error", "FWHM error, median size", "min", ("fwhm_error",), _median_size, (0.0, 0.05)),
    *(
        metric
        for organ in ORGANS
        for metric in (
            Metric(
                f"ki_{organ}", f"Ki error {organ}, median", "%", (f"ki_{organ}_error",), _median_size, (0.0, _WORST_KI)
            ),
            Metric(f"ki_{organ}_p95", f"Ki error {organ}, 95 %", "%", (f"ki_{organ}_error",), _p95_size, (0.0, 15.0)),
        )
    ),
    Metric("k1_brain", "K1 error brain, median", "%", ("k1_brain_error",), _median_size, (0.0, 10.0)),
    Metric("k1_brain_p95", "K1 error brain, 95 %", "%", ("k1_brain_error",), _p95_size),
    Metric("band_covers", "90 % band holds the whole curve", "share", ("band_covers",), np.mean, (0.86, 0.95)),
    Metric("band_width", "width of the band, mean", "SUV", ("band_width",), np.mean, (0.0, 2.0)),
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

#: What is required of other tracers; all else is as of FDG, and not required.
_OF_TRACERS = {"rmse": (0.0, 0.40), "band_covers": (0.86, 0.95)}
TRACER_METRICS = tuple(
    replace(metric, required=_OF_TRACERS.get(metric.name, _ANY))
    for metric in COHORT_METRICS
    if metric.name in (*_OF_TRACERS, "auc_ratio", "peak_ratio", "tilt", "band_width", "seconds")
)

#: The cohort metrics of mice beside the ranges of training: nothing is required of them.
HOME_METRICS = tuple(replace(metric, required=_ANY) for metric in COHORT_METRICS)

#: Metrics against the standard cohort on the frames present: condition, column of the standard cohort.
_VARIANTS = {"truncated": "early_rmse", "shifted": "rmse"}
_MOST_WORSE: Limits = (0.0, 1.25)

#: Metrics of the scope check, from whether a scan was flagged and whether it has a fault.
SCOPE_METRICS = (
    Metric("recall", "recall of faults", "share", ("flagged", "faulty"), _recall, (0.95, 1.0)),
    Metric("precision", "precision", "share", ("flagged", "faulty"), _precision, (0.90, 1.0)),
    Metric("auroc", "area under the ROC", "", ("suspicion", "faulty"), roc_area, vectorized=False),
)

Group = Callable[[pd.DataFrame], pd.Series]

#: Groups of mice and of humans by their weight; each takes the records.
MOUSE_WEIGHTS: dict[str, Group] = {
    "below 26 g": lambda table: table["body_weight"] < 0.026,
    "26 g and more": lambda table: table["body_weight"] >= 0.026,
}
HUMAN_WEIGHTS: dict[str, Group] = {
    "below 75 kg": lambda table: table["body_weight"] < 75.0,
    "75 kg and more": lambda table: table["body_weight"] >= 75.0,
}
_LIGHTEST_HUMAN = 1.0  # [kg]

#: Groups of the cohort by their title; each takes the records.
SUBGROUPS: dict[str, Group] = {
    "without tumour": lambda table: table["tumour"] == 0,
    "with tumour": lambda table: table["tumour"] > 0,
    "low noise (α < 1.5)": lambda table: table["noise"] < 1.5,
    "high noise (α ≥ 1.5)": lambda table: table["noise"] >= 1.5,
    # centres are .028 fasted and .19 fed; halfway between them on a logarithmic scale
    "low myocardial Ki (< .07, as fasted)": lambda table: table["myocardium_ki"] < 0.07,
    "high myocardial Ki (as fed)": lambda table: table["myocardium_ki"] >= 0.07,
}
_SUBGROUP_METRICS = (
    "rmse",
    "auc_ratio",
    "peak_ratio",
    "tilt",
    *(f"ki_{organ}" for organ in ORGANS),
    "k1_brain",
    "band_covers",
)


def metric_row(metric: Metric, table: pd.DataFrame) -> dict[str, Any]:
    """One metric with its 95 % bootstrap interval, from records of one method.

    Whole laboratories are resampled, by the column ``site`` of the records.

    Returns
    -------
    ``figure`` (name of the metric), ``title``, ``unit``, ``value``, ``low``, ``high``, ``n`` (number of scans),
    ``required`` and ``reached`` (None without a requirement or without a value).
    """
    known = _known(metric, table)
    columns = [known[name].to_numpy() for name in metric.columns]
    sites = table.loc[known.index, "site"].astype(str).to_numpy()
    value = float(metric.statistic(*columns)) if len(known) else np.nan
    low, high = bootstrap_interval(columns, metric.statistic, vectorized=metric.vectorized, groups=sites)
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
    cohort = held_out(own)
    yield from _of_condition(COHORT, cohort, method, COHORT_METRICS)
    for part, rows in cohort.groupby("condition", sort=False):
        yield from _of_condition(str(part), rows, method, COHORT_METRICS)
    for condition, metrics in ((TRACERS, TRACER_METRICS), (HOME, HOME_METRICS)):
        rows = own[own["condition"] == condition]
        if len(rows):
            yield from _of_condition(condition, rows, method, metrics)
    for condition, column in _VARIANTS.items():
        yield {"condition": condition, "method": method} | _against_standard(own, condition, column)
    yield from _scope_metrics(own, method)


def held_out(table: pd.DataFrame) -> pd.DataFrame:
    """Records of the held-out laboratories."""
    return table[table["condition"].isin(HELD_OUT_LABORATORIES)].reset_index(drop=True)


_MADE = Metric("made", "curves made", "share", ("made",), np.mean)
_REFUSED = Metric("refused", "sound scans refused", "share", ("refused",), np.mean, (0.0, 0.03))
_DOUBTED = Metric("doubtful", "sound scans called doubtful", "share", ("doubtful",), np.mean, (0.0, 0.10))


def _of_condition(
    condition: str, rows: pd.DataFrame, method: str, metrics: Sequence[Metric]
) -> Iterator[dict[str, Any]]:
    """How many curves there are, and those metrics that the method has."""
    known = {"condition": condition, "method": method}
    outcomes = pd.DataFrame(
        {
            "made": (rows["outcome"] == MADE).astype(float),
            "refused": (rows["outcome"] == REFUSED).astype(float),
            "site": rows["site"],
        }
    )
    yield known | metric_row(_MADE, outcomes)
    demanded = condition == COHORT or condition in HELD_OUT_LABORATORIES
    yield known | metric_row(_REFUSED if demanded else replace(_REFUSED, required=_ANY), outcomes)
    if "verdict" in rows and rows["verdict"].notna().any():
        doubted = outcomes.assign(doubtful=(rows["verdict"] == DOUBTFUL).astype(float))
        yield known | metric_row(_DOUBTED if demanded else replace(_DOUBTED, required=_ANY), doubted)
    for metric in metrics:
        if any(name in rows and rows[name].notna().any() for name in metric.columns[-1:]):
            yield known | metric_row(metric, rows)


def _against_standard(own: pd.DataFrame, condition: str, column: str) -> dict[str, Any]:
    """Median RMSE of a condition relative to that of the same animals in the standard cohort."""
    of_name = {name: own[own["condition"] == name].set_index("seed") for name in (condition, STANDARD)}
    pairs = [
        of_name[name].reindex(columns=[kind])[kind].rename(name)
        for name, kind in ((condition, "rmse"), (STANDARD, column))
    ]
    title = f"RMSE {condition}, of the standard cohort's"
    metric = Metric(f"{condition}_rmse", title, "", (condition, STANDARD), _ratio_of_medians, _MOST_WORSE)
    return metric_row(metric, pd.concat([*pairs, of_name[STANDARD]["site"]], axis=1))


_JUDGED = ("condition", "site", "fault", "outcome", "verdict", "score")


def _scope_metrics(own: pd.DataFrame, method: str) -> Iterator[dict[str, Any]]:
    """Metrics of the verdicts on sound scans of the cohort and on faulty ones; none for methods without verdicts."""
    if "verdict" not in own or not own["verdict"].notna().any():
        return
    sound = own["condition"].isin(HELD_OUT_LABORATORIES)
    judged = own[sound | (own["fault"] != "")].reindex(columns=list(_JUDGED))
    crashed = judged["outcome"] == FAILED
    verdicts = pd.DataFrame(
        {
            "kind": judged["condition"],
            "site": judged["site"],
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
    """RMSE of one method against every other on the scans of held-out laboratories for which both made a curve.

    Returns
    -------
    Columns method, other, n (scans), sites, difference (median over scans of the first's less the other's), low, high
    [SUV] (over laboratories), p_value (two-sided, Wilcoxon's signed-rank test of the medians of laboratories).
    """
    columns = ["condition", "seed", "site", "method", "rmse"]
    cohort = held_out(table).reindex(columns=columns)
    errors = cohort.pivot(index=["condition", "seed", "site"], columns="method", values="rmse")
    sites = errors.index.get_level_values("site").to_numpy()
    rows = []
    for other in _methods(table):
        if other != first:
            found = paired_difference(errors[first], errors[other], sites)
            low, high = found.interval
            rows.append((first, other, found.n, found.groups, found.median, low, high, found.p_value))
    return pd.DataFrame(rows, columns=["method", "other", "n", "sites", "difference", "low", "high", "p_value"])


def subgroups(table: pd.DataFrame) -> pd.DataFrame:
    """Metrics of groups of the cohort.

    Returns
    -------
    Columns method, group, scans, and one for each metric.
    """
    metrics = [metric for metric in COHORT_METRICS if metric.name in _SUBGROUP_METRICS]
    cohort = held_out(table)
    rows = []
    for method in _methods(table):
        own = cohort[cohort["method"] == method]
        weights = HUMAN_WEIGHTS if (own["body_weight"] > _LIGHTEST_HUMAN).any() else MOUSE_WEIGHTS
        for title, belongs in {**weights, **SUBGROUPS}.items():
            group = own[belongs(own)]
            values = {metric.name: _value(metric, group) for metric in metrics}
            rows.append({"method": method, "group": title, "scans": len(group), **values})
    return pd.DataFrame(rows)


def _known(metric: Metric, table: pd.DataFrame) -> pd.DataFrame:
    """The columns of a metric for the records that have all of them."""
    return table.reindex(columns=list(metric.columns)).astype(float).dropna()


def _value(metric: Metric, table: pd.DataFrame) -> float:
    known = _known(metric, table)
    return float(metric.statistic(*(known[name].to_numpy() for name in metric.columns))) if len(known) else np.nan


def _methods(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table["method"].astype(str)))
