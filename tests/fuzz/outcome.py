"""A study run as `dlif run` does, in this process, within limits of time; and what came of it."""

from __future__ import annotations

import faulthandler
import signal
import warnings
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dlif_core.errors import DlifError
from dlif_core.store import Marker, Store, open_store
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import run_step, scan_jobs
from dlif_core.study.states import ScanStatus
from dlif_core.study.status import status_of
from dlif_core.study.step import PlannedStep, State

#: Seconds of the processor, and by the clock, after which a case hangs. Other programs may slow the clock's.
PROCESSOR, CLOCK = 10.0, 60.0
#: What a case may take [bytes] above the little that this program has.
MEMORY = 2 * 2**30
_NOT_FUZZED = ("report", "explanation")


class HangError(BaseException):
    """A case takes too long. No `Exception`, so that nothing on the way takes it for a fault of the data."""


class InProcess(Executor):
    """Does work at once, where it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as fault:
            future.set_exception(fault)
        return future


@dataclass
class Outcome:
    """What came of a study.

    Attributes
    ----------
    values
        Ki or SUV by scan, analysis and region.
    lost
        Why there is no value, by scan and analysis; by scan alone where it is excluded.
    told
        What findings and warnings say, by scan.
    broken
        Errors that no run may raise, with their tracebacks in a line.
    refused
        The typed error that ended the study, or that a step was refused with; "" if there is none.
    scans
        Names of all scans that the study has.
    peak
        Highest memory of the process in this case [bytes].
    """

    values: dict[tuple[str, str, str], float] = field(default_factory=dict)
    lost: dict[tuple[str, str], str] = field(default_factory=dict)
    told: dict[str, set[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    refused: str = ""
    scans: tuple[str, ...] = ()
    peak: int = 0

    def of_analyses(self, names: Collection[str]) -> Outcome:
        """The same for some analyses alone."""
        values = {key: value for key, value in self.values.items() if key[1] in names}
        return replace(self, values=values, lost={key: why for key, why in self.lost.items() if key[1] in names})


def outcome_of(study: Path, processor: float = PROCESSOR) -> Outcome:
    """Run a study file within some seconds of the processor, and gather what came of it."""
    outcome = Outcome()
    _reset_peak()
    with warnings.catch_warnings(), _limited(processor):
        warnings.simplefilter("ignore")
        try:
            _run(study, outcome)
        except HangError:
            outcome.broken.append(f"hang: {processor:g} s of the processor or {CLOCK:g} s in all")
        except DlifError as refusal:
            outcome.refused = f"{type(refusal).__name__}: {refusal}"
            if not (refusal.message and refusal.hint):
                outcome.broken.append(f"refused without a reason or remedy: {outcome.refused}")
        except Exception as fault:
            outcome.broken.append(_described(fault))
    outcome.peak = _peak()
    return outcome


def _run(study: Path, outcome: Outcome) -> None:
    config = load_study(study)
    plan = make_plan(config, open_study_store(config))
    failed: set[str] = set()
    for job in scan_jobs(config, plan):
        if job.step.stage in _NOT_FUZZED or failed.intersection(job.step.upstream):
            continue
        try:
            run_step(job, InProcess())
        except Exception as fault:
            failed.add(job.step.product)
            outcome.broken.append(f"{job.step.title}: {_described(fault)}")
    _gather(config, outcome)


def _gather(config: StudyConfig, outcome: Outcome) -> None:
    store = open_store(config.output)
    plan = make_plan(config, store)
    markers = store.products()
    outcome.scans = tuple(plan.files)
    for state in status_of(plan, store).scans:
        outcome.told[state.scan] = {finding.message for finding in state.findings}
        if state.status is ScanStatus.EXCLUDED:
            outcome.lost[state.scan, ""] = "; ".join(state.reasons)
            continue
        for planned in plan.of_scan(state.scan):
            _gather_step(planned, markers.get(planned.step.product), store, outcome)


def _gather_step(planned: PlannedStep, marker: Marker | None, store: Store, outcome: Outcome) -> None:
    """What a step has made; what is left of the sound study, and not up to date, is nothing."""
    step, current = planned.step, planned.state is State.CURRENT and marker is not None
    if current and marker is not None:
        outcome.told[step.scan] |= {f"{step.variant}: {warning}" for warning in marker.warnings}
    if step.stage != "regions":
        return
    if current and marker is not None and marker.status == "success":
        for region, value in _values(store, step.product, marker.content).items():
            outcome.values[step.scan, step.variant, region] = value
    else:
        outcome.lost[step.scan, step.variant] = marker.reason if current and marker else "; ".join(planned.reasons)


_READ: dict[tuple[str, str], dict[str, float]] = {}


def _values(store: Store, name: str, content: str) -> dict[str, float]:
    """Ki or SUV by region of a product; what was read of the same content is kept."""
    if (name, content) not in _READ:
        fitted = store.open_dataset(name)
        kind = next((kind for kind in ("Ki", "SUV") if kind in fitted), None)
        values = zip(fitted["region"].to_numpy(), fitted[kind].to_numpy(), strict=True) if kind else ()
        _READ[name, content] = {str(region): float(value) for region, value in values}
    return _READ[name, content]


def _described(fault: BaseException) -> str:
    trace = fault.__traceback__
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(fault).__name__}: {fault!s:.300} [{' < '.join(reversed(places[-6:]))}]"


@contextmanager
def _limited(processor: float) -> Iterator[None]:
    """Raise `HangError` in a case that takes too long; end the program where even that can't be raised."""

    def stop(number: int, frame: object) -> None:
        raise HangError

    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, stop)
    faulthandler.dump_traceback_later(3 * CLOCK, exit=True)
    signal.setitimer(signal.ITIMER_PROF, processor)
    signal.setitimer(signal.ITIMER_REAL, CLOCK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()


def _reset_peak() -> None:
    """Begin to count the highest memory of this process anew (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
