"""The card of a release: what it holds, in numbers and words, and a digest of every file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlif_core.finite import to_json

_CARD, _TEXT, _DIGESTS = "card.json", "README.md", "SHA256SUMS"
_NOT_GIVEN = "not given"

_PAGE = """# PET curves and blood

{scans} scans of {animals} animals or people, as PET-BIDS: region curves, blood samples and input functions. Times
count from injection, and activities are decay-corrected to it. Subjects have random names, sessions are numbers, and
there are no dates, images or free text. For research use only.

**Licence: {licence}.** Whoever releases these data states here what may be done with them.

{tables}
Names of tracers and regions were taken from the data as they are; look them over before you pass the release on.

`{card}` holds these numbers for programs, `{digests}` the sha256 of every file (`sha256sum -c {digests}`).
"""


def write_card(root: Path, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Write the card of a release and the digests of all of its files.

    Parameters
    ----------
    root
        Folder of the release.
    rows
        Rows of the catalog of its scans.
    names
        New name of each scan.
    """
    card = release_card(rows, names)
    (root / _CARD).write_text(f"{to_json(card, where=_CARD, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
    (root / _TEXT).write_text(_page(card), encoding="utf-8")
    (root / _DIGESTS).write_text(_digests(root), encoding="utf-8")


def release_card(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """What a release holds, as plain values; no old name is among them."""
    scanners = (" ".join(filter(None, (row["manufacturer"], row["scanner"]))) for row in rows)
    return {
        "scans": len(rows),
        "animals": len({name.partition("_")[0] for name in names}),
        "licence": _NOT_GIVEN,
        "species": _counts(row["species"] for row in rows),
        "tracers": _counts(row["tracer"] for row in rows),
        "scanners": _counts(scanners),
        "reconstructions": _counts(row["reconstruction"] for row in rows),
        "regions": _counts(name for row in rows for name in row["regions"]),
        "blood": {
            "with arterial samples": sum(bool(row["arterial_samples"]) for row in rows),
            "with plasma": sum(bool(row["has_plasma"]) for row in rows),
            "with parent fractions": sum(bool(row["has_parent_fraction"]) for row in rows),
            "arterial samples": sum(row["arterial_samples"] or 0 for row in rows),
        },
        "input functions": _counts(method for row in rows for method in row["input_functions"]),
        "findings": {level: sum(row[level] or 0 for row in rows) for level in ("assumed", "doubtful", "refused")},
    }


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    """How often each value is there, the most frequent first."""
    found = Counter(value or _NOT_GIVEN for value in values)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _page(card: Mapping[str, Any]) -> str:
    tables = [_table(title, counts) for title, counts in card.items() if isinstance(counts, Mapping)]
    return _PAGE.format(**card, tables="\n".join(tables), card=_CARD, digests=_DIGESTS)


def _table(title: str, counts: Mapping[str, int]) -> str:
    rows = [f"| {_cell(name)} | {count} |" for name, count in counts.items()]
    return "\n".join([f"| {title} | |", "|---|---|", *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _digests(root: Path) -> str:
    """Digests of all files, as ``sha256sum`` prints them."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != _DIGESTS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root).as_posix()}" for path in files]
    return "\n".join(lines) + "\n"
