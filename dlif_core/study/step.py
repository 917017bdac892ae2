"""The steps of a study, what decides each of them, and the plan that they make up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dlif_core.finite import to_json
from dlif_core.store import CONTENT_VERSION, Brief, Fingerprint, Marker

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles

#: Gives a product's marker, or what was read of many at once; None for a product that isn't committed.
Markers = Callable[[str], Marker | Brief | None]


@dataclass(frozen=True)
class Step:
    """One product to be made, with everything that decides whether it must be.

    Attributes
    ----------
    scan
        Scan name; empty for a step of the cohort.
    stage
        Name of its stage, a key of `dlif_core.study.stages.STAGES`.
    variant
        Input-function method or name of the kinetic analysis; empty where a stage makes one product a scan.
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
    def upstream(self) -> tuple[str, ...]:
        """Every product that the step may read."""
        return self.needs + self.any_of + self.after


def build_fingerprint(stage: str, version: int, parts: Mapping[str, Any], upstream: Iterable[Step] = ()) -> Fingerprint:
    """What decides a product: the algorithm, the layout of the store, settings or files, and what is read.

    Parameters
    ----------
    stage, version
        Name of the stage and version of its algorithm.
    parts
        Settings and digests by name; what is not text must be JSON.
    upstream
        Steps whose products are read; each counts with its own fingerprint.
    """
    return Fingerprint(
        {
            f"{stage} algorithm": str(version),
            "schema version": str(CONTENT_VERSION),
            **as_text(parts),
            **{f"{RESULT_OF}{step.title}": step.fingerprint.digest for step in upstream},
        }
    )


def as_text(parts: Mapping[str, Any]) -> dict[str, str]:
    """Parts of a fingerprint as text: what is not text yet, as JSON."""
    return {
        name: value if isinstance(value, str) else to_json(value, where=name, sort_keys=True)
        for name, value in parts.items()
    }


#: Begins the name of every part of a fingerprint that is the fingerprint of another step.
RESULT_OF = "result of "


class State(StrEnum):
    """What a plan says of a step."""

    CURRENT = "current"
    RUN = "run"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class PlannedStep:
    """A step and what the plan says of it.

    Attributes
    ----------
    reasons
        Why it must run, or what blocks it.
    found
        What is committed of its product, up to date or not; None if there is nothing.
    """

    step: Step
    state: State
    reasons: tuple[str, ...] = ()
    found: Brief | None = None


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
        return self._of_scans.get(scan, ())

    @cached_property
    def _of_scans(self) -> dict[str, tuple[PlannedStep, ...]]:
        found: dict[str, list[PlannedStep]] = {}
        for planned in self.steps:
            found.setdefault(planned.step.scan, []).append(planned)
        return {scan: tuple(steps) for scan, steps in found.items()}
