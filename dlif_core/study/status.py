"""How a study stands: one status for each scan, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dlif_core.errors import ExitCode
from dlif_core.store import Store
from dlif_core.study.config import StudyConfig
from dlif_core.study.plan import Plan, PlannedStep, State, make_plan, open_study_store
from dlif_core.study.stages import failure_name


class ScanStatus(StrEnum):
    """Status of a scan.

    ``success``: every analysis is there and up to date. ``excluded``: the scan can't be processed as it is.
    ``failed``: a step broke. ``unavailable``: an analysis lacks what it needs. ``incomplete``: steps are left to run.
    """

    SUCCESS = "success"
    EXCLUDED = "excluded"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class ScanState:
    """One scan's status and the reasons where it is not a success."""

    scan: str
    status: ScanStatus
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyStatus:
    """Status of every scan of a study."""

    scans: tuple[ScanState, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 if all scans succeeded, 6 if none did, else 5."""
        succeeded = sum(scan.status is ScanStatus.SUCCESS for scan in self.scans)
        if succeeded == len(self.scans):
            return ExitCode.SUCCESS
        return ExitCode.PARTIAL if succeeded else ExitCode.NOTHING_SUCCEEDED


def study_status(config: StudyConfig) -> StudyStatus:
    """Status of a study from its committed products."""
    store = open_study_store(config)
    return status_of(make_plan(config, store), store)


def status_of(plan: Plan, store: Store) -> StudyStatus:
    """Status of a study as its plan says it."""
    return StudyStatus(tuple(_scan_status(scan, plan, store) for scan in plan.files))


def results(plan: Plan, store: Store) -> frozenset[str]:
    """Products that are up to date and hold a result, not a record of why there is none."""
    markers = store.products()
    return frozenset(name for name in plan.current if markers[name].status == "success")


def _scan_status(scan: str, plan: Plan, store: Store) -> ScanState:
    steps = plan.of_scan(scan)
    failures = [f"{step.step.title}: {reason}" for step in steps if (reason := _failure(step, store))]
    if failures:
        return ScanState(scan, ScanStatus.FAILED, tuple(failures))
    source = store.marker(steps[0].step.product)
    if steps[0].state is State.CURRENT and source is not None and source.status == "excluded":
        return ScanState(scan, ScanStatus.EXCLUDED, (source.reason,))
    waiting = tuple(step.step.title for step in steps if step.state is State.RUN)
    if waiting:
        return ScanState(scan, ScanStatus.INCOMPLETE, tuple(f"not done: {title}" for title in waiting))
    blocked = tuple(
        f"{step.step.title}: {reason}" for step in steps if step.state is State.BLOCKED for reason in step.reasons
    )
    unavailable = tuple(
        f"{step.step.title}: {marker.reason}"
        for step in steps
        if step.step.stage in ("regions", "maps") and (marker := store.marker(step.step.product))
        if marker.status != "success"
    )
    if blocked or unavailable:
        return ScanState(scan, ScanStatus.UNAVAILABLE, blocked + unavailable)
    return ScanState(scan, ScanStatus.SUCCESS)


def _failure(planned: PlannedStep, store: Store) -> str:
    if planned.state is not State.RUN:
        return ""
    marker = store.marker(failure_name(planned.step))
    return marker.reason if marker else ""
