"""Counters of a run for Prometheus. A Dask scheduler in the same process serves them at /metrics, beside its own."""

from __future__ import annotations

from prometheus_client import Counter

from dlif_core.study.job import Outcome

_STEPS = Counter("dlif_steps", "Steps that ended, by stage and by what became of them.", ["stage", "status"])


def count_step(outcome: Outcome) -> None:
    """Count a step that ended."""
    _STEPS.labels(outcome.step.stage, outcome.status).inc()
