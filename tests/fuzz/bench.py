"""The sound study, run once, and copies of it that are spoilt, run and judged."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.fuzz import images, names, objects, tables, text
from tests.fuzz.change import Change, Mutation, NotPossibleError
from tests.fuzz.judge import TOLERANCE, Judgement, judge
from tests.fuzz.outcome import CLOCK, Outcome, outcome_of
from tests.fuzz.sound import KI, METHODS, STUDY, write_sound

GROUPS: tuple[tuple[Mutation, ...], ...] = (
    images.MUTATIONS,
    objects.MUTATIONS,
    tables.MUTATIONS,
    text.MUTATIONS,
    names.MUTATIONS,
)
_WEIGHTS = (25, 30, 20, 15, 10)
_TRIES = 50
#: Share of changes that may be of a file that the study doesn't use.
_UNUSED = 0.1
#: Inputs larger than this are not kept [bytes].
_KEPT = 50 * 2**20


@dataclass(frozen=True)
class Case:
    """One spoilt study: its name, input function, what was changed, what came of it and the verdict."""

    name: str
    method: str
    changes: tuple[Change, ...]
    outcome: Outcome
    judgement: Judgement

    def __str__(self) -> str:
        lines = [
            f"{self.name} ({self.method}): {self.judgement.verdict}",
            *(f"    {change}" for change in self.changes),
        ]
        return "\n".join([*lines, *(f"    → {reason:.1500}" for reason in self.judgement.reasons)])


class Bench:
    """The sound study, run once, and a copy of it to spoil."""

    def __init__(self, folder: Path) -> None:
        self.kept, self.place = folder / "sound", folder / "study"
        self.kept.mkdir()
        self.place.mkdir()
        write_sound(self.place)
        self.sound = outcome_of(self.place / "study.yaml", processor=CLOCK)  # it imports all that there is
        self._require_right()
        for part in ("bids", "out"):
            shutil.copytree(self.place / part, self.kept / part)

    def _require_right(self) -> None:
        """The sound study has its known answer: what is judged by it is worth something."""
        assert not self.sound.broken, self.sound.broken
        for (scan, analysis, region), value in self.sound.values.items():
            if analysis in ("arterial", "from-file", "first"):
                assert abs(value / KI[region] - 1) < TOLERANCE / 2, (scan, analysis, region, value)

    def spoil(self, seed: int, number: int) -> Case:
        """Make and run one case."""
        rng = random.Random(f"{seed}-{number}")
        self._restore()
        analyses = self._write_study(rng)
        changes = tuple(self._change(rng, analyses[0]) for _ in range(rng.choices((1, 2, 3), (80, 15, 5))[0]))
        outcome = outcome_of(self.place / "study.yaml")
        return Case(
            f"seed {seed} case {number}",
            analyses[0],
            changes,
            outcome,
            judge(self.sound.of_analyses(analyses), outcome, changes),
        )

    def _restore(self) -> None:
        shutil.rmtree(self.place)
        self.place.mkdir()
        for part in ("bids", "out"):
            shutil.copytree(self.kept / part, self.place / part)

    def _write_study(self, rng: random.Random) -> tuple[str, ...]:
        """Write a study with one input function, or with several of which the first is used; names of its analyses."""
        method = rng.choices((*METHODS, "first"), (45, 10, 10, 20, 15))[0]
        fits = [fit for fit in STUDY["kinetics"] if fit["name"] in (method, "uptake")]
        names = METHODS if method == "first" else (method,)
        methods = {name: STUDY["input_functions"][name] for name in names}
        (self.place / "study.yaml").write_text(
            yaml.safe_dump(STUDY | {"kinetics": fits, "input_functions": methods}, sort_keys=False)
        )
        return method, "uptake"

    def _change(self, rng: random.Random, method: str) -> Change:
        anywhere = rng.random() < _UNUSED
        for _ in range(_TRIES):
            mutation = rng.choice(rng.choices(GROUPS, _WEIGHTS)[0])
            files = [path for path in self._files() if path.match(mutation.pattern)]
            if not files:
                continue
            path = rng.choice(files)
            name = path.relative_to(self.place).as_posix()
            if not (anywhere or _is_used(name, method)):
                continue
            try:
                detail, unseen = mutation.mutate(rng, path)
            except (NotPossibleError, ValueError, IndexError, OSError):
                continue
            return Change(mutation.kind, name, detail, unseen)
        return Change("nothing", "", "no mutation was possible", "")

    def _files(self) -> list[Path]:
        """Files that may be changed: of ordinary size, and no links."""
        paths = (*(self.place / "bids").rglob("*"), self.place / "study.yaml")
        return sorted(one for one in paths if one.is_file() and not one.is_symlink() and one.stat().st_size < _KEPT)

    def keep(self, case: Case, folder: Path) -> None:
        """Keep the input of a case, and what is said of it."""
        target = folder / case.name.replace(" ", "-")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "verdict.txt").write_text(f"{case}\n", encoding="utf-8", errors="backslashreplace")
        shutil.copy2(self.place / "study.yaml", target)
        try:
            shutil.copytree(self.place / "bids", target / "bids", symlinks=True, ignore=_unfit)
        except shutil.Error as fault:
            print(f"    not all could be kept: {fault!s:.200}")


def _is_used(name: str, method: str) -> bool:
    """Whether a file enters into the result of a method."""
    if "inputfunction" in name:
        return method == "from-file"
    if "_blood" in name:
        return method in ("arterial", "first")
    return not (method in ("image-derived", "population") and "sub-02" in name)


def _unfit(folder: str, entries: list[str]) -> list[str]:
    """Entries that are no ordinary file or folder, or too large."""
    paths = [Path(folder) / entry for entry in entries]
    return [one.name for one in paths if one.is_fifo() or (one.is_file() and one.stat().st_size > _KEPT)]
