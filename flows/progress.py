"""Progress on standard error, so that standard output holds results only: bars in a terminal, elsewhere lines."""

from __future__ import annotations

import time
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

# least time between two lines of a name where there is no terminal [s]
_LINE_EVERY = 30.0


class ProgressBars:
    """One bar for each name, shown from the first time that the name is used until `close`.

    Where standard error is no terminal, such as a file or the log of a batch job, bars are only drawn at the end. A
    line for each name then tells every half minute how far it is and how long it will take.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, float] = {}

    def update(self, name: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` units are done, with a note beside the bar."""
        if name not in self._tasks:
            self._progress.start()
            self._tasks[name] = self._progress.add_task(name, total=total, note=note)
        self._progress.update(self._tasks[name], completed=done, total=total, note=note)
        self._tell(name)

    def advance(self, name: str, note: str = "") -> None:
        """Count one unit more of a bar that `update` made."""
        self._progress.update(self._tasks[name], advance=1, note=note)
        self._tell(name)

    def _tell(self, name: str) -> None:
        """Write a line where there is no terminal, unless one of this name was written shortly before."""
        if self._progress.console.is_terminal:
            return
        now = time.monotonic()
        task = next(task for task in self._progress.tasks if task.id == self._tasks[name])
        if now - self._told.setdefault(name, now) < _LINE_EVERY or task.finished:
            return
        self._told[name] = now
        # the mean pace since the beginning: bursts of several processes would mislead a running one
        left = (task.elapsed or 0.0) * ((task.total or 0.0) - task.completed) / max(task.completed, 1e-9)
        about = f", about {timedelta(seconds=int(left))} left" if task.completed else ""
        note = f" ({task.fields['note']})" if task.fields["note"] else ""
        self.write(Text(f"{name}: {task.completed:g} of {task.total:g}{about}{note}"))

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
