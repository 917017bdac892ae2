"""What a kind of cluster is: the settings of its profile, and how one is had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BeforeValidator, Field

from dlif_core.validation import Section

if TYPE_CHECKING:
    from distributed.security import Security

#: Resource of workers with a GPU: ``dask worker ADDRESS --resources "GPU=1"``.
GPU = "GPU"

#: Pieces of work that wait or run, by the resource that they ask for; empty where they ask for none.
Demand = Counter[str]


_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: Any) -> Any:
    """A time with its unit, ``10 min`` or ``2 h``, in seconds; a number alone only in Python, where it is seconds."""
    if isinstance(value, float):
        return value
    number, _, unit = str(value).strip().partition(" ")
    try:
        return float(number) * _UNITS[unit.strip()]
    except (KeyError, ValueError) as fault:
        raise ValueError("give a number and its unit, such as 90 s, 10 min, 2 h or 1 d") from fault


#: A time in a profile: a number and its unit; in seconds once it is read.
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]


class Profile(Section):
    """Settings that every cluster has; a kind adds its own.

    Attributes
    ----------
    give_up_after
        The run ends with an error if there was no worker for this long, ``10 min``.
    """

    give_up_after: Seconds = 600.0

    def worker_memory(self) -> int | None:
        """Memory of the smallest worker [bytes], as far as the profile says."""
        return None


def nothing_to_do(_demand: Demand) -> str:
    """For workers that somebody else looks after: there is nothing to replace and nothing to say."""
    return ""


@dataclass(frozen=True)
class Started:
    """A cluster that is there, with or without workers yet.

    Attributes
    ----------
    scheduler
        The cluster of Dask, or the address of a scheduler.
    security
        Keys that the scheduler asks for; None for a cluster that has its own, or asks for none.
    offers
        Resources that its workers have, or will have once they come; None if only the workers themselves can tell.
    keep
        Called every few seconds with what is to be done: replaces workers that were lost, and returns why there may be
        none, in words for people.
    """

    scheduler: Any
    security: Security | None = None
    offers: frozenset[str] | None = None
    keep: Callable[[Demand], str] = nothing_to_do


class ClusterKind(Protocol):
    """A kind of cluster: an object in a module of its own, and an entry in `dlif_core.compute.kinds.KINDS`."""

    @property
    def name(self) -> str:
        """Value of ``kind`` in a profile."""

    @property
    def title(self) -> str:
        """What it is, for people."""

    @property
    def options(self) -> type[Profile]:
        """Settings of its profiles."""

    def open(self, profile: Any) -> AbstractContextManager[Started]:
        """Start a cluster, or find one, for as long as the block lasts.

        Raises
        ------
        ConfigurationError
            If the profile can't be met.
        """
