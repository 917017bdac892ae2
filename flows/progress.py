"""Progress bars in the terminal, on standard error so that standard output holds results only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text


class ProgressBars:
    """One bar for each name, shown from the first time that the name is used until `close`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def update(self, name: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` units are done, with a note beside the bar."""
        if name not in self._tasks:
            self._progress.start()
            self._tasks[name] = self._progress.add_task(name, total=total, note=note)
        self._progress.update(self._tasks[name], completed=done, total=total, note=note)

    def advance(self, name: str, note: str = "") -> None:
        """Count one unit more of a bar that `update` made."""
        self._progress.update(self._tasks[name], advance=1, note=note)

    def write(self, line: RenderableType) -> None:
        """Write a line above the bars."""
        self._progress.console.print(line)

    def close(self) -> None:
        """Leave the bars as they are; nothing is shown where none was made."""
        if self._tasks:
            self._progress.stop()


@contextmanager
def progress_bars() -> Iterator[ProgressBars]:
    """Show progress bars while the block runs."""
    columns = (
        TextColumn("{task.description:15}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _TimeLeft(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    bars = ProgressBars(Progress(*columns, console=Console(stderr=True)))
    try:
        yield bars
    finally:
        bars.close()


class _TimeLeft(ProgressColumn):
    """The expected remaining time, empty while it is unknown and once the work is done."""

    # The estimate changes with every unit; more often than once a second it can't be read.
    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        if task.finished or task.time_remaining is None:
            return Text()
        return Text(f"{timedelta(seconds=int(task.time_remaining))} left", style="progress.remaining")
