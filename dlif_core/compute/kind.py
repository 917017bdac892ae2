"""What a kind of cluster is: the settings of its profile, and how one is had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BeforeValidator, Field

from dlif_core.validation import Section

if TYPE_CHECKING:
    from distributed.security import Security

#: Resource of workers with a GPU: ``dask worker ADDRESS --resources "GPU=1"``.
GPU = "GPU"

#: Deaths of its worker that a piece of work outlives on schedulers of ours; a piece that is blamed for more is tried
#: once again, see `dlif_core.compute.work.Work`.
ALLOWED_DEATHS = 1

#: Pieces of work that wait or run, by the resource that they ask for; empty where they ask for none.
Demand = Counter[str]


_TIMES = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_SIZES = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _with_unit(units: Mapping[str, int], examples: str) -> BeforeValidator:
    """Reads a number and its unit."""

    def read(value: Any) -> Any:
        number, _, unit = str(value).strip().partition(" ")
        try:
            return float(number) * units[unit.strip()]
        except (KeyError, ValueError) as fault:
            raise ValueError(f"give a number and its unit, such as {examples}") from fault

    return BeforeValidator(read)


#: A time in a profile, ``10 min``; in seconds once it is read.
Seconds = Annotated[float, _with_unit(_TIMES, "90 s, 10 min, 2 h or 1 d"), Field(gt=0, allow_inf_nan=False)]

#: An amount of memory in a profile, ``8 GB``; in bytes once it is read.
Bytes = Annotated[float, _with_unit(_SIZES, "800 MB, 8 GB or 8 GiB"), Field(gt=0, allow_inf_nan=False)]


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number belongs here, not true or false")
    return value


#: A number of workers, cores or jobs in a profile; one that is not 0.
Number = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=0)]
Count = Annotated[Number, Field(ge=1)]


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

    def require_there(self) -> None:
        """Refuse a cluster that can't be had, as far as a quick look tells; nothing is started.

        Raises
        ------
        ConfigurationError
            If it can't.
        """


def nothing_to_do(_demand: Demand) -> str:
    """Nothing is replaced and nothing said: somebody else looks after the workers."""
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
