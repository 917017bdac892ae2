"""Rows of a catalog for tests: made up, with every kind of column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dlif_core.catalog.file import write_catalog


def row(number: int = 0, **columns: Any) -> dict[str, Any]:
    """The row of a scan of which all that is not given follows from a number."""
    site, subject = f"site{number % 5}", f"sub-{number:06d}"
    return {
        "site": site,
        "study": f"study-{site}",
        "scan": subject,
        "subject": subject,
        "animal": f"study-{site}:{subject}",
        "status": "success",
        "fingerprint": f"{number:064x}",
        "data_digest": f"{number:064x}",
        "species": ("mouse", "rat", None)[number % 3],
        "body_weight": 0.02 + number % 10 / 1000,
        "frames": number % 60,
        "image": number % 2 == 0,
        "arterial_samples": number % 30,
        "regions": ["brain", "liver"],
        "input_functions": (["arterial", "learned"], ["learned"], [])[number % 3],
        "products": [{"name": "input_functions/learned", "status": "success", "reason": "", "fingerprint": "0" * 64}],
    } | columns


def write_rows(folder: Path, rows: Iterable[dict[str, Any]]) -> str:
    """Write rows as a catalog; its path."""
    path = str(folder / "catalog.parquet")
    write_catalog(path, _batches(rows))
    return path


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    yield list(rows)
