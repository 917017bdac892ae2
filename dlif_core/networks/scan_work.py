"""The same work on every scan of many, one after the other or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Mapper(Protocol):
    """Does work for the numbers from 0 up to a count, and yields the results in order."""

    def __call__(self, work: Callable[[int], Result], count: int, /) -> Iterable[Result]:
        """Results of `work` at 0, 1, … `count` - 1."""


def in_turn(work: Callable[[int], Result], count: int) -> Iterable[Result]:
    """Do the work here, one number after the other."""
    return map(work, range(count))


def counted(mapper: Mapper, progress: Callable[[int], object]) -> Mapper:
    """The mapper, which calls `progress` with the number of results after each."""

    def mapped(work: Callable[[int], Result], count: int) -> Iterator[Result]:
        for done, result in enumerate(mapper(work, count), start=1):
            progress(done)
            yield result

    return mapped
