"""What plans and statuses need of many markers, remembered so that they need not be read one by one.

Markers alone say what is committed. What is remembered of a marker counts only while its file is the very one that was
read, see `Folder.stamps`: a product that was made again, changed or removed is always noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from dlif_core.store.cache import recall, remember
from dlif_core.store.folder import Folder
from dlif_core.store.layout import MARKER_CACHE, MARKER_FILE
from dlif_core.store.marker import Marker, Status

_STATUSES = get_args(Status)


@dataclass(frozen=True, slots=True)
class Brief:
    """What of a product's marker says whether it is up to date, and what became of it.

    Attributes
    ----------
    fingerprint, status, reason, findings
        What the fields of that name say in `Marker`.
    """

    fingerprint: str
    status: Status
    reason: str
    findings: tuple[Mapping[str, Any], ...]


class _Entry(NamedTuple):
    """A brief as it is remembered, with the stamp of the marker's file."""

    stamp: str
    fingerprint: str
    status: Status
    reason: str
    findings: tuple[Mapping[str, Any], ...]

    @property
    def brief(self) -> Brief:
        return Brief(self.fingerprint, self.status, self.reason, tuple(self.findings))


def read_briefs(folder: Folder, names: Iterable[str]) -> dict[str, Brief]:
    """Briefs of those products that are committed, by name.

    Parameters
    ----------
    folder
        The store's folder.
    names
        Products to look for.

    Raises
    ------
    ProductDamagedError
        If a marker can't be read.
    """
    wanted = list(names)
    stamps = folder.stamps(f"{name}/{MARKER_FILE}" for name in wanted)
    known = recall(folder, MARKER_CACHE, _recalled)
    found: dict[str, _Entry] = {}
    for name in wanted:
        stamp, entry = stamps.get(f"{name}/{MARKER_FILE}"), known.get(name)
        if stamp and entry and entry.stamp == stamp:
            found[name] = entry
    unread = [name for name in wanted if f"{name}/{MARKER_FILE}" in stamps and name not in found]
    fresh = _read(folder, unread, stamps)
    vanished = {name for name in wanted if name in known and f"{name}/{MARKER_FILE}" not in stamps}
    sure = {name: entry for name, entry in fresh.items() if entry.stamp}
    if vanished or sure:
        remember(folder, MARKER_CACHE, {name: one for name, one in (known | sure).items() if name not in vanished})
    return {name: entry.brief for name, entry in (found | fresh).items()}


def _recalled(values: Any) -> _Entry:
    entry = _Entry(*values)
    texts = (entry.stamp, entry.fingerprint, entry.reason)
    findings: Any = entry.findings
    listed = isinstance(findings, list) and all(isinstance(one, dict) for one in findings)
    if not (listed and entry.status in _STATUSES and all(isinstance(text, str) for text in texts)):
        raise TypeError("no entry")
    return entry


def _read(folder: Folder, names: Iterable[str], stamps: Mapping[str, str]) -> dict[str, _Entry]:
    found = {}
    for key, data in folder.read_all(f"{name}/{MARKER_FILE}" for name in names).items():
        name = key.removesuffix(f"/{MARKER_FILE}")
        marker = Marker.from_json(data, where=folder.uri(name))
        found[name] = _Entry(stamps[key], marker.fingerprint, marker.status, marker.reason, tuple(marker.findings))
    return found
