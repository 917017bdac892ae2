"""What a study needs, what of it is there, and why the rest must run.

A plan is a pure function of the study file, the input files and the committed markers: every step's fingerprint is
known before anything runs, because it is built from the fingerprints of what the step reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dlif_core.errors import ConfigurationError, InputError, StoreError
from dlif_core.storage import unreachable
from dlif_core.store import Brief, Marker, Store, create_store
from dlif_core.store.digests import InputDigests
from dlif_core.study.config import StudyConfig
from dlif_core.study.products import stored_name
from dlif_core.study.scans import included_scans, with_unreadable
from dlif_core.study.stages import STAGES, CohortStage, ScanPlan, ScanStage
from dlif_core.study.step import RESULT_OF, Markers, Plan, PlannedStep, State, Step

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles

Briefs = Callable[[str], Brief | None]


def open_study_store(config: StudyConfig) -> Store:
    """The study's output store, made if there is none.

    Raises
    ------
    ConfigurationError
        If there can be none: it can't be reached or written, or it lies among the data.
    StoreError
        If what lies there can't be used.
    """
    _require_outside(config.output, config.data.uri)
    try:
        return create_store(config.output)
    except StoreError:
        raise
    except Exception as fault:  # each kind of filesystem has errors of its own
        raise unreachable(config.output, "`output` in the study file", fault) from fault


def _require_outside(output: str, data: str) -> None:
    """Refuse an output that would be taken for data; below ``derivatives`` readers know it."""
    inner = f"{output.rstrip('/')}/".removeprefix(f"{data.rstrip('/')}/")
    if inner != f"{output.rstrip('/')}/" and not inner.startswith("derivatives/"):
        raise ConfigurationError(
            f"the output lies inside the data, {data}.",
            where=output,
            hint="Choose another `output`: beside the data, or a folder below derivatives of its own.",
        )


def make_plan(config: StudyConfig, store: Store) -> Plan:
    """Plan a study.

    Parameters
    ----------
    config
        The study.
    store
        The study's output store.

    Raises
    ------
    ConfigurationError
        If the data folder holds no scan that the study includes.
    """
    listed = included_scans(config)
    found = InputDigests(store).of({uri for scan in listed.values() for uri in scan.inputs().values()})
    digests = {uri: f"unreadable: {one.message}" if isinstance(one, InputError) else one for uri, one in found.items()}
    first = ScanPlan(config, next(iter(listed.values())), digests)
    steps = [step for scan in listed.values() for step in scan_steps(first.of_another(scan))]
    files = {name: with_unreadable(scan, found) for name, scan in listed.items()}
    return assess(config, files, steps, store)


def scan_steps(plan: ScanPlan) -> tuple[Step, ...]:
    """Every step of one scan, stage by stage, from a plan without steps."""
    for stage in STAGES.values():
        if isinstance(stage, ScanStage):
            plan = replace(plan, steps=(*plan.steps, *stage.steps(plan)))
    return plan.steps


def assess(config: StudyConfig, files: Mapping[str, ScanFiles], steps: Iterable[Step], store: Store) -> Plan:
    """What is to be done of some steps as the store stands, with the steps of the cohort that follow from them.

    Parameters
    ----------
    config, store
        The study and its store.
    files
        Files of every scan of the study.
    steps
        Steps of the scans, each after those that it reads.
    """
    listed = list(steps)
    briefs = store.briefs(step.product for step in listed)
    known: dict[str, PlannedStep] = {}
    for step in listed:
        known[step.product] = _with_notes(_assess(step, briefs.get, known, store), files)
    assessed = list(known.values())
    return Plan(steps=(*assessed, *_assess_cohort(config, list(files), assessed, store)), files=files)


def _assess(step: Step, briefs: Briefs, known: Mapping[str, PlannedStep], store: Store) -> PlannedStep:
    found = briefs(step.product)
    changed = any(known[name].state is State.RUN for name in step.upstream)
    blockers = () if changed else blocked_by(step, briefs)
    if blockers:
        return PlannedStep(step, State.BLOCKED, blockers, found)
    if found and found.fingerprint == step.fingerprint.digest:
        return PlannedStep(step, State.CURRENT, found=found)
    return PlannedStep(step, State.RUN, _reasons(step, store.marker(step.product) if found else None), found)


def _with_notes(planned: PlannedStep, files: Mapping[str, ScanFiles]) -> PlannedStep:
    """The step that reads a scan's files, with what is known of them and of the scan's name before it runs."""
    step = planned.step
    if planned.state is not State.RUN or step.upstream:
        return planned
    notes = [f"to be excluded: {fault.where}: {fault.message} {fault.hint}" for fault in files[step.scan].faults]
    if stored_name(step.scan) != step.scan:
        notes.append(f"stored as {stored_name(step.scan)}")
    return replace(planned, reasons=(*planned.reasons, *notes))


def _reasons(step: Step, marker: Marker | None) -> tuple[str, ...]:
    """What changed, the root causes before what follows from them."""
    if marker is None:
        return ("not made yet",)
    changes = step.fingerprint.changes(marker.parts)
    roots = tuple(change for change in changes if not change.startswith(RESULT_OF))
    follows = tuple(change.split(":")[0] + " changed" for change in changes if change.startswith(RESULT_OF))
    return roots + follows


def blocked_by(step: Step, markers: Markers) -> tuple[str, ...]:
    """Reasons why a step can't run: what it needs is excluded or unavailable. Empty if it can."""
    refused = {name: refusal for name in step.needs + step.any_of if (refusal := _refusal(name, markers(name)))}
    missing = [refused[name] for name in step.needs if name in refused]
    if missing:
        return tuple(missing)
    if step.any_of and all(name in refused for name in step.any_of):
        return tuple(refused[name] for name in step.any_of)
    return ()


def _refusal(name: str, marker: Marker | Brief | None) -> str:
    if marker is None or marker.status == "success":
        return ""
    return f"{name.rsplit('/', 1)[-1]} is {marker.status}: {marker.reason}"


def _assess_cohort(
    config: StudyConfig, scans: Sequence[str], assessed: Sequence[PlannedStep], store: Store
) -> Iterator[PlannedStep]:
    """Steps of the cohort: they read whatever of the scans is committed and up to date."""
    committed = [planned.step for planned in assessed if _is_read_by_cohort(planned)]
    changing = any(planned.state is State.RUN for planned in assessed)
    for stage in STAGES.values():
        if isinstance(stage, CohortStage):
            step = stage.step(config, scans, committed)
            found = store.briefs([step.product]).get
            yield PlannedStep(step, State.RUN, ("scans change",)) if changing else _assess(step, found, {}, store)


def _is_read_by_cohort(planned: PlannedStep) -> bool:
    stage = STAGES[planned.step.stage]
    is_current = planned.found is not None and planned.found.fingerprint == planned.step.fingerprint.digest
    return isinstance(stage, ScanStage) and stage.feeds_cohort and is_current


def as_record(planned: PlannedStep) -> dict[str, Any]:
    """A planned step as plain values, for ``--json``."""
    step = planned.step
    return {
        "scan": step.scan,
        "stage": step.stage,
        "variant": step.variant,
        "product": step.product,
        "state": str(planned.state),
        "reasons": list(planned.reasons),
        "fingerprint": step.fingerprint.digest,
    }
