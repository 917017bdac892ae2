"""The report of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from markupsafe import Markup

from dlif_core.checks import Finding
from dlif_core.curve import InputFunction
from dlif_core.report.cohort_figures import (
    MOST_COLUMNS,
    common_unit,
    curves_figure,
    parameter_caption,
    parameter_figure,
    truth_figure,
)
from dlif_core.report.findings import findings_table
from dlif_core.report.html import render
from dlif_core.report.numbers import (
    ABSENT,
    ActivityScale,
    Cell,
    Heading,
    ReportTable,
    decimals,
    number,
    significant,
    unit_text,
)
from dlif_core.report.regions import fit_facts
from dlif_core.report.scan import Headline
from dlif_core.scan import Acquisition
from dlif_core.shown import counted
from dlif_core.statistics.agreement import bland_altman, concordance, relative_error
from dlif_core.statistics.curves import input_function_metrics
from dlif_core.statistics.tables import parameter_names, parameter_summary, summarise

#: Statuses of a scan, in the order in which a report counts them, with their tone.
STATUSES = {"success": "good", "incomplete": "warn", "unavailable": "warn", "excluded": "warn", "failed": "bad"}

#: The outcome of a model, in order of preference, where a study names no parameter.
_OUTCOMES = ("Ki", "VT", "BPND", "K1")


@dataclass(frozen=True, eq=False)
class Comparison:
    """A table that compares two sessions.

    Attributes
    ----------
    title
        What is compared, such as ``VT, blocked / baseline (2tcm-reversible)``.
    unit
        Unit of the parameter.
    table
        Result of `session_ratio`, of `summarise` on it, or of `retest_reliability` (`dlif_core.statistics`).
    note
        How to read it.
    """

    title: str
    unit: str
    table: pd.DataFrame
    note: str = ""


@dataclass(frozen=True, eq=False)
class CohortReport:
    """Content of the report of a cohort.

    Attributes
    ----------
    title
        Name of the study.
    scans
        One row a scan: scan_id, subject, session, status (a key of `STATUSES`), reason, remarks, needs_care, and
        report, the relative address of the scan's report or "".
    tables
        Fit → `dlif_core.statistics.tables.region_table`.
    input_functions
        Scan id → method → curve.
    acquisitions
        Scan id → metadata, for SUV.
    comparisons
        Tables of session comparisons.
    truth
        Simulated cohorts: columns scan_id, fit, region, parameter, unit, truth, estimate, standard_error.
    findings
        Scan id → what checks found in its data and in its results, of excluded scans too.
    warnings
        (Where, what).
    provenance
        Nested mapping: settings, versions, fingerprints.
    primary_regions
        Regions that are shown in figures; by default the first twelve.
    """

    title: str
    scans: pd.DataFrame
    tables: Mapping[str, xr.Dataset] = field(default_factory=dict)
    input_functions: Mapping[str, Mapping[str, InputFunction]] = field(default_factory=dict)
    acquisitions: Mapping[str, Acquisition] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    truth: pd.DataFrame | None = None
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    primary_regions: tuple[str, ...] = ()

    @property
    def scales(self) -> dict[str, ActivityScale]:
        """Unit in which the activity of each scan is shown."""
        return {scan: ActivityScale.of(acquisition) for scan, acquisition in self.acquisitions.items()}


@dataclass(frozen=True)
class _FitSection:
    name: str
    parameter: str
    facts: tuple[tuple[str, str], ...]
    figure: Markup
    caption: str
    summaries: tuple[tuple[str, ReportTable], ...]


@dataclass(frozen=True)
class _TruthSection:
    title: str
    figure: Markup
    table: ReportTable


def cohort_report(report: CohortReport) -> str:
    """The report of a cohort as one HTML page that needs no other file; the same input gives the same text."""
    curves = {scan: methods for scan, methods in report.input_functions.items() if methods}
    return render(
        "cohort.html",
        report=report,
        facts=_facts(report),
        headlines=_headlines(report),
        findings=findings_table(report.findings, scans=True),
        scan_table=_scan_table(report.scans),
        fits=[_fit_section(report, name, table) for name, table in report.tables.items()],
        comparisons=[(comparison, comparison_tables(comparison)) for comparison in report.comparisons],
        curve_figure=curves_figure(curves, report.scales, _sessions(report)) if curves else None,
        curve_table=_curve_table(report) if curves else None,
        truths=_truth_sections(report.truth),
    )


def _sessions(report: CohortReport) -> dict[str, str]:
    return dict(zip(report.scans["scan_id"], report.scans["session"], strict=True))


def _facts(report: CohortReport) -> tuple[tuple[str, str], ...]:
    scans = report.scans
    sessions = [session for session in dict.fromkeys(scans["session"]) if session]
    tracers = dict.fromkeys(acquisition.tracer for acquisition in report.acquisitions.values())
    facts = (
        ("Scans", str(len(scans))),
        ("Subjects", str(scans["subject"].nunique())),
        ("Sessions", ", ".join(sessions)),
        ("Tracer", ", ".join(tracers)),
        ("Analyses", ", ".join(report.tables)),
    )
    return tuple((name, value) for name, value in facts if value)


def _headlines(report: CohortReport) -> tuple[Headline, ...]:
    counts = report.scans["status"].value_counts()
    total = len(report.scans)
    found = [
        Headline(tone, f"{counts[status]} of {total} {status}") for status, tone in STATUSES.items() if status in counts
    ]
    careful = int(report.scans["needs_care"].sum())
    if careful:
        found.append(Headline("warn", f"{careful} of {total} to be read with care"))
    return (*found, Headline("warn", counted(len(report.warnings), "warning"))) if report.warnings else tuple(found)


def _scan_table(scans: pd.DataFrame) -> ReportTable:
    headings = [Heading(text, numeric=False) for text in ("Scan", "Subject", "Session", "Status", "Reason or remark")]
    rows = [
        (
            Cell(str(row.scan_id), link=str(row.report)),
            Cell(str(row.subject)),
            Cell(str(row.session) or ABSENT),
            Cell(str(row.status), tone="warn" if row.needs_care else STATUSES[str(row.status)]),
            Cell("; ".join(text for text in (str(row.reason), str(row.remarks)) if text) or ABSENT),
        )
        for row in scans.itertuples()
    ]
    return ReportTable(tuple(headings), tuple(rows))


def outcome_parameter(table: xr.Dataset) -> str:
    """The parameter that a model is fitted for: Ki, VT, BPND or K1, else its first but for the delay."""
    names = parameter_names(table)
    return next((name for name in (*_OUTCOMES, *names) if name in names and name != "delay"), names[0])


def _fit_section(report: CohortReport, name: str, table: xr.Dataset) -> _FitSection:
    parameter = outcome_parameter(table)
    known = table["region"].to_numpy().tolist()
    regions = [region for region in report.primary_regions if region in known] or known
    others = [
        other for other in parameter_names(table) if other != parameter and np.isfinite(table[f"{other}_se"]).any()
    ]
    return _FitSection(
        name,
        parameter,
        fit_facts(table),
        parameter_figure(table, parameter, regions[:MOST_COLUMNS]),
        parameter_caption(table, parameter, len(regions)),
        tuple((other, summary_table(table, other)) for other in (parameter, *others)),
    )


def summary_table(table: xr.Dataset, parameter: str) -> ReportTable:
    """Mean ± SD, CV and count of a parameter: one row for each region, a group of columns for each session."""
    summary = parameter_summary(table, parameter)
    unit = unit_text(table[parameter].attrs["units"])
    sessions = list(dict.fromkeys(summary["session"]))
    places = decimals(summary["mean"], summary["sd"])
    headings = [Heading("Region", numeric=False)]
    for session in sessions:
        of = f", {session}" if session else ""
        headings += [Heading(f"{parameter}{of}", unit, "mean ± SD over scans"), Heading("CV", "%"), Heading("n")]
    by_place = summary.set_index(["region", "session"])
    regions = dict.fromkeys(summary["region"])
    rows = (
        (
            Cell(region),
            *(cell for session in sessions for cell in _summary_cells(by_place.loc[(region, session)], places)),
        )
        for region in regions
    )
    return ReportTable(
        tuple(headings), tuple(rows), "Mean ± standard deviation over scans; only fits that ended at an optimum count."
    )


def _summary_cells(row: pd.Series, places: int) -> tuple[Cell, Cell, Cell]:
    error = f"± {number(row['sd'], places)}" if row["n"] else ""
    return Cell(number(row["mean"], places), error), Cell(number(row["cv_percent"], 1)), Cell(str(int(row["n"])))


# Columns of tables from `dlif_core.statistics`: heading, unit ("*": that of the parameter), decimals (None: chosen from
# the values).
_COLUMNS: dict[str, tuple[str, str, int | None]] = {
    "subject": ("Subject", "", None),
    "session": ("Session", "", None),
    "region": ("Region", "", None),
    "n": ("n", "", 0),
    "mean": ("Mean", "*", None),
    "sd": ("SD", "*", None),
    "cv_percent": ("CV", "%", 1),
    "first": ("First", "*", None),
    "second": ("Second", "*", None),
    "numerator": ("Numerator", "*", None),
    "denominator": ("Denominator", "*", None),
    "ratio": ("Ratio", "", 3),
    "ratio_se": ("SE of ratio", "", 3),
    "difference_percent": ("Difference", "%", 1),
    "absolute_variability_percent": ("Absolute variability", "%", 1),
    "within_subject_sd": ("Within-subject SD", "*", None),
    "repeatability_coefficient": ("Repeatability coefficient", "*", None),
    "icc": ("ICC(2,1)", "", 2),
    "icc_lower": ("95 % from", "", 2),
    "icc_upper": ("to", "", 2),
}


def comparison_tables(comparison: Comparison) -> tuple[ReportTable, ...]:
    """Tables of a comparison, the summary first: ratios are summarised over subjects."""
    own = _frame_table(comparison.table, comparison.unit, comparison.note)
    if "ratio" not in comparison.table or comparison.table.empty:
        return (own,)
    summary = summarise(comparison.table, "ratio", ["region"])
    return (
        _frame_table(summary, "", "Ratio: mean, standard deviation and coefficient of variation over subjects."),
        own,
    )


def _frame_table(frame: pd.DataFrame, unit: str, caption: str) -> ReportTable:
    """A data frame from `dlif_core.statistics` with headings and units."""
    headings = tuple(_heading(str(name), frame[name], unit) for name in frame.columns)
    columns = [_cells(str(name), frame[name]) for name in frame.columns]
    return ReportTable(headings, tuple(zip(*columns, strict=True)), caption)


def _heading(name: str, values: pd.Series, unit: str) -> Heading:
    text, own, _ = _COLUMNS.get(name, (name.replace("_", " "), "", None))
    return Heading(text, unit_text(unit) if own == "*" else own, numeric=pd.api.types.is_numeric_dtype(values))


def _cells(name: str, values: pd.Series) -> list[Cell]:
    if not pd.api.types.is_numeric_dtype(values):
        return [Cell(str(value)) for value in values]
    given = _COLUMNS.get(name, ("", "", None))[2]
    places = decimals(values) if given is None else given
    return [Cell(number(float(value), places)) for value in values]


def _curve_table(report: CohortReport) -> ReportTable:
    """Peak, width and area of every input function, in SUV where dose and weight are known."""
    unit = common_unit(report.input_functions, report.scales)
    headings = (
        Heading("Scan", numeric=False),
        Heading("Method", numeric=False),
        Heading("Peak", unit),
        Heading("Time to peak", "s"),
        Heading("FWHM", "s"),
        Heading("AUC whole blood", f"{unit}·min"),
        Heading("AUC parent plasma", f"{unit}·min"),
        Heading("AUC to", "min"),
    )
    metrics = input_function_metrics(report.input_functions)
    rows = tuple(_curve_row(row, report.scales[str(row["scan_id"])], unit) for _, row in metrics.iterrows())
    return ReportTable(headings, rows, "Areas run to the last time that all input functions of a scan reach.")


def _curve_row(row: pd.Series, scale: ActivityScale, unit: str) -> tuple[Cell, ...]:
    factor = scale.factor if scale.unit == unit else np.nan
    numbers = (
        number(factor * row["peak"], 2),
        number(row["time_to_peak"], 1),
        number(row["fwhm"], 1),
        number(factor * row["auc"] / 60, 1),
        number(factor * row["plasma_auc"] / 60, 1),
        number(row["auc_end"] / 60, 1),
    )
    return (Cell(str(row["scan_id"])), Cell(str(row["method"])), *(Cell(text) for text in numbers))


def _truth_sections(truth: pd.DataFrame | None) -> tuple[_TruthSection, ...]:
    if truth is None:
        return ()
    return tuple(
        _truth_section(f"{parameter}, {fit}", rows)
        for (fit, parameter), rows in truth.groupby(["fit", "parameter"], sort=False)
    )


def _truth_section(title: str, rows: pd.DataFrame) -> _TruthSection:
    unit = unit_text(str(rows["unit"].iloc[0]))
    return _TruthSection(title, truth_figure(rows, unit), truth_table(rows, unit))


def truth_table(rows: pd.DataFrame, unit: str) -> ReportTable:
    """Agreement of estimates with the truth, one row for each region and one for all.

    Parameters
    ----------
    rows
        Columns region, truth, estimate, standard_error.
    unit
        Unit of the values.
    """
    headings = (
        Heading("Region", numeric=False),
        Heading("n"),
        Heading("True, mean", unit),
        Heading("Estimated, mean", unit),
        Heading("Bias", unit, "mean of estimate − truth"),
        Heading("Median error", "%"),
        Heading("Median absolute error", "%"),
        Heading("Truth within ± 1.96 SE", "%"),
        Heading("Concordance", note="Lin's concordance correlation coefficient"),
    )
    groups = [(str(region), own) for region, own in rows.groupby("region", sort=False)]
    return ReportTable(headings, tuple(_truth_row(name, own) for name, own in [*groups, ("all", rows)]))


def _truth_row(name: str, rows: pd.DataFrame) -> tuple[Cell, ...]:
    truth, estimate = rows["truth"].to_numpy(float), rows["estimate"].to_numpy(float)
    known = rows["standard_error"].to_numpy(float)
    inside = (np.abs(estimate - truth) <= 1.96 * known)[np.isfinite(known) & np.isfinite(estimate)]
    error = relative_error(truth, estimate)
    texts = (
        str(error.n),
        significant(float(np.mean(truth))),
        significant(float(np.nanmean(estimate))) if np.isfinite(estimate).any() else ABSENT,
        significant(bland_altman(truth, estimate).bias, 2),
        number(error.median, 1),
        number(error.median_absolute, 1),
        number(100 * float(inside.mean()), 0) if len(inside) else ABSENT,
        number(concordance(truth, estimate).coefficient, 3),
    )
    return (Cell(name), *(Cell(text) for text in texts))
