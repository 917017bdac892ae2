"""Text header of a microPET or Inveon image: entries of the scan, then entries of each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from dlif_core.errors import ImageError
from dlif_core.ingest.tables import number
from dlif_core.ingest.uris import fit_text, read_bytes

_HEADER_BYTES = 8 * 10**6
_END = "end_of_header"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = re.compile(r"([A-Za-z]{3})[a-z]*\s+(\d{1,2})\s+(\d{1,2}):(\d\d):(\d\d)\s+(\d{4})")
#: What stands for the values of an entry that contradict each other.
_TWICE = "\n"
_EXPORT = "Export the image again, or correct its header."

Entries = Mapping[str, str]


@dataclass(frozen=True)
class InveonHeader:
    """Entries of a header.

    Attributes
    ----------
    where
        The file.
    scan
        Entries of the scan.
    frames
        Entries of each frame, in the order of their numbers.
    """

    where: str
    scan: Entries
    frames: tuple[Entries, ...]

    def value(self, name: str, entries: Entries | None = None) -> float | None:
        """Number of an entry of the scan, or of the entries of a frame; None without one."""
        return number(self.text(name, entries))

    def text(self, name: str, entries: Entries | None = None) -> str:
        """Text of an entry of the scan, or of the entries of a frame; "" without one.

        Raises
        ------
        ImageError
            If it stands there twice, with different values.
        """
        found = (self.scan if entries is None else entries).get(name, "")
        if found == _TWICE:
            raise ImageError(f"the header states {name} twice, with different values.", where=self.where, hint=_EXPORT)
        return found

    def require(self, name: str, entries: Entries | None = None) -> float:
        """Number of an entry that must be there.

        Raises
        ------
        ImageError
            If it isn't, or is no number.
        """
        found = self.value(name, entries)
        if found is None:
            raise ImageError(f"the header states no number as {name}.", where=self.where, hint=_EXPORT)
        return found

    def whole(self, name: str, entries: Entries | None = None) -> int:
        """Whole number of an entry that must be there.

        Raises
        ------
        ImageError
            If it isn't, or is no whole number.
        """
        found = self.require(name, entries)
        if found != int(found):
            raise ImageError(f"{name} is {found:g}, not a whole number.", where=self.where, hint=_EXPORT)
        return int(found)

    def code(self, name: str) -> int:
        """Whole number of an entry that stands for one of several meanings; 0, which means unknown, without one."""
        found = self.value(name)
        return int(found) if found is not None and found == int(found) else 0

    def time(self, name: str) -> datetime | None:
        """Date and time of an entry, such as ``Tue Mar 03 10:00:00 2009``; None without one."""
        found = _TIME.search(self.text(name))
        if found is None or found[1].lower() not in _MONTHS:
            return None
        day, hour, minute, second, year = (int(found[group]) for group in range(2, 7))
        try:
            return datetime(year, _MONTHS.index(found[1].lower()) + 1, day, hour, minute, second)
        except ValueError:
            return None

    def place(self, entries: Entries) -> int:
        """Byte at which a frame begins: one number, or its upper and lower 32 bits.

        Raises
        ------
        ImageError
            If it can't be read.
        """
        parts = [number(part) for part in self.text("data_file_pointer", entries).split()]
        if len(parts) not in (1, 2) or any(part is None or part != int(part) for part in parts):
            raise ImageError("the header states no data_file_pointer of a frame.", where=self.where, hint=_EXPORT)
        *upper, lower = (int(part or 0) for part in parts)
        return (upper[0] << 32) + lower % 2**32 if upper else lower


def read_header(uri: str) -> InveonHeader:
    """Read a header.

    Raises
    ------
    MissingInputError
        If it is not there.
    ImageError
        If it describes no frames, or one twice.
    InputError
        If it can't be read.
    """
    text = fit_text(read_bytes(uri, _HEADER_BYTES).decode("latin-1"))
    scan, *frames = _blocks(text)
    header = InveonHeader(uri, scan, tuple(entries for entries in frames if "frame" in entries))
    numbers = [header.whole("frame", entries) for entries in header.frames]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ImageError(
            "the header describes no frames, or one twice: each must end with `end_of_header`.", where=uri, hint=_EXPORT
        )
    ordered = sorted(zip(numbers, header.frames, strict=True), key=lambda pair: pair[0])
    return InveonHeader(uri, scan, tuple(entries for _, entries in ordered))


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Entries of each part that ends with `end_of_header`; of the first also without."""
    entries: dict[str, str] = {}
    first = True
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if name == _END:
            yield entries
            entries, first = {}, False
        elif name and not name.startswith("#"):
            found = value.strip()
            entries[name] = found if entries.get(name, found) == found else _TWICE
    if first or entries:
        yield entries
