"""Committed input functions, as analyses and reports read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlif_core.errors import BloodError
from dlif_core.store import Store
from dlif_core.study.job import ScanJob
from dlif_core.study.products import input_function_name

if TYPE_CHECKING:
    from dlif_core.curve import InputFunction


def read_input_function(store: Store, scan: str, method: str) -> InputFunction:
    """A committed input function."""
    from dlif_core.curve import InputFunction

    return InputFunction.from_dataset(store.open_dataset(input_function_name(scan, method)))


def available_input_function(job: ScanJob) -> tuple[InputFunction | None, tuple[str, ...]]:
    """The first input function of the analysis's list that the scan has, and what was passed over.

    None for an analysis that needs no input function.

    Raises
    ------
    BloodError
        If the analysis needs one and the scan has none of the list.
    """
    passed: list[str] = []
    if not job.config.methods_for(job.fit):
        return None, ()
    for method in job.config.methods_for(job.fit):
        marker = job.store.marker(input_function_name(job.step.scan, method))
        if marker is not None and marker.status == "success":
            return read_input_function(job.store, job.step.scan, method), tuple(passed)
        reason = marker.reason if marker else "not made"
        passed.append(f"input function {method!r} is unavailable ({reason}); the next in the list is used.")
    raise BloodError("no input function is available.", where=job.step.title, hint=" ".join(passed))
