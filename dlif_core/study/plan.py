"""What a study needs, what of it is there, and why the rest must run.

A plan is a pure function of the study file, the input files and the committed markers: every step's fingerprint is
known before anything runs, because it is built from the fingerprints of what the step reads.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dlif_core.errors import ConfigurationError
from dlif_core.store import SCHEMA_VERSION, Fingerprint, Marker, Store, create_store
from dlif_core.store.digests import InputDigests
from dlif_core.study.config import Kinetics, ModelSelection, StudyConfig
from dlif_core.study.source import source_name

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles

#: Raised by one whenever the stage's algorithm gives other numbers or another layout; makes its products stale.
ALGORITHM_VERSION = {
    "ingest": 1,
    "input-function": 2,
    "explanation": 2,
    "regions": 3,
    "maps": 3,
    "selection": 1,
    "report": 3,
    "cohort": 2,
}

COHORT = "cohort"
#: The method whose curves can be explained.
LEARNED = "learned"

#: Stages in the order in which they run.
STAGES = tuple(ALGORITHM_VERSION)

#: Gives a product's marker, or None: a store's own, or what was read of it at once.
Markers = Callable[[str], Marker | None]


class State(StrEnum):
    """What a plan says of a step."""

    CURRENT = "current"
    RUN = "run"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Step:
    """One (scan, stage) with everything that decides whether it must run.

    Attributes
    ----------
    scan
        Scan name; empty for the cohort.
    stage
        One of `STAGES`.
    variant
        Input-function method or name of the kinetic analysis.
    product
        Name of the product that the step makes.
    fingerprint
        What decides the product.
    needs
        Products that must have succeeded.
    any_of
        Products of which one must have succeeded, best first.
    after
        Products that must have been tried.
    """

    scan: str
    stage: str
    variant: str
    product: str
    fingerprint: Fingerprint
    needs: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name for people: scan, stage and variant."""
        return " ".join(part for part in (self.scan, self.stage, self.variant) if part)

    @property
    def runs_networks(self) -> bool:
        """Whether the step runs neural networks on a GPU where there is one; explanations are made on the CPU."""
        return self.stage == "input-function" and self.variant == LEARNED

    @property
    def upstream(self) -> tuple[str, ...]:
        """Every product that the step may read."""
        return self.needs + self.any_of + self.after


@dataclass(frozen=True)
class PlannedStep:
    """A step and what the plan says of it.

    Attributes
    ----------
    reasons
        Why it must run, or what blocks it.
    """

    step: Step
    state: State
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All steps of a study in an order in which they can run, and the files of every scan."""

    steps: tuple[PlannedStep, ...]
    files: Mapping[str, ScanFiles]

    @property
    def current(self) -> frozenset[str]:
        """Products that are committed and up to date."""
        return frozenset(planned.step.product for planned in self.steps if planned.state is State.CURRENT)

    @property
    def to_run(self) -> tuple[Step, ...]:
        """Steps that must run."""
        return tuple(planned.step for planned in self.steps if planned.state is State.RUN)

    def of_scan(self, scan: str) -> tuple[PlannedStep, ...]:
        """Steps of one scan."""
        return tuple(planned for planned in self.steps if planned.step.scan == scan)


def make_plan(config: StudyConfig, store: Store) -> Plan:
    """Plan a study.

    Parameters
    ----------
    config
        The study.
    store
        Its output store.

    Raises
    ------
    ConfigurationError
        If the data folder holds no scan that the study includes.
    """
    files = included_scans(config)
    digests = InputDigests(store).of({uri for scan in files.values() for uri in scan.inputs().values()})
    steps = [step for scan in files.values() for step in scan_steps(config, scan, digests)]
    markers = store.products().get
    assessed = _assess_all(steps, markers)
    cohort = _assess_cohort(config, markers, assessed, list(files))
    return Plan(steps=(*assessed, cohort), files=files)


def open_study_store(config: StudyConfig) -> Store:
    """The study's output store, made if there is none."""
    return create_store(config.output)


def included_scans(config: StudyConfig) -> dict[str, ScanFiles]:
    """Files of every scan of the study, by scan name.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    from dlif_core.ingest import find_scans, looked_for

    data = config.data
    scans = find_scans(data.uri, config.regions.curves, format=data.format, options=data.options)
    found = {files.scan_id: files for files in scans}
    wanted = {name: files for name, files in found.items() if _matches(name, config.scans)}
    if not wanted:
        raise ConfigurationError(
            f"{len(found)} scans lie there, none of them is included by scans: {list(config.scans)}."
            if found
            else f"no {looked_for(data.format)} lies there.",
            where=data.uri,
            hint="Correct `data` or `scans` in the study file.",
        )
    return wanted


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def scan_steps(config: StudyConfig, files: ScanFiles, digests: Mapping[str, str]) -> list[Step]:
    """Every step of one scan, in order."""
    ingest = _ingest_step(config, files, digests)
    methods = {method: _input_step(config, method, ingest) for method in config.input_functions}
    explanations = [_explanation_step(ingest, methods[LEARNED])] if LEARNED in methods and files.has_image else []
    fits: list[Step] = []
    for fit in config.kinetics:
        inputs = [methods[method] for method in config.methods_for(fit)]
        fits.append(_fit_step("regions", fit, ingest, inputs))
        if fit.maps and files.has_image and fit.kinetic_model.voxelwise:
            fits.append(_fit_step("maps", fit, ingest, inputs))
    if config.select:
        fits.append(_selection_step(config.select, ingest, fits))
    made = [*methods.values(), *explanations, *fits]
    return [ingest, *made, _report_step(config, ingest, made)]


def _fingerprint(stage: str, parts: Mapping[str, Any], upstream: Iterable[Step] = ()) -> Fingerprint:
    text = {
        name: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for name, value in parts.items()
    }
    return Fingerprint(
        {
            f"{stage} algorithm": str(ALGORITHM_VERSION[stage]),
            "schema version": str(SCHEMA_VERSION),
            **text,
            **{f"result of {step.title}": step.fingerprint.digest for step in upstream},
        }
    )


def _ingest_step(config: StudyConfig, files: ScanFiles, digests: Mapping[str, str]) -> Step:
    from dlif_core.ingest import deciding_facts

    inputs = {f"file {name}": digests[uri] for name, uri in files.inputs().items()}
    settings = {"regions.groups": config.regions.groups, **deciding_facts(files)}
    return Step(
        scan=files.scan_id,
        stage="ingest",
        variant="",
        product=source_name(files.scan_id),
        fingerprint=_fingerprint("ingest", {**settings, **inputs}),
    )


def _input_step(config: StudyConfig, method: str, ingest: Step) -> Step:
    from dlif_core.input_function import deciding_facts

    options = config.input_functions[method]
    dumped = options.model_dump(mode="json")
    settings = {f"input_functions.{method}.{name}": value for name, value in dumped.items()}
    facts = {f"{method}, {name}": value for name, value in deciding_facts(method, options).items()}
    return Step(
        scan=ingest.scan,
        stage="input-function",
        variant=method,
        product=input_function_name(ingest.scan, method),
        fingerprint=_fingerprint("input-function", settings | facts, [ingest]),
        needs=(ingest.product,),
    )


def input_function_name(scan: str, method: str) -> str:
    """Product name of a scan's input function."""
    return f"scans/{scan}.zarr/input_functions/{method}"


def _explanation_step(ingest: Step, learned: Step) -> Step:
    return Step(
        scan=ingest.scan,
        stage="explanation",
        variant="",
        product=explanation_name(ingest.scan),
        fingerprint=_fingerprint("explanation", {}, [learned]),
        needs=(ingest.product,),
        after=(learned.product,),
    )


def explanation_name(scan: str) -> str:
    """Product name of the explanation of a scan's learned input function."""
    return f"scans/{scan}.zarr/explanation"


def fit_name(scan: str, fit: str, kind: str) -> str:
    """Product name of a kinetic analysis; `kind` is ``regions`` or ``maps``."""
    return f"scans/{scan}.zarr/kinetics/{fit}/{kind}"


def report_name(scan: str) -> str:
    """Product name of a scan's report."""
    return f"reports/{scan}"


def _fit_step(stage: str, fit: Kinetics, ingest: Step, inputs: list[Step]) -> Step:
    parts = fit.deciding_settings(maps=stage == "maps")
    return Step(
        scan=ingest.scan,
        stage=stage,
        variant=fit.title,
        product=fit_name(ingest.scan, fit.title, stage),
        fingerprint=_fingerprint(stage, parts, [ingest, *inputs]),
        needs=(ingest.product,),
        any_of=tuple(step.product for step in inputs),
    )


def selection_name(scan: str) -> str:
    """Product name of a scan's comparison of models."""
    return f"scans/{scan}.zarr/selection"


def _selection_step(select: ModelSelection, ingest: Step, fits: list[Step]) -> Step:
    read = [fit for fit in fits if fit.variant in select.of]
    return Step(
        scan=ingest.scan,
        stage="selection",
        variant="",
        product=selection_name(ingest.scan),
        fingerprint=_fingerprint("selection", {"select.criterion": select.criterion}, read),
        needs=tuple(fit.product for fit in read),
    )


def _report_step(config: StudyConfig, ingest: Step, others: list[Step]) -> Step:
    return Step(
        scan=ingest.scan,
        stage="report",
        variant="",
        product=report_name(ingest.scan),
        fingerprint=_fingerprint("report", {"name": config.name}, [ingest, *others]),
        needs=(ingest.product,),
        after=tuple(step.product for step in others),
    )


def _assess_all(steps: Iterable[Step], markers: Markers) -> list[PlannedStep]:
    known: dict[str, PlannedStep] = {}
    for step in steps:
        known[step.product] = _assess(step, markers, known)
    return list(known.values())


def _assess(step: Step, markers: Markers, known: Mapping[str, PlannedStep]) -> PlannedStep:
    changed = any(known[name].state is State.RUN for name in step.upstream)
    blockers = () if changed else blocked_by(step, markers)
    if blockers:
        return PlannedStep(step, State.BLOCKED, blockers)
    if _is_current(step, markers):
        return PlannedStep(step, State.CURRENT)
    return PlannedStep(step, State.RUN, _reasons(step, markers(step.product)))


def _reasons(step: Step, marker: Marker | None) -> tuple[str, ...]:
    """What changed, the root causes before what follows from them."""
    if marker is None:
        return ("not made yet",)
    changes = step.fingerprint.changes(marker.parts)
    roots = tuple(change for change in changes if not change.startswith("result of "))
    follows = tuple(change.split(":")[0] + " changed" for change in changes if change.startswith("result of "))
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


def _refusal(name: str, marker: Marker | None) -> str:
    if marker is None or marker.status == "success":
        return ""
    return f"{name.rsplit('/', 1)[-1]} is {marker.status}: {marker.reason}"


def _assess_cohort(config: StudyConfig, markers: Markers, assessed: list[PlannedStep], scans: list[str]) -> PlannedStep:
    step = cohort_step(config, markers, [planned.step for planned in assessed], scans)
    if any(planned.state is State.RUN for planned in assessed):
        return PlannedStep(step, State.RUN, ("scans change",))
    return _assess(step, markers, {})


def cohort_step(config: StudyConfig, markers: Markers, steps: Iterable[Step], scans: list[str]) -> Step:
    """The cohort's step as the store stands now: it reads whatever is committed and current."""
    committed = [step for step in steps if step.stage != "report" and _is_current(step, markers)]
    parts: dict[str, Any] = {
        "name": config.name,
        "compare": [comparison.model_dump(mode="json") for comparison in config.compare],
        "scans": scans,
    }
    return Step(
        scan="",
        stage=COHORT,
        variant="",
        product=COHORT,
        fingerprint=_fingerprint(COHORT, parts, committed),
    )


def _is_current(step: Step, markers: Markers) -> bool:
    marker = markers(step.product)
    return marker is not None and marker.fingerprint == step.fingerprint.digest


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
