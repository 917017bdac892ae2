"""A step of a study as it travels to the worker that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dlif_core.errors import InputError
from dlif_core.foreign_faults import without_contents
from dlif_core.store import Fingerprint, Store, open_store
from dlif_core.study.config import Kinetics, StudyConfig
from dlif_core.study.states import ScanState, ScanStatus
from dlif_core.study.step import Step

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles


@dataclass(frozen=True)
class Job:
    """What a stage needs to know to run a step.

    Attributes
    ----------
    config
        The study.
    step
        The step to run.
    """

    config: StudyConfig
    step: Step

    @cached_property
    def store(self) -> Store:
        """The study's store."""
        return open_store(self.config.output)


@dataclass(frozen=True)
class ScanJob(Job):
    """A step of one scan.

    Attributes
    ----------
    files
        Input files of the scan.
    """

    files: ScanFiles

    @property
    def fit(self) -> Kinetics:
        """The kinetic analysis that the step belongs to."""
        return next(fit for fit in self.config.kinetics if fit.title == self.step.variant)


@dataclass(frozen=True)
class CohortScan:
    """A scan as a step of the cohort is told of it.

    Attributes
    ----------
    state
        What became of the scan.
    subject, session
        Labels, without ``sub-`` and ``ses-``; `session` is empty where there are none.
    """

    state: ScanState
    subject: str
    session: str


@dataclass(frozen=True)
class CohortJob(Job):
    """A step of the cohort, with all that it has to know of the scans: the study isn't planned again on a worker.

    Attributes
    ----------
    scans
        Every scan of the study, in order.
    sound
        Products that are up to date and hold a result.
    """

    scans: tuple[CohortScan, ...]
    sound: frozenset[str]

    def without(self, damaged: Mapping[str, str]) -> CohortJob:
        """The same with some scans as failed; another fingerprint, so that the product is made again with them.

        Parameters
        ----------
        damaged
            Scan → why it is left out.
        """
        parts = {**self.step.fingerprint.parts, "without": ", ".join(sorted(damaged))}
        return replace(
            self,
            step=replace(self.step, fingerprint=Fingerprint(parts)),
            scans=tuple(
                replace(one, state=ScanState(name, ScanStatus.FAILED, (damaged[name],))) if name in damaged else one
                for one, name in ((one, one.state.scan) for one in self.scans)
            ),
        )


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
        with without_contents():
            return work(*arguments)
    except InputError as refusal:
        return refusal
