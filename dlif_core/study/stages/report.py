"""Report: one HTML page a scan, of all that was made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dlif_core.store import Staging
from dlif_core.study.job import ScanJob
from dlif_core.study.products import fit_name, input_function_name, report_name, selection_name
from dlif_core.study.stages.base import ScanPlan, ScanStage
from dlif_core.study.stages.ingest import INGEST
from dlif_core.study.stages.input_function import INPUT_FUNCTIONS
from dlif_core.study.stages.maps import MAPS
from dlif_core.study.stages.regions import REGIONS
from dlif_core.study.stages.selection import SELECTION
from dlif_core.study.step import Step

if TYPE_CHECKING:
    from dlif_core.study.reporting import ReportedProduct


class ReportStage(ScanStage):
    """Everything that was made of a scan → its page. The page says what is missing, and why."""

    name = "report"
    title = "report"
    version = 3
    feeds_cohort = False

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step a scan, after all others have been tried."""
        source = plan.of(INGEST)
        yield Step(
            scan=plan.scan,
            stage=self.name,
            variant="",
            product=report_name(plan.scan),
            fingerprint=self.fingerprint({"name": plan.config.name}, plan.steps),
            needs=tuple(step.product for step in source),
            after=tuple(step.product for step in plan.steps if step not in source),
        )

    def write(self, job: ScanJob, staging: Staging) -> Sequence[str]:
        """Write the page."""
        from dlif_core.study.reporting import scan_html

        shown = [product for product in _products(job) if product.product in job.step.after]
        staging.write_text("report.html", scan_html(job, shown))
        return ()


REPORT = ReportStage()


def _products(job: ScanJob) -> Iterator[ReportedProduct]:
    """What the page shows, in its order, of all that a study may ask for."""
    scan = job.step.scan
    for method in job.config.input_functions:
        yield _reported(INPUT_FUNCTIONS, method, input_function_name(scan, method))
    for fit in job.config.kinetics:
        for stage in (REGIONS, MAPS):
            yield _reported(stage, fit.title, fit_name(scan, fit.title, stage.name))
    yield _reported(SELECTION, "", selection_name(scan))


def _reported(stage: ScanStage, variant: str, product: str) -> ReportedProduct:
    from dlif_core.study.reporting import ReportedProduct

    return ReportedProduct(stage.name, variant, f"{stage.title} {variant}".strip(), product)
