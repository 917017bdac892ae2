"""The fingerprint: everything that a product depends on, in one digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from dlif_core.finite import to_json

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Fingerprint:
    """All inputs, settings and versions from which a product was, or would be, computed.

    Attributes
    ----------
    parts
        Named parts as text: digests of inputs, settings such as ``kinetics.blood_volume``, versions.

    Examples
    --------
    >>> new = Fingerprint({"kinetics.blood_volume": "fitted", "version": "1"})
    >>> new.changes({"kinetics.blood_volume": "0.05", "version": "1"})
    ('kinetics.blood_volume: 0.05 → fitted',)
    """

    parts: Mapping[str, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", dict(sorted(self.parts.items())))

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical JSON of the parts, as hexadecimal digits."""
        canonical = to_json(self.parts, where="fingerprint", sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("utf-8", "backslashreplace")).hexdigest()

    def changes(self, committed: Mapping[str, str]) -> tuple[str, ...]:
        """List what changed since a product was committed, one readable line for each part.

        Parameters
        ----------
        committed
            The parts in the product's marker.
        """
        return tuple(_changes(committed, self.parts))


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"{name}: new, {_short(new[name])}"
        elif name not in new:
            yield f"{name}: no longer used, was {_short(old[name])}"
        elif old[name] != new[name]:
            yield f"{name}: {_short(old[name])} → {_short(new[name])}"


def _short(value: str) -> str:
    return _SHA256.sub(lambda digest: digest[0][:12], value)
