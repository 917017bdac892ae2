"""Functions that run the same work on every scan, one after the other or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Mapper(Protocol):
    """A function that runs work for the numbers from 0 up to a count and yields the results in order."""

    def __call__(self, work: Callable[[int], Result], count: int, /) -> Iterable[Result]:
        """Yield the results of `work` for 0, 1, … `count` - 1."""


def in_turn(work: Callable[[int], Result], count: int) -> Iterable[Result]:
    """Run the work in this process, one number after the other."""
    return map(work, range(count))
