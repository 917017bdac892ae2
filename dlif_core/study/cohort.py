"""The cohort's product: datasets of all input functions and region parameters, the index, tables and a report."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr

from dlif_core.curve import InputFunction
from dlif_core.report import Comparison
from dlif_core.scan import Acquisition
from dlif_core.statistics.curves import input_function_metrics, input_function_table
from dlif_core.statistics.sessions import retest_reliability, session_ratio
from dlif_core.statistics.tables import parameter_names, region_table, to_tidy
from dlif_core.store import Staging, Store
from dlif_core.study.config import SessionComparison, StudyConfig
from dlif_core.study.job import read_input_function
from dlif_core.study.plan import fit_name, input_function_name, make_plan, report_name
from dlif_core.study.source import read_scan, source_name
from dlif_core.study.status import ScanState, results, status_of
from dlif_core.study.truth import compare_with_truth

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles


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
    acquisitions
        Scan → metadata, of scans that are not excluded.
    comparisons
        File name → comparison of sessions.
    truth
        As `compare_with_truth` gives it.
    """

    index: pd.DataFrame
    acquisitions: dict[str, Acquisition]
    input_functions: dict[str, dict[str, InputFunction]]
    fits: dict[str, xr.Dataset]
    comparisons: dict[str, Comparison]
    truth: pd.DataFrame | None


def write_cohort_product(config: StudyConfig, store: Store, staging: Staging) -> None:
    """Gather what is committed and write datasets, TSV tables and the report."""
    from dlif_core.study.reporting import cohort_html

    cohort = gather(config, store)
    if any(cohort.input_functions.values()):
        staging.write_dataset(input_function_table(cohort.input_functions), group="input_functions")
        _write_table(staging, "input_functions", input_function_metrics(cohort.input_functions))
    for fit, fitted in cohort.fits.items():
        staging.write_dataset(fitted, group=f"regions/{fit}")
    _write_table(staging, "region_parameters", to_tidy(cohort.fits))
    _write_table(staging, "index", cohort.index)
    staging.write_dataset(xr.Dataset.from_dataframe(cohort.index.set_index("scan_id")), group="index")
    for name, comparison in cohort.comparisons.items():
        _write_table(staging, name, comparison.table)
    staging.write_text("report.html", cohort_html(config, cohort))


def _write_table(staging: Staging, name: str, table: pd.DataFrame) -> None:
    staging.write_text(f"{name}.tsv", table.to_csv(sep="\t", index=False, na_rep="n/a"))


def gather(config: StudyConfig, store: Store) -> Cohort:
    """Read what is committed and up to date of every scan of a study; results of older settings stay out."""
    plan = make_plan(config, store)
    states = status_of(plan, store).scans
    sound = results(plan, store)
    ingested = [state.scan for state in states if source_name(state.scan) in sound]
    acquisitions = {scan: read_scan(store, scan)[0].acquisition for scan in ingested}
    index = pd.DataFrame([_index_row(state, plan.files[state.scan], acquisitions.get(state.scan)) for state in states])
    fits = dict(_fits(config, store, index, sound))
    return Cohort(
        index=index,
        acquisitions=acquisitions,
        input_functions={scan: _curves(config, store, scan, sound) for scan in acquisitions},
        fits=fits,
        comparisons={name: table for one in config.compare for name, table in _compare(one, fits)},
        truth=compare_with_truth(config, plan, store),
    )


def _index_row(state: ScanState, files: ScanFiles, acquisition: Acquisition | None) -> dict[str, float | str]:
    dose = acquisition.injected_activity if acquisition else None
    weight = acquisition.body_weight if acquisition else None
    return {
        "scan_id": state.scan,
        "subject": files.subject.removeprefix("sub-"),
        "session": files.session.removeprefix("ses-"),
        "status": str(state.status),
        "reason": "; ".join(state.reasons),
        "report": f"../{report_name(state.scan)}/report.html" if acquisition else "",
        "tracer": acquisition.tracer if acquisition else "",
        "injected_activity_MBq": dose / 1e6 if dose else float("nan"),
        "body_weight_kg": weight or float("nan"),
    }


def _curves(config: StudyConfig, store: Store, scan: str, sound: Set[str]) -> dict[str, InputFunction]:
    methods = (m for m in config.input_functions if input_function_name(scan, m) in sound)
    return {method: read_input_function(store, scan, method) for method in methods}


def _fits(config: StudyConfig, store: Store, index: pd.DataFrame, sound: Set[str]) -> Iterable[tuple[str, xr.Dataset]]:
    for fit in config.kinetics:
        names = {scan: fit_name(scan, fit.title, "regions") for scan in index["scan_id"]}
        found = {scan: store.open_dataset(name) for scan, name in names.items() if name in sound}
        if found:
            yield fit.title, region_table(found, index)


def _compare(wanted: SessionComparison, fits: dict[str, xr.Dataset]) -> Iterable[tuple[str, Comparison]]:
    first, second = wanted.sessions
    for fit, table in fits.items():
        for parameter in parameter_names(table):
            name = f"{wanted.kind}_{fit}_{parameter}_{first}_{second}"
            unit = str(table[parameter].attrs["units"])
            if wanted.kind == "ratio":
                title = f"{parameter}, {first} / {second} ({fit})"
                yield name, Comparison(title, unit, session_ratio(table, parameter, first, second))
            else:
                title = f"{parameter}, test-retest of {first} and {second} ({fit})"
                yield name, Comparison(title, unit, retest_reliability(table, parameter, (first, second)))
