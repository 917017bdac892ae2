"""What the cohort's product is made of, read from the sound products of all scans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import xarray as xr

from dlif_core.checks import Finding
from dlif_core.report import Comparison
from dlif_core.scan import Acquisition
from dlif_core.statistics.sessions import retest_reliability, session_ratio
from dlif_core.statistics.tables import parameter_names
from dlif_core.store import Staging
from dlif_core.store.layout import part_for
from dlif_core.study.cohort_parts import Gathered, put_together
from dlif_core.study.config import SessionComparison
from dlif_core.study.job import CohortJob, CohortScan
from dlif_core.study.products import report_name


@dataclass(frozen=True)
class ComparedParameter:
    """A parameter of one analysis, compared between two sessions.

    Attributes
    ----------
    name
        Name of the table's file, without ending.
    parameter
        The parameter.
    comparison
        The table with its title.
    """

    name: str
    parameter: str
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class Cohort(Gathered):
    """Everything that the cohort's product is made of: what was read of the scans, and what follows from it.

    Attributes
    ----------
    index
        One row a scan: scan_id, subject, session, status, reason, remarks, whether it is to be read with care, tracer,
        dose, weight.
    findings
        Scan → what checks found in its data and in its results.
    comparisons
        Comparisons of sessions, for every parameter of every analysis.
    """

    index: pd.DataFrame
    findings: dict[str, tuple[Finding, ...]]
    comparisons: tuple[ComparedParameter, ...]


def gather(job: CohortJob, staging: Staging) -> Cohort:
    """Put together what was read of every scan of a study; results of older settings stay out."""
    read = put_together(job.config, staging)
    index = pd.DataFrame([_index_row(scan, read.acquisitions.get(scan.state.scan)) for scan in job.scans])
    return Cohort(
        **vars(read),
        index=index,
        findings={scan.state.scan: scan.state.findings for scan in job.scans},
        comparisons=tuple(compared for one in job.config.compare for compared in _compare(one, read.fits)),
    )


def _index_row(scan: CohortScan, acquisition: Acquisition | None) -> dict[str, float | str | bool]:
    dose = acquisition.injected_activity if acquisition else None
    weight = acquisition.body_weight if acquisition else None
    state = scan.state
    return {
        "scan_id": state.scan,
        "subject": scan.subject,
        "session": scan.session,
        "status": str(state.status),
        "reason": "; ".join(state.reasons),
        "remarks": "; ".join(state.remarks),
        "needs_care": state.needs_care,
        "report": f"../{report_name(state.scan)}/report.html" if acquisition else "",
        "tracer": acquisition.tracer if acquisition else "",
        "injected_activity_MBq": dose / 1e6 if dose else float("nan"),
        "body_weight_kg": weight or float("nan"),
    }


def _compare(wanted: SessionComparison, fits: dict[str, xr.Dataset]) -> Iterable[ComparedParameter]:
    first, second = wanted.sessions
    for fit, table in fits.items():
        for parameter in parameter_names(table):
            name = part_for(f"{wanted.kind}_{fit}_{parameter}_{first}_{second}")
            yield ComparedParameter(name, parameter, _comparison(wanted, fit, table, parameter))


def _comparison(wanted: SessionComparison, fit: str, table: xr.Dataset, parameter: str) -> Comparison:
    first, second = wanted.sessions
    unit = str(table[parameter].attrs["units"])
    if wanted.kind == "ratio":
        title = f"{parameter}, {first} / {second} ({fit})"
        return Comparison(title, unit, session_ratio(table, parameter, first, second))
    title = f"{parameter}, test-retest of {first} and {second} ({fit})"
    return Comparison(title, unit, retest_reliability(table, parameter, (first, second)))
