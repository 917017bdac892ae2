"""Header of an Interfile image: lines ``key := value``, some keys with a number in square brackets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dlif_core.errors import ImageError
from dlif_core.ingest.tables import number
from dlif_core.ingest.uris import fit_text, read_bytes

MAGIC = (b"!INTERFILE", b"!interfile", b"!Interfile")

_HEADER_BYTES = 4 * 10**6
_INDEXED = re.compile(r"(.*?)\s*\[\s*(\d{1,6})\s*\]")
_NEITHER = re.compile(r"[\s_]+")
_EXPORT = "Correct the header, or export the image again."


@dataclass(frozen=True)
class InterfileHeader:
    """Keys of a header, in small letters without marks; the last of a name counts, where it is no number.

    Attributes
    ----------
    where
        The file.
    keys
        Value by key and the number in its brackets, 0 without.
    twice
        Keys that stand there twice, with different values, and the numbers in their brackets.
    """

    where: str
    keys: Mapping[tuple[str, int], str]
    twice: frozenset[tuple[str, int]] = frozenset()

    def text(self, *names: str, index: int = 0) -> str:
        """Value of the first of these keys that is there, "" without one."""
        return next((self.keys[name, index] for name in names if (name, index) in self.keys), "")

    def value(self, *names: str, index: int = 0) -> float | None:
        """Number of the first of these keys that is there; None without one.

        Raises
        ------
        ImageError
            If it is there and no number, or there twice with different values.
        """
        named = next((name for name in names if (name, index) in self.keys), "")
        if (named, index) in self.twice:
            raise ImageError(f"{named!r} is stated twice, with different values.", where=self.where, hint=_EXPORT)
        text = self.text(*names, index=index).strip("{} ")
        found = number(text)
        if text and found is None:
            raise ImageError(f"{names[0]!r} is not a number.", where=self.where, hint=_EXPORT)
        return found

    def require(self, *names: str, index: int = 0) -> float:
        """Number of the first of these keys, which must be there.

        Raises
        ------
        ImageError
            If it isn't, or is no number.
        """
        found = self.value(*names, index=index)
        if found is None:
            place = f" [{index}]" if index else ""
            raise ImageError(f"{names[0] + place!r} is missing.", where=self.where, hint=_EXPORT)
        return found

    def whole(self, *names: str, index: int = 0) -> int:
        """Whole number of the first of these keys, which must be there.

        Raises
        ------
        ImageError
            If it isn't, or is no whole number.
        """
        found = self.require(*names, index=index)
        if found != int(found):
            raise ImageError(f"{names[0]!r} is not a whole number.", where=self.where, hint=_EXPORT)
        return int(found)

    def of_frame(self, name: str, frame: int, frames: int) -> float | None:
        """Number of a key for a frame, counted from 1; one without brackets is that of the only frame."""
        found = self.value(name, index=frame)
        return self.value(name) if found is None and frames == 1 else found

    @property
    def frames(self) -> int:
        """Number of frames.

        Raises
        ------
        ImageError
            If it is no whole number, or frames are in groups.
        """
        if (self.value("number of frame groups") or 1) > 1:
            raise ImageError(
                "the frames are in groups, which are not read.",
                where=self.where,
                hint="Export them as `number of time frames`.",
            )
        return self.whole("number of time frames") if self.text("number of time frames") else 1


def read_header(uri: str) -> InterfileHeader:
    """Read a header.

    Raises
    ------
    MissingInputError
        If it is not there.
    ImageError
        If it is no header of Interfile.
    InputError
        If it can't be read.
    """
    content = read_bytes(uri, _HEADER_BYTES)
    if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(MAGIC):
        raise ImageError(
            "this is no Interfile header: it doesn't begin with !INTERFILE.", where=uri, hint="Check what the file is."
        )
    keys: dict[tuple[str, int], str] = {}
    twice: set[tuple[str, int]] = set()
    for line in fit_text(content.decode("latin-1")).splitlines():
        name, mark, value = line.partition(":=")
        if mark and not name.lstrip().startswith(";"):
            key, found = _key(name), value.split(";")[0].strip()
            twice |= {key} if keys.get(key, found) != found else set()
            keys[key] = found
    return InterfileHeader(uri, keys, frozenset(twice))


def _key(name: str) -> tuple[str, int]:
    """Spelling under which a key is looked up, and the number in its brackets."""
    plain = _NEITHER.sub(" ", name.strip().lstrip("!%").strip().lower())
    found = _INDEXED.fullmatch(plain)
    return (found[1], int(found[2])) if found else (plain, 0)
