"""Splits of the animals into those for training, validation and calibration; no animal is in two splits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from dlif_core.errors import ConfigurationError

_RANGE = re.compile(r"(?P<group>.*):(?P<first>\d+)\.\.(?P<last>\d+)")


@dataclass(frozen=True)
class SplitManifest:
    """Animals by their use.

    Attributes
    ----------
    splits
        Names of the animals of each use, such as ``training:17`` for a simulated animal (population and seed) or
        ``study:sub-03`` for a real one. An animal counts once, however often it was scanned.

    Raises
    ------
    ConfigurationError
        If an animal is in two splits: metrics and bands would then be too optimistic.
    """

    splits: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        for first, second in combinations(self.splits, 2):
            _require_apart(first, self.splits[first], second, self.splits[second])

    def require_apart(self, use: str, animals: Iterable[str]) -> None:
        """Refuse animals of this manifest for another use, such as an evaluation.

        Raises
        ------
        ConfigurationError
            If one of them was used already.
        """
        others = tuple(animals)
        for split, known in self.splits.items():
            _require_apart(split, known, use, others)

    def joined(self, earlier: SplitManifest) -> SplitManifest:
        """Splits of a model that was trained further: animals of the earlier training count as used.

        Raises
        ------
        ConfigurationError
            If an animal was used earlier for something else than now.
        """
        names = dict.fromkeys([*earlier.splits, *self.splits])
        both = {name: (*earlier.splits.get(name, ()), *self.splits.get(name, ())) for name in names}
        return SplitManifest({name: tuple(dict.fromkeys(animals)) for name, animals in both.items()})

    def to_dict(self) -> dict[str, list[str]]:
        """Convert to plain values for JSON; runs of numbered animals are written ``training:17..42``."""
        return {name: list(_shortened(animals)) for name, animals in self.splits.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Iterable[str]]) -> SplitManifest:
        """Read what `to_dict` wrote."""
        return cls({name: tuple(animal for run in runs for animal in _spelled(run)) for name, runs in content.items()})


def _require_apart(first: str, these: Iterable[str], second: str, those: Iterable[str]) -> None:
    shared = sorted(set(these) & set(those))
    if shared:
        more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise ConfigurationError(
            f"animal {shared[0]}{more} would be used for {first} and for {second}.",
            where="splits",
            hint="Give every animal, with all its scans, one use.",
        )


def simulated_animals(population: str, seeds: Iterable[int]) -> tuple[str, ...]:
    """Names of the simulated animals of a population, ``population:seed``."""
    return tuple(f"{population}:{seed}" for seed in seeds)


def _shortened(animals: Sequence[str]) -> Iterator[str]:
    """Write runs of consecutive numbers as one entry, all other animals unchanged."""
    start = 0
    follows = [_follows(*pair) for pair in pairwise(animals)]
    for end, continues in enumerate([*follows, False] if animals else []):
        if not continues:
            number = animals[end].rpartition(":")[2]
            yield animals[start] if start == end else f"{animals[start]}..{number}"
            start = end + 1


def _follows(animal: str, other: str) -> bool:
    group, _, number = animal.rpartition(":")
    return number.isdecimal() and number == str(int(number)) and other == f"{group}:{int(number) + 1}"


def _spelled(run: str) -> tuple[str, ...]:
    match = _RANGE.fullmatch(run)
    if not match:
        return (run,)
    return simulated_animals(match["group"], range(int(match["first"]), int(match["last"]) + 1))


def animal_folds(animals: Sequence[str], folds: int, seed: int) -> list[tuple[str, ...]]:
    """Divide animals into folds of nearly equal size; all scans of an animal are in one fold.

    Parameters
    ----------
    animals
        The animal of each scan; an animal may occur several times.
    folds
        Number of folds.
    seed
        Seed of the random order.

    Raises
    ------
    ConfigurationError
        If there are fewer animals than folds.
    """
    single = sorted(set(animals))
    if not 1 <= folds <= len(single):
        raise ConfigurationError(
            f"{len(single)} animals can't be divided into {folds} groups.",
            where="splits",
            hint="Add scans of other animals, or train fewer members.",
        )
    shuffled = np.random.default_rng(seed).permutation(single)
    return [tuple(sorted(str(animal) for animal in shuffled[k::folds])) for k in range(folds)]
