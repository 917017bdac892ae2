"""The cohort's product: datasets of all input functions and region parameters, the index, tables and a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import xarray as xr

from dlif_core.curve import InputFunction
from dlif_core.statistics.curves import input_function_figures, input_function_table
from dlif_core.statistics.sessions import session_ratio, test_retest
from dlif_core.statistics.tables import parameter_names, region_table, to_tidy
from dlif_core.store import Staging, Store
from dlif_core.study.config import Comparison, StudyConfig
from dlif_core.study.plan import Plan, fit_name, input_function_name, make_plan
from dlif_core.study.source import read_scan
from dlif_core.study.stages import read_input_function
from dlif_core.study.status import ScanStatus, study_status


@dataclass(frozen=True)
class Cohort:
    """Everything that the cohort's product is made of.

    Attributes
    ----------
    index
        One row a scan: scan_id, subject, session, status, reason, tracer, dose, weight.
    input_functions
        Scan → method → curve.
    fits
        Name of the analysis → dataset with dims (scan, region).
    comparisons
        Title → table.
    """

    index: pd.DataFrame
    input_functions: dict[str, dict[str, InputFunction]]
    fits: dict[str, xr.Dataset]
    comparisons: dict[str, pd.DataFrame]


def write_cohort_product(config: StudyConfig, store: Store, staging: Staging) -> None:
    """Gather what is committed and write datasets, TSV tables and the report."""
    from dlif_core.study.reporting import cohort_html

    cohort = gather(config, store)
    if any(cohort.input_functions.values()):
        staging.write_dataset(input_function_table(cohort.input_functions), group="input_functions")
        _write_table(staging, "input_functions", input_function_figures(cohort.input_functions))
    for fit, fitted in cohort.fits.items():
        staging.write_dataset(fitted, group=f"regions/{fit}")
    _write_table(staging, "region_parameters", to_tidy(cohort.fits))
    _write_table(staging, "index", cohort.index)
    staging.write_dataset(xr.Dataset.from_dataframe(cohort.index.set_index("scan_id")), group="index")
    for title, table in cohort.comparisons.items():
        _write_table(staging, title, table)
    staging.write_text("report.html", cohort_html(config, cohort))


def _write_table(staging: Staging, name: str, table: pd.DataFrame) -> None:
    staging.write_text(f"{name}.tsv", table.to_csv(sep="\t", index=False, na_rep="n/a"))


def gather(config: StudyConfig, store: Store) -> Cohort:
    """Read what is committed of every scan of a study."""
    plan = make_plan(config, store)
    index = _index(config, store, plan)
    fits = dict(_fits(config, store, index))
    return Cohort(
        index=index,
        input_functions={scan: _curves(config, store, scan) for scan in index["scan_id"]},
        fits=fits,
        comparisons={title: table for one in config.compare for title, table in _compare(one, fits)},
    )


def _index(config: StudyConfig, store: Store, plan: Plan) -> pd.DataFrame:
    rows = []
    for scan in study_status(config).scans:
        files = plan.files[scan.scan]
        row: dict[str, float | str] = {
            "scan_id": scan.scan,
            "subject": files.subject.removeprefix("sub-"),
            "session": files.session.removeprefix("ses-"),
            "status": str(scan.status),
            "reason": "; ".join(scan.reasons),
        }
        rows.append(row | _facts(store, scan.scan, scan.status))
    return pd.DataFrame(rows)


def _facts(store: Store, scan: str, status: ScanStatus) -> dict[str, float | str]:
    if status is ScanStatus.EXCLUDED:
        return {"tracer": "", "injected_activity_MBq": float("nan"), "body_weight_kg": float("nan"), "frames": 0}
    dynamic, _ = read_scan(store, scan)
    acquisition = dynamic.acquisition
    dose = acquisition.injected_activity
    return {
        "tracer": acquisition.tracer,
        "injected_activity_MBq": dose / 1e6 if dose else float("nan"),
        "body_weight_kg": acquisition.body_weight or float("nan"),
        "frames": len(dynamic.timing),
    }


def _succeeded(store: Store, name: str) -> bool:
    marker = store.marker(name)
    return marker is not None and marker.status == "success"


def _curves(config: StudyConfig, store: Store, scan: str) -> dict[str, InputFunction]:
    methods = (m for m in config.input_functions if _succeeded(store, input_function_name(scan, m)))
    return {method: read_input_function(store, scan, method) for method in methods}


def _fits(config: StudyConfig, store: Store, index: pd.DataFrame) -> Iterable[tuple[str, xr.Dataset]]:
    for fit in config.kinetics:
        names = {scan: fit_name(scan, fit.title, "regions") for scan in index["scan_id"]}
        found = {scan: store.open_dataset(name) for scan, name in names.items() if _succeeded(store, name)}
        if found:
            yield fit.title, region_table(found, index)


def _compare(comparison: Comparison, fits: dict[str, xr.Dataset]) -> Iterable[tuple[str, pd.DataFrame]]:
    first, second = comparison.sessions
    for fit, table in fits.items():
        for parameter in parameter_names(table):
            if comparison.kind == "ratio":
                result = session_ratio(table, parameter, first, second)
            else:
                result = test_retest(table, parameter, (first, second))
            yield f"{comparison.kind}_{fit}_{parameter}_{first}_{second}", result
