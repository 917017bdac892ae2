"""How much memory the workers of a planned run need, before it runs."""

from __future__ import annotations

from collections.abc import Iterator

from dlif_core.study.config import StudyConfig
from dlif_core.study.job import ScanJob
from dlif_core.study.stages import STAGES, MemoryNeed, ScanStage
from dlif_core.study.step import Plan


def largest_need(config: StudyConfig, plan: Plan) -> MemoryNeed | None:
    """The step of a plan for which a worker needs most memory; None where no step needs much."""
    return max(_needs(config, plan), key=lambda need: need.bytes, default=None)


def _needs(config: StudyConfig, plan: Plan) -> Iterator[MemoryNeed]:
    for step in plan.to_run:
        stage = STAGES[step.stage]
        if isinstance(stage, ScanStage) and (need := stage.memory(ScanJob(config, step, plan.files[step.scan]))):
            yield need
