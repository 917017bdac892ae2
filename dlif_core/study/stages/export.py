"""Export: the results of a scan in the formats that the study names, kept in the store with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dlif_core.export import EXPORTERS
from dlif_core.store import Staging
from dlif_core.study.job import ScanJob
from dlif_core.study.products import export_name
from dlif_core.study.stages.base import ScanPlan, ScanStage
from dlif_core.study.stages.ingest import INGEST
from dlif_core.study.stages.input_function import INPUT_FUNCTIONS
from dlif_core.study.stages.maps import MAPS
from dlif_core.study.stages.regions import REGIONS
from dlif_core.study.step import Step


class ExportStage(ScanStage):
    """Everything that was made of a scan → files of another format, for each format that the study names."""

    name = "export"
    title = "export"
    version = 1
    is_analysis = True
    feeds_cohort = False

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step a format, after all results have been tried."""
        source, read = plan.of(INGEST), plan.of(INPUT_FUNCTIONS, REGIONS, MAPS)
        for name in plan.config.export:
            parts = {"name": plan.config.name, f"export.{name} version": str(EXPORTERS[name].version)}
            yield Step(
                scan=plan.scan,
                stage=self.name,
                variant=name,
                product=export_name(plan.scan, name),
                fingerprint=self.fingerprint(parts, [*source, *read]),
                needs=tuple(step.product for step in source),
                after=tuple(step.product for step in read),
            )

    def write(self, job: ScanJob, staging: Staging) -> Sequence[str]:
        """Write the files beside the store and put them into the product; hidden ones have no place there."""
        from pathlib import Path
        from tempfile import TemporaryDirectory

        from dlif_core.study.exported import exported_study, read_exported

        sound = frozenset(name for name in job.step.upstream if _is_current(job, name))
        study = exported_study(
            job.config, [job.step.scan], lambda _: read_exported(job.config, job.store, job.files, sound)
        )
        with TemporaryDirectory(prefix="dlif-export-") as folder:
            EXPORTERS[job.step.variant].export(study, Path(folder))
            root = Path(folder) / job.step.variant
            for path in sorted(root.rglob("[!.]*")):
                if path.is_file():
                    staging.write_bytes(path.relative_to(root).as_posix(), path.read_bytes())
        return ()


EXPORT = ExportStage()


def _is_current(job: ScanJob, product: str) -> bool:
    """Whether a product holds a result of the settings that the step's own fingerprint names."""
    marker = job.store.marker(product)
    return (
        marker is not None and marker.status == "success" and marker.fingerprint in job.step.fingerprint.parts.values()
    )
