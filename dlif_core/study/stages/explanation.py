"""Explanation: which part of the image the learned input function rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dlif_core.errors import InputError
from dlif_core.input_function.learned import LearnedOptions
from dlif_core.store import Staging
from dlif_core.study.config import StudyConfig, learned_model
from dlif_core.study.job import ScanJob
from dlif_core.study.products import explanation_name, input_function_name
from dlif_core.study.stages.base import ScanPlan, ScanStage
from dlif_core.study.stages.ingest import INGEST
from dlif_core.study.stages.input_function import INPUT_FUNCTIONS, LEARNED
from dlif_core.study.step import Step


class ExplanationStage(ScanStage):
    """Learned input function → attributions of its numbers to voxels, regions and frames; made on the CPU."""

    name = "explanation"
    title = "explanation"
    version = 2

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step a scan with an image, where the study has a learned input function and does not leave this out."""
        learned = [step for step in plan.of(INPUT_FUNCTIONS) if step.variant == LEARNED]
        if learned and plan.files.has_image and is_explained(plan.config):
            yield Step(
                scan=plan.scan,
                stage=self.name,
                variant="",
                product=explanation_name(plan.scan),
                fingerprint=self.fingerprint({}, learned),
                needs=tuple(step.product for step in plan.of(INGEST)),
                after=tuple(step.product for step in learned),
            )

    def write(self, job: ScanJob, staging: Staging) -> Sequence[str]:
        """Explain the networks of the study's model."""
        from dlif_core.networks.bundle.model import load_model
        from dlif_core.networks.explanation.attribution import explain_scan
        from dlif_core.study.source import read_scan

        marker = job.store.marker(input_function_name(job.step.scan, LEARNED))
        if marker is None or marker.status != "success":
            raise InputError("there is no learned input function to explain.", where=job.step.title)
        scan, _ = read_scan(job.store, job.step.scan)
        model = load_model(learned_model(job.config))
        # one network has no spread, and a window that the scan lacks can't be hidden
        staging.write_dataset(
            explain_scan(model.networks, scan, subject=model.subject), may_miss=("*_sd", "occlusion_window")
        )
        return ()


EXPLANATION = ExplanationStage()


def is_explained(config: StudyConfig) -> bool:
    """Whether the study asks for explanations of its learned input function."""
    options = config.input_functions.get(LEARNED)
    return isinstance(options, LearnedOptions) and options.explain
