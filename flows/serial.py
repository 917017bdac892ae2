"""A study without Prefect: for one task of a Slurm array, or where no server may run."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial

from dlif_core.errors import ConfigurationError
from dlif_core.study.config import StudyConfig
from dlif_core.study.job import Outcome
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import cohort_jobs, run_in_order, run_step, scan_jobs


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
    run = partial(run_step, executor=executor)
    outcomes = list(run_in_order((job for job in scan_jobs(config, plan) if job.step.scan in mine), run))
    if count == 1:
        outcomes += run_in_order(cohort_jobs(config, plan), run)
    return outcomes
