"""Faults of one file, collected so that they can all be corrected at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlif_core.errors import DlifError, InputError


@dataclass
class Faults:
    """All faults of one file.

    Attributes
    ----------
    where
        The file, for the message.
    found
        The faults in the order in which they were found.
    """

    where: str
    found: list[DlifError] = field(default_factory=list)

    def add(self, error: DlifError) -> None:
        """Remember a fault."""
        self.found.append(error)

    def raise_any(self) -> None:
        """Raise a single fault as it is, and several as one error that lists them; return if there is none.

        Raises
        ------
        InputError
            For several faults; it has their type if all have the same.
        """
        if len(self.found) == 1:
            raise self.found[0]
        if not self.found:
            return
        kinds = {type(error) for error in self.found}
        listed = " ".join(f"({i}) {self._described(error)}" for i, error in enumerate(self.found, start=1))
        kind = kinds.pop() if len(kinds) == 1 else InputError
        raise kind(f"{len(self.found)} faults: {listed}", where=self.where)

    def _described(self, error: DlifError) -> str:
        place = error.where.removeprefix(self.where).strip(", ")
        return " ".join(filter(None, (f"{place}:" if place else "", error.message, error.hint)))
