"""What a stage is: the kind of product that it makes, when a product must be made, how, and what that takes.

A stage is one object in a module of its own and one line of `dlif_core.study.stages.STAGES`. Plan, status, memory
projection, runs and the flow ask that object; none of them knows a stage by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from dlif_core.checks import Finding
from dlif_core.store import Fingerprint, Staging, Status
from dlif_core.study.config import StudyConfig
from dlif_core.study.job import CohortJob, Job, ScanJob
from dlif_core.study.step import Step, as_text, build_fingerprint

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles

AnyJob = TypeVar("AnyJob", bound=Job)


@dataclass(frozen=True)
class MemoryNeed:
    """What one worker needs for a step.

    Attributes
    ----------
    title
        Title of the step.
    block
        Voxels along z, y, x that a worker has in memory at a time.
    bytes
        Projected peak of a worker, all included.
    """

    title: str
    block: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class ScanPlan:
    """The steps of one scan that are planned so far, and what a stage plans its own from.

    Attributes
    ----------
    config
        The study.
    files
        Input files of the scan.
    digests
        Digest of every input file of the study by its URI, or why there is none.
    steps
        Steps of the stages that run before, in order.
    """

    config: StudyConfig
    files: ScanFiles
    digests: Mapping[str, str]
    steps: tuple[Step, ...] = ()
    _of_study: dict[Hashable, dict[str, str]] = field(default_factory=dict)

    def of_another(self, files: ScanFiles) -> ScanPlan:
        """The plan of another scan of the study, without steps yet."""
        return replace(self, files=files, steps=())

    def once(self, what: Hashable, parts: Callable[[], Mapping[str, Any]]) -> dict[str, str]:
        """Parts of a fingerprint that all scans of the study share, worked out for the first of them.

        Parameters
        ----------
        what
            Names the parts: the stage and what tells one set of its parts from another.
        parts
            Works them out.
        """
        if what not in self._of_study:
            self._of_study[what] = as_text(parts())
        return self._of_study[what]

    @property
    def scan(self) -> str:
        """Name of the scan."""
        return self.files.scan_id

    def of(self, *stages: ScanStage) -> tuple[Step, ...]:
        """Steps that were planned by some stages, stage by stage."""
        return tuple(step for stage in stages for step in self.steps if step.stage == stage.name)


@dataclass(frozen=True)
class Shares:
    """Work of one step that many workers share.

    Attributes
    ----------
    work
        Function that does one item, on any worker. It writes to the staging area, reads back what it wrote and returns
        nothing, or what the stage has to know in the end: names and small records travel, never arrays.
    items
        What it is called with.
    """

    work: Callable[[Any], Any]
    items: Sequence[Any]


class Stage(ABC, Generic[AnyJob]):
    """A stage of a study, as a plan, a run and a report see it.

    Stages are imported wherever a study is planned, so their modules import arrays and networks only where they run.

    Attributes
    ----------
    name
        Key in the registry; stands in the titles of steps and in fingerprints.
    title
        What reports call its products.
    version
        Raised by one whenever the algorithm gives other numbers or another layout; makes the products stale.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[int]

    #: Status of a product that the input data rule out.
    refusal: ClassVar[Status] = "unavailable"

    #: Whether workers share the work of a step: `shares` says how, and `write` comes after it.
    is_shared: ClassVar[bool] = False

    @abstractmethod
    def write(self, job: AnyJob, staging: Staging) -> Sequence[str | Finding]:
        """Write the product of a step; runs on a worker, and what was written is committed after it.

        Parameters
        ----------
        job
            The step with what it needs to know.
        staging
            Where the product is written.

        Returns
        -------
        What a reader must be warned of, in words or as findings of checks.

        Raises
        ------
        InputError
            If the input data rule the product out; that is committed as the product's status, with the reason.
        """

    def shares(self, job: AnyJob, staging: Staging) -> Shares:
        """Divide the work of a step of a stage that is shared; runs on a worker, before all else.

        Raises
        ------
        InputError
            If the input data rule the product out.
        """
        raise NotImplementedError

    def settled(self, job: AnyJob, answers: Sequence[Any]) -> AnyJob:
        """The job as it is to be finished, after what the work on its shares returned."""
        return job

    def resources(self, step: Step) -> dict[str, float]:
        """What a worker should offer, by the name of a Dask resource; workers that don't will do where none does."""
        return {}

    def fingerprint(self, parts: Mapping[str, Any], upstream: Iterable[Step] = ()) -> Fingerprint:
        """What decides a product of the stage: its version, settings and files by name, and the steps that it reads."""
        return build_fingerprint(self.name, self.version, parts, upstream)


class ScanStage(Stage[ScanJob]):
    """A stage that makes products of every scan, one by one.

    Attributes
    ----------
    is_analysis
        Whether the study asks for its products themselves: a scan that can't have one of them is ``unavailable``. An
        input function that can't be had is not missed, another may take its place.
    feeds_cohort
        Whether the cohort's stages read its products.
    """

    is_analysis: ClassVar[bool] = False
    feeds_cohort: ClassVar[bool] = True

    @abstractmethod
    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """The steps of one scan, as the study asks for them and the scan's files allow them.

        Parameters
        ----------
        plan
            Study, files and the steps of the stages that run before.
        """

    def memory(self, job: ScanJob) -> MemoryNeed | None:
        """Memory that a worker needs for a step; None if it is little, or can't be said from the files."""
        return None


class CohortStage(Stage[CohortJob]):
    """A stage that makes one product of the whole study, after all scans."""

    @abstractmethod
    def step(self, config: StudyConfig, scans: Sequence[str], committed: Sequence[Step]) -> Step:
        """The stage's step as the store stands.

        Parameters
        ----------
        config
            The study.
        scans
            Names of its scans.
        committed
            Steps of scans whose products are committed and up to date: what the stage may read.
        """
