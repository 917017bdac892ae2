"""What was found, kept line by line, and the page that is made of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.faults.faults import FAULTS

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results.jsonl"
PAGE = ROOT / "docs" / "reliability.md"
_BEGIN, _END = "<!-- made by python -m tests.faults -->", "<!-- end -->"


@dataclass(frozen=True)
class Result:
    """One repetition of a fault.

    Attributes
    ----------
    fault, seed
        Which fault, and the number that its random moment follows from.
    identical
        Whether the products in the end are those of an undisturbed run, and nothing else is left.
    lost
        Products that were committed before the fault and were made again, or are gone.
    ended
        Whether all came to an end within the time set.
    seconds
        Time from the fault to the end of the study [s].
    runs
        Number of runs that it took.
    note
        What was wrong.
    machine
        Where it was found.
    """

    fault: str
    seed: int
    identical: bool
    lost: int
    ended: bool
    seconds: float
    runs: int
    note: str = ""
    machine: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the fault did no harm."""
        return self.identical and not self.lost and self.ended and not self.note


def machine() -> str:
    """What the repetitions ran on."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release().split('-')[0]}"


def read() -> list[Result]:
    """All results so far."""
    if not RESULTS.exists():
        return []
    return [Result(**json.loads(line)) for line in RESULTS.read_text().splitlines()]


def add(result: Result) -> None:
    """Keep a result, and bring the page up to date."""
    with RESULTS.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")
    write_page()


def write_page() -> None:
    """Write the table into the page."""
    text = PAGE.read_text()
    begin, end = text.index(_BEGIN) + len(_BEGIN), text.index(_END)
    PAGE.write_text(text[:begin] + "\n" + table(read()) + "\n" + text[end:])


def table(results: Iterable[Result]) -> str:
    """The table, one row for each fault."""
    found = list(results)
    lines = [
        "| fault | the run | times | did so | products identical | lost | hanging | longest, limit [s] |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, fault in FAULTS.items():
        mine = [one for one in found if one.fault == name]
        after = "goes on" if fault.survives else "may end, is started again"
        if not mine:
            lines.append(f"| {fault.title} | {after} | 0 | | | | | {fault.limit:.0f} |")
            continue
        as_told = sum(not one.note for one in mine)
        same, lost = sum(one.identical for one in mine), sum(one.lost for one in mine)
        hanging, longest = sum(not one.ended for one in mine), max(one.seconds for one in mine)
        time = f"{longest:.0f}, {fault.limit:.0f}"
        counts = " | ".join(map(str, (len(mine), as_told, same, lost, hanging)))
        lines.append(f"| {fault.title} | {after} | {counts} | {time} |")
    places = "; ".join(dict.fromkeys(one.machine for one in found))
    return "\n".join([*lines, "", f"Found on: {places or 'not run yet'}."])
