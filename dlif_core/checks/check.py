"""A check of a scan's data, and what one finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlif_core.checks.facts import ScanFacts


class Level(StrEnum):
    """How much a finding weighs, from the least to the most.

    ``repaired``: a fault was mended, and the data are as they should have been. ``assumed``: something is missing, and
    the usual case was taken. ``doubtful``: the data are hardly possible; they are used only if the study accepts the
    check. ``refused``: the data can't be used.
    """

    REPAIRED = "repaired"
    ASSUMED = "assumed"
    DOUBTFUL = "doubtful"
    REFUSED = "refused"


class Part(StrEnum):
    """The part of a scan that a finding is about, and that is withheld where the finding rules it out.

    ``scan``: everything. ``dose`` and ``weight``: the injected activity and the body weight; without them there is no
    SUV, and no curve that is scaled by it. ``blood``: the blood samples. ``plasma``: the file of plasma that a study
    names for curves from images. ``result``: a result of a fit, which is marked and stays.
    """

    SCAN = "scan"
    DOSE = "dose"
    WEIGHT = "weight"
    BLOOD = "blood"
    PLASMA = "plasma"
    RESULT = "result"


#: What is lost with a part.
LOST: Mapping[Part, str] = {
    Part.SCAN: "the scan is excluded",
    Part.DOSE: "SUV is unavailable, and so are curves that dose and weight scale",
    Part.WEIGHT: "SUV is unavailable, and so are curves that dose and weight scale",
    Part.BLOOD: "input functions from blood are unavailable",
    Part.PLASMA: "the input functions whose option `plasma` names the file are unavailable",
    Part.RESULT: "it is marked as not plausible",
}


@dataclass(frozen=True)
class Finding:
    """What a check found in a scan.

    Attributes
    ----------
    check
        Name of the check.
    level
        How much it weighs.
    part
        What it is about.
    message
        What is wrong, or what was done about it, in a sentence.
    where
        File and field.
    remedy
        What to do about it.
    accepted
        Whether the study accepts data that the check doubts.
    """

    check: str
    level: Level
    part: Part
    message: str
    where: str = ""
    remedy: str = ""
    accepted: bool = False

    @property
    def withholds(self) -> bool:
        """Whether its part of the scan can't be used."""
        return self.level is Level.REFUSED or (self.level is Level.DOUBTFUL and not self.accepted)

    @property
    def advice(self) -> str:
        """The remedy, with the way to accept a doubt."""
        if self.level is Level.DOUBTFUL and not self.accepted and self.part is not Part.RESULT:
            return f"{self.remedy} If the data are right, accept it with `accept: [{self.check}]`.".strip()
        return self.remedy

    def below(self, root: str) -> Finding:
        """The finding with its files named from a folder or URL, so that it holds wherever that lies."""
        root = f"{root.rstrip('/')}/"
        return replace(self, where=self.where.replace(root, ""), message=self.message.replace(root, ""))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message} {self.advice}".strip()

    @property
    def told(self) -> str:
        """All of it in sentences, for who has no table to look at: place, fault, what is lost, and the remedy."""
        place = f"{self.where}: " if self.where else ""
        verdict = f"Therefore {LOST[self.part]}. " if self.withholds else "This is accepted. " if self.accepted else ""
        return f"{place}{self.message} {verdict}{self.advice}".strip()

    def as_record(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Finding:
        """The finding that `as_record` wrote."""
        return cls(**{**record, "level": Level(record["level"]), "part": Part(record["part"])})


def _plain(value: object) -> object:
    return str(value) if isinstance(value, StrEnum) else value


@dataclass(frozen=True)
class Check:
    """One entry in the table of checks.

    Attributes
    ----------
    name
        Name in study files (``accept``), tables and the documentation: lower case, words joined by ``-``.
    level, part
        How much its findings weigh, and what part of the scan they are about.
    tests
        What must hold, in a sentence.
    remedy
        What to do if it doesn't hold.
    inspect
        Gives a message for everything in a scan that fails the check. None for what only a reader or a fit can see:
        that code calls `found`.
    place
        Key of `ScanFacts.places` for the file that findings name.
    """

    name: str
    level: Level
    part: Part
    tests: str
    remedy: str
    inspect: Callable[[ScanFacts], Iterator[str]] | None = None
    place: str = ""

    def found(self, message: str, *, where: object = "", remedy: str = "") -> Finding:
        """A finding of this check; a remedy that says more than the check's own takes its place."""
        return Finding(self.name, self.level, self.part, message, str(where), remedy or self.remedy)

    def examine(self, facts: ScanFacts) -> list[Finding]:
        """What the check finds in a scan."""
        if self.inspect is None:
            return []
        where = facts.places.get(self.place, "")
        return [self.found(message, where=where) for message in self.inspect(facts)]
