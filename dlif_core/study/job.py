"""A step of a study as it travels to the worker that does it, and what workers read to do it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlif_core.errors import BloodError, InputError
from dlif_core.store import Store, open_store
from dlif_core.study.config import Kinetics, StudyConfig
from dlif_core.study.plan import Step, input_function_name

if TYPE_CHECKING:
    from dlif_core.curve import InputFunction
    from dlif_core.ingest import ScanFiles


@dataclass(frozen=True)
class Job:
    """What a stage needs to know: the study, the step and the scan's input files.

    Attributes
    ----------
    config
        The study.
    step
        The step to run.
    files
        Input files of the scan; None for the cohort.
    """

    config: StudyConfig
    step: Step
    files: ScanFiles | None = None

    @property
    def store(self) -> Store:
        """The study's store."""
        return open_store(self.config.output)

    @property
    def fit(self) -> Kinetics:
        """The kinetic analysis that the step belongs to."""
        return next(fit for fit in self.config.kinetics if fit.title == self.step.variant)


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes
    ----------
    status
        ``success``, ``excluded``, ``unavailable``, ``blocked`` or ``failed``.
    reason
        Why it is not a success, in words for people.
    """

    step: Step
    status: str
    reason: str = ""


def on_worker(executor: Executor, work: Callable[..., Any], *arguments: Any) -> Any:
    """Do work on an executor. A refusal of the input travels as a value: it is no fault for a worker's log."""
    result = executor.submit(_caught, work, *arguments).result()
    if isinstance(result, InputError):
        raise result
    return result


def _caught(work: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return work(*arguments)
    except InputError as refusal:
        return refusal


def read_input_function(store: Store, scan: str, method: str) -> InputFunction:
    """A committed input function."""
    from dlif_core.curve import InputFunction

    return InputFunction.from_dataset(store.open_dataset(input_function_name(scan, method)))


def available_input_function(job: Job) -> tuple[InputFunction | None, tuple[str, ...]]:
    """The first input function of the analysis's list that the scan has, and what was passed over.

    None for an analysis that needs no input function.
    """
    passed: list[str] = []
    if not job.config.methods_for(job.fit):
        return None, ()
    for method in job.config.methods_for(job.fit):
        marker = job.store.marker(input_function_name(job.step.scan, method))
        if marker is not None and marker.status == "success":
            return read_input_function(job.store, job.step.scan, method), tuple(passed)
        reason = marker.reason if marker else "not made"
        passed.append(f"input function {method!r} is unavailable ({reason}); the next in the list is used.")
    raise BloodError("no input function is available.", where=job.step.title, hint=" ".join(passed))
