"""How a study stands: one status for each scan, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dlif_core.checks import Finding
from dlif_core.errors import ExitCode
from dlif_core.store import Brief, Store
from dlif_core.study.config import StudyConfig
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.products import failure_name
from dlif_core.study.stages import STAGES, ScanStage
from dlif_core.study.states import ScanState, ScanStatus
from dlif_core.study.step import Plan, PlannedStep, State, Step


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
    """Status of a study as its plan says it; the store tells which steps that are left have failed."""
    left = (one.step.product for one in plan.steps if one.state is State.RUN and one.step.scan)
    failures = store.briefs(failure_name(product) for product in left)
    return StudyStatus(tuple(_scan_state(scan, plan.of_scan(scan), failures) for scan in plan.files))


def results(plan: Plan) -> frozenset[str]:
    """Products that are up to date and hold a result, not a record of why there is none."""
    return frozenset(one.step.product for one, found in _current(plan.steps) if found.status == "success")


def _current(steps: Iterable[PlannedStep]) -> Iterator[tuple[PlannedStep, Brief]]:
    """Steps that are up to date, and what is committed of each."""
    return ((one, one.found) for one in steps if one.state is State.CURRENT and one.found)


def _scan_state(scan: str, steps: Sequence[PlannedStep], failures: Mapping[str, Brief]) -> ScanState:
    """The status that weighs most: a failure, an exclusion, steps that are left, an analysis that can't be had."""
    findings = _findings(steps)
    for status, reasons in (
        (ScanStatus.FAILED, _failures(steps, failures)),
        (ScanStatus.EXCLUDED, [found.reason for _, found in _current(steps) if found.status == "excluded"]),
        (ScanStatus.INCOMPLETE, [f"not done: {one.step.title}" for one in steps if one.state is State.RUN]),
        (ScanStatus.UNAVAILABLE, [*_blocked(steps), *_unavailable(steps)]),
    ):
        if reasons:
            return ScanState(scan, status, tuple(reasons), findings)
    return ScanState(scan, ScanStatus.SUCCESS, findings=findings)


def _findings(steps: Sequence[PlannedStep]) -> tuple[Finding, ...]:
    """What checks found in the scan's data and in its results, as far as they are up to date."""
    records = (record for _, found in _current(steps) for record in found.findings)
    return tuple(dict.fromkeys(Finding.from_record(record) for record in records))


def _failures(steps: Sequence[PlannedStep], failures: Mapping[str, Brief]) -> list[str]:
    left = {one.step.title: failures.get(failure_name(one.step.product)) for one in steps if one.state is State.RUN}
    return [f"{title}: {failure.reason}" for title, failure in left.items() if failure]


def _blocked(steps: Sequence[PlannedStep]) -> list[str]:
    """Every reason once, with all steps that it blocks."""
    blocked: dict[str, list[str]] = {}
    for one in steps:
        for reason in one.reasons if one.state is State.BLOCKED else ():
            blocked.setdefault(reason, []).append(f"{one.step.stage} {one.step.variant}".strip())
    return [f"{', '.join(titles)}: {reason}" for reason, titles in blocked.items()]


def _unavailable(steps: Sequence[PlannedStep]) -> list[str]:
    found = ((one.step.title, one.found) for one in steps if _is_analysis(one.step))
    return [f"{title}: {brief.reason}" for title, brief in found if brief and brief.status != "success"]


def _is_analysis(step: Step) -> bool:
    stage = STAGES[step.stage]
    return isinstance(stage, ScanStage) and stage.is_analysis
