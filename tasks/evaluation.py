"""The Prefect task of an evaluation: all methods on one scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from dlif_core.evaluation.candidates import Candidate
from dlif_core.evaluation.conditions import Condition
from dlif_core.evaluation.runner import evaluate_scan


@task(
    name="evaluate-scan",
    task_run_name="{condition.name} {seed}",
    persist_result=False,
    cache_policy=NO_CACHE,
)
def evaluate_scan_task(
    methods: Sequence[Candidate], condition: Condition, seed: int, folder: Path
) -> list[dict[str, Any]]:
    """Records of all methods for one scan; what is done already is only read."""
    return evaluate_scan(methods, condition, seed, folder)
