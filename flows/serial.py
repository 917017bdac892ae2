"""A study without Prefect and Dask: one task of a job array, or where no server may run."""

from __future__ import annotations

import errno
import logging
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from itertools import groupby

from dlif_core.errors import ConfigurationError, DlifError, StorageError
from dlif_core.storage import is_transient
from dlif_core.store import Claims, Store
from dlif_core.study.config import StudyConfig
from dlif_core.study.job import Job, Outcome
from dlif_core.study.plan import assess, make_plan, open_study_store
from dlif_core.study.products import claim_name
from dlif_core.study.running import cohort_jobs, committed, run_in_order, run_step, scan_jobs
from dlif_core.study.sharing import claimed_cohort, claimed_part, drawn
from dlif_core.study.status import StudyStatus, status_of
from dlif_core.study.step import Plan, State

_log = logging.getLogger("dlif_core.study.serial")

#: Whether a scan is still this run's.
StillMine = Callable[[], bool]

#: Waits before a step is tried again whose storage did not answer [s], and how often one whose worker was killed.
_PAUSES_S = (2.0, 10.0, 30.0, 60.0)
_KILLS = 3

_TAKEN_OVER = "another run took the scan over, because this one gave no sign of life"


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

    Every step that ends leaves a line in the log.

    Parameters
    ----------
    config
        The study.
    executor
        Where the work is done.
    index, count
        Which part of the scans.

    Raises
    ------
    StoreBusyError
        If other runs work on all scans of this part.
    """
    store = open_study_store(config)
    plan = make_plan(config, store)
    outcomes: list[Outcome] = []
    with claimed_part(_part_of(plan, index, count), store, _log.warning) as part:
        for scan, jobs in _by_scan(config, part.plan).items():
            outcomes += _run_scan(jobs, executor, partial(part.has, scan))
            part.give_back(scan)
        if count == 1:
            with part.cohort() as is_ours:
                outcomes += _run_scan(cohort_jobs(config, plan), executor) if is_ours else []
    return outcomes


def _part_of(plan: Plan, index: int, count: int) -> Plan:
    mine = {*list(plan.files)[index::count], *([""] if count == 1 else [])}
    return replace(plan, steps=tuple(one for one in plan.steps if one.state is not State.RUN or one.step.scan in mine))


def draw_scans(config: StudyConfig, executor: Executor) -> StudyStatus:
    """Work on scans that no other run works on, one after the other, until none is left.

    Returns
    -------
    The status of the scans that this run worked on.
    """
    store = open_study_store(config)
    plan = make_plan(config, store)
    jobs = _by_scan(config, plan)
    mine: list[str] = []
    with Claims(store.folder) as claims:
        for scan in drawn(claims, _from_somewhere(list(jobs)), _log.warning):
            outcomes = _run_scan(jobs[scan], executor, partial(claims.has, claim_name(scan)))
            mine += [scan] if outcomes else []
    return status_of(_as_it_stands(config, plan, store, mine), store)


def run_cohort_only(config: StudyConfig, executor: Executor) -> list[Outcome]:
    """Make the product of the cohort of all scans as they stand, and nothing else.

    Raises
    ------
    StoreBusyError
        If another run is making it.
    """
    store = open_study_store(config)
    with claimed_cohort(store):
        return _run_scan(cohort_jobs(config, make_plan(config, store)), executor)


def _by_scan(config: StudyConfig, plan: Plan) -> dict[str, list[Job]]:
    return {scan: list(jobs) for scan, jobs in groupby(scan_jobs(config, plan), lambda job: job.step.scan)}


def _from_somewhere(scans: Sequence[str]) -> list[str]:
    """The scans from another one on in each process, so that runs that begin together don't try the same ones."""
    first = zlib.crc32(repr(time.time_ns()).encode()) % max(len(scans), 1)
    return [*scans[first:], *scans[:first]]


def _as_it_stands(config: StudyConfig, plan: Plan, store: Store, scans: Sequence[str]) -> Plan:
    """The plan of some scans, looked at again."""
    files = {scan: plan.files[scan] for scan in plan.files if scan in set(scans)}
    return assess(config, files, [one.step for one in plan.steps if one.step.scan in files], store)


def _run_scan(jobs: Sequence[Job], executor: Executor, still_mine: StillMine = lambda: True) -> list[Outcome]:
    """Run the steps of one scan, or of the cohort, that nobody has done meanwhile.

    Raises
    ------
    StorageError
        If the storage fails for minutes: no scan is to blame, and the next would not succeed either.
    """
    run = partial(_run, executor=executor, still_mine=still_mine)
    return list(run_in_order((job for job in jobs if committed(job) is None), run, is_retried=is_transient))


def _run(job: Job, executor: Executor, still_mine: StillMine) -> Outcome:
    """Run a step as long as the scan is this run's, again after faults that may pass; any other is raised."""
    kills = 0
    pauses = iter(_PAUSES_S)
    while still_mine():
        try:
            return run_step(job, executor)
        except BrokenProcessPool as fault:
            kills += 1
            if kills == _KILLS:
                raise _killed(job) from fault
            _log.warning("%s: its worker process was killed; it is tried again", job.step.title)
        except Exception as fault:
            if not is_transient(fault):
                if still_mine():
                    raise
                continue
            pause = next(pauses, None)
            if pause is None:
                raise _lasting(job, fault) from None  # with its cause it would be taken for one that passes
            _log.warning("%s: %s: %s; it is tried again", job.step.title, type(fault).__name__, fault)
            time.sleep(pause)
    return Outcome(job.step, "blocked", _TAKEN_OVER)


def _lasting(job: Job, fault: Exception) -> DlifError:
    """What to say of a fault of storage that does not pass: of the scan, if its disk can't read and results are sound.

    Raises
    ------
    OSError
        If not even a claim can be written.
    """
    if isinstance(fault, OSError) and fault.errno == errno.EIO:
        with Claims(job.store.folder):
            return DlifError(
                f"a file can't be read or written: {fault.strerror}.",
                where=fault.filename or job.step.title,
                hint="Look into the log of the system for its disk.",
            )
    return StorageError(
        f"{job.step.title} can't be stored or read: {type(fault).__name__}: {fault}.",
        where=job.config.output,
        hint="Make room, or wait until the storage answers, and run the study again: finished steps are kept.",
    )


def _killed(job: Job) -> DlifError:
    return DlifError(
        f"its worker process was killed {_KILLS} times, as a system does that runs out of memory.",
        where=job.step.title,
        hint="Ask for more memory, or fewer workers.",
    )
