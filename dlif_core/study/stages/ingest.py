"""Ingest: a scan's files become its source product, which all other stages read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from dlif_core.checks import Finding
from dlif_core.store import Staging, Status
from dlif_core.study.job import ScanJob
from dlif_core.study.products import SCAN_NAME, source_name, stored_name
from dlif_core.study.stages.base import ScanPlan, ScanStage
from dlif_core.study.step import Step


class IngestStage(ScanStage):
    """Files of a scan → source product. A scan that can't be read, or that a check rules out, is excluded."""

    name = "ingest"
    title = "scan"
    version = 2
    refusal: ClassVar[Status] = "excluded"

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step a scan, decided by the bytes of its files and by how they are read."""
        from dlif_core.ingest import deciding_facts

        inputs = {f"file {name}": plan.digests[uri] for name, uri in plan.files.inputs().items()}
        accept = {"accept": sorted(plan.config.accept)} if plan.config.accept else {}
        corrections = plan.config.corrections.facts()
        settings = {"regions.groups": plan.config.regions.groups, **accept, **corrections, **deciding_facts(plan.files)}
        faults = " ".join(f"{fault.where}: {fault.message}" for fault in plan.files.faults)
        names = {"fault": faults} if faults else {}
        if stored_name(plan.scan) != plan.scan:
            names[SCAN_NAME] = plan.scan
        yield Step(
            scan=plan.scan,
            stage=self.name,
            variant="",
            product=source_name(plan.scan),
            fingerprint=self.fingerprint({**settings, **names, **inputs}),
        )

    def write(self, job: ScanJob, staging: Staging) -> Sequence[Finding]:
        """Read the files, and store what the checks leave of them."""
        from dlif_core.ingest import open_scan
        from dlif_core.study.source import write_source

        with open_scan(job.files, job.config.regions.groups, job.config.accept, job.config.corrections) as ingested:
            write_source(staging, ingested)
        return ingested.findings


INGEST = IngestStage()
