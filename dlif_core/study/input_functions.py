"""Committed input functions, as analyses and reports read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlif_core.checks import Finding
from dlif_core.checks.results import FIRST_INPUT_FUNCTION, METABOLITES
from dlif_core.errors import BloodError
from dlif_core.store import Marker, Store
from dlif_core.study.job import ScanJob
from dlif_core.study.products import input_function_name

if TYPE_CHECKING:
    from dlif_core.curve import InputFunction


def read_input_function(store: Store, scan: str, method: str) -> InputFunction:
    """A committed input function."""
    from dlif_core.curve import InputFunction

    return InputFunction.from_dataset(store.open_dataset(input_function_name(scan, method)))


def available_input_function(job: ScanJob) -> tuple[InputFunction | None, tuple[Finding, ...]]:
    """The first input function of the analysis's list that the scan has, and findings about it.

    A finding says that it isn't the first of all, another that its plasma holds metabolites. The curve is None for an
    analysis that needs no input function.

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
            curve = read_input_function(job.store, job.step.scan, method)
            return curve, (*_passed_over(job, passed, method), *_with_metabolites(job, curve))
        passed.append(f"{method} was unavailable: {_why(marker)}")
    raise BloodError("no input function is available.", where=job.step.title, hint=f"{'; '.join(passed)}.")


def _why(marker: Marker | None) -> str:
    """Why there is no curve, in a clause: what to do about it stands with the input function itself."""
    if marker is None:
        return "it was not made"
    return marker.reason.removesuffix(marker.hint).strip().rstrip(".")


def _passed_over(job: ScanJob, passed: list[str], used: str) -> tuple[Finding, ...]:
    if not passed:
        return ()
    where = f"{job.step.stage} {job.step.variant}"
    finding = FIRST_INPUT_FUNCTION.found(f"{'; '.join(passed)}; {used} was used.", where=where)
    return (finding.below(job.config.data.uri),)


def _with_metabolites(job: ScanJob, curve: InputFunction) -> tuple[Finding, ...]:
    if not curve.with_metabolites:
        return ()
    where = f"{job.step.stage} {job.step.variant}"
    message = f"{job.fit.title} needs unchanged tracer in plasma; {curve.method} gives plasma with its metabolites."
    return (METABOLITES.found(message, where=where).below(job.config.data.uri),)
