"""Cohort: datasets, tables and the report of a whole study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dlif_core.store import Staging
from dlif_core.study.config import StudyConfig
from dlif_core.study.job import CohortJob
from dlif_core.study.products import COHORT
from dlif_core.study.stages.base import CohortStage, Shares
from dlif_core.study.step import Step

if TYPE_CHECKING:
    import pandas as pd


class CohortTables(CohortStage):
    """Sound products of all scans → datasets, TSV tables and the report of the cohort."""

    name = "cohort"
    title = "cohort"
    version = 2
    is_shared = True

    def step(self, config: StudyConfig, scans: Sequence[str], committed: Sequence[Step]) -> Step:
        """The step that reads whatever is committed and up to date."""
        parts = {
            "name": config.name,
            "compare": [comparison.model_dump(mode="json") for comparison in config.compare],
            "scans": list(scans),
        }
        return Step(
            scan="", stage=self.name, variant="", product=COHORT, fingerprint=self.fingerprint(parts, committed)
        )

    def shares(self, job: CohortJob, staging: Staging) -> Shares:
        """One item for some scans, which are read by one worker."""
        from dlif_core.study.cohort_parts import parts_of, read_part

        return Shares(partial(read_part, job.config, staging), tuple(parts_of(job)))

    def settled(self, job: CohortJob, answers: Sequence[Mapping[str, str]]) -> CohortJob:
        """The job without the scans of which a product turned out to be damaged, which are told as failed."""
        damaged = {scan: reason for answer in answers for scan, reason in answer.items()}
        return job.without(damaged) if damaged else job

    def write(self, job: CohortJob, staging: Staging) -> Sequence[str]:
        """Put everything together, and write it."""
        import pandas as pd
        import xarray as xr

        from dlif_core.checks.suspicion import COLUMNS, as_records
        from dlif_core.statistics.curves import input_function_metrics, input_function_table
        from dlif_core.statistics.tables import to_tidy
        from dlif_core.study.cohort import gather
        from dlif_core.study.reporting import cohort_html

        cohort = gather(job, staging)
        everything = ("*",)  # what one scan has, another may lack
        if any(cohort.input_functions.values()):
            staging.write_dataset(
                input_function_table(cohort.input_functions), group="input_functions", may_miss=everything
            )
            _write_table(staging, "input_functions", input_function_metrics(cohort.input_functions))
        for fit, fitted in cohort.fits.items():
            staging.write_dataset(fitted, group=f"regions/{fit}", may_miss=everything)
        _write_table(staging, "region_parameters", to_tidy(cohort.fits))
        _write_table(staging, "index", cohort.index)
        found = as_records(cohort.findings)
        _write_table(staging, "findings", pd.DataFrame(found, columns=list(COLUMNS)))
        index = xr.Dataset.from_dataframe(cohort.index.set_index("scan_id"))
        staging.write_dataset(index, group="index", may_miss=("injected_activity_MBq", "body_weight_kg"))
        for compared in cohort.comparisons:
            _write_table(staging, compared.name, compared.comparison.table)
        staging.write_text("report.html", cohort_html(job.config, cohort))
        return ()


COHORT_TABLES = CohortTables()


def _write_table(staging: Staging, name: str, table: pd.DataFrame) -> None:
    staging.write_text(f"{name}.tsv", table.to_csv(sep="\t", index=False, na_rep="n/a"))
