"""A study without Prefect: for one task of a Slurm array, or where no server may run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor

from dlif_core.errors import ConfigurationError
from dlif_core.study.config import StudyConfig
from dlif_core.study.job import Job, Outcome
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import cohort_jobs, record_failure, run_step, scan_jobs


def parse_shard(text: str) -> tuple[int, int]:
    """Index (from 0) and number of shards from ``i/n``.

    Raises
    ------
    ConfigurationError
        If the text is not of that form.
    """
    part, _, count = text.partition("/")
    if not (part.isdigit() and count.isdigit() and 1 <= int(part) <= int(count)):
        raise ConfigurationError(f"{text!r} is not a shard.", where="--shard", hint="Use i/n, for example 1/4.")
    return int(part) - 1, int(count)


def run_shard(config: StudyConfig, executor: Executor, index: int = 0, count: int = 1) -> list[Outcome]:
    """Run every `count`-th scan, beginning with scan `index`; a single shard also makes the cohort's product.

    Parameters
    ----------
    config
        The study.
    executor
        Where the work is done.
    index, count
        Which part of the scans.
    """
    plan = make_plan(config, open_study_store(config))
    mine = set(list(plan.files)[index::count])
    outcomes = list(_run_in_order((job for job in scan_jobs(config, plan) if job.step.scan in mine), executor))
    if count == 1:
        outcomes += [_run(job, executor) for job in cohort_jobs(config, plan)]
    return outcomes


def _run_in_order(jobs: Iterable[Job], executor: Executor) -> Iterator[Outcome]:
    failed: set[str] = set()
    for job in jobs:
        if failed.intersection(job.step.upstream):
            failed.add(job.step.product)
            yield Outcome(job.step, "blocked", "a step that it needs failed")
            continue
        outcome = _run(job, executor)
        if outcome.status == "failed":
            failed.add(job.step.product)
        yield outcome


def _run(job: Job, executor: Executor) -> Outcome:
    try:
        return run_step(job, executor)
    except Exception as fault:
        return record_failure(job, fault)
