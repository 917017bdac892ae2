"""What a probe is, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from dlif_core.errors import DlifError, ExitCode
from dlif_core.foreign_faults import clean
from dlif_core.study.config import StudyConfig


class Health(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Diagnosis:
    """What a probe says of one thing.

    Attributes
    ----------
    subject
        What was looked at.
    health
        How it is.
    found
        What it is, or what is wrong with it, in words.
    remedy
        What to do; empty for what is sound.
    """

    subject: str
    health: Health
    found: str
    remedy: str = ""


def sound(subject: str, found: str) -> Diagnosis:
    """What is as it should be."""
    return Diagnosis(subject, Health.OK, found)


def doubtful(subject: str, found: str, remedy: str) -> Diagnosis:
    """What dlif can work with, but not as well as it might."""
    return Diagnosis(subject, Health.WARNING, found, remedy)


def faulty(subject: str, found: str, remedy: str) -> Diagnosis:
    """What dlif can't work with."""
    return Diagnosis(subject, Health.FAULT, found, remedy)


def _no_progress(_done: int, _total: int) -> None:
    pass


@dataclass(frozen=True)
class Surroundings:
    """Where to look.

    Attributes
    ----------
    study
        A study, for its storage, its data, its model and its results; None for the installation alone.
    cluster
        Cluster of which a worker is asked for; empty to start none.
    progress
        Told how much of long work is done.
    """

    study: StudyConfig | None = None
    cluster: str = ""
    progress: Callable[[int, int], None] = field(default=_no_progress)


@dataclass(frozen=True)
class Probe:
    """A look at one part.

    Attributes
    ----------
    name
        Short name of the part.
    look
        Says what it finds. Whatever it raises is a fault of the part.
    exit_code
        Exit code of the command if there is a fault.
    """

    name: str
    look: Callable[[Surroundings], Iterator[Diagnosis]]
    exit_code: ExitCode = ExitCode.CONFIGURATION

    def diagnoses(self, surroundings: Surroundings) -> Iterator[Diagnosis]:
        """What is found, one thing after the other."""
        try:
            yield from self.look(surroundings)
        except DlifError as fault:
            place = f"{fault.where}: " if fault.where else ""
            yield faulty(self.name, f"{place}{fault.message}", fault.hint)
        except Exception as fault:  # a probe must not keep the others from being made
            clean(fault)
            yield faulty(self.name, f"{type(fault).__name__}: {fault}", "Mend what it says, or report it as a fault.")
