"""Regions: a kinetic model is fitted to the mean curve of every region."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from dlif_core.checks import Finding
from dlif_core.store import Staging
from dlif_core.study.config import Kinetics
from dlif_core.study.job import ScanJob
from dlif_core.study.products import fit_name
from dlif_core.study.stages.base import ScanPlan, ScanStage
from dlif_core.study.stages.ingest import INGEST
from dlif_core.study.stages.input_function import INPUT_FUNCTIONS
from dlif_core.study.step import Step


class RegionsStage(ScanStage):
    """Region curves and input function → parameters of every region, for each kinetic analysis."""

    name = "regions"
    title = "regions"
    version = 3
    is_analysis = True

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step an analysis; curves of regions are not denoised."""
        fits = plan.config.kinetics
        return (fit_step(self, plan, fit, partial(fit.deciding_settings, maps=False)) for fit in fits)

    def write(self, job: ScanJob, staging: Staging) -> Sequence[Finding]:
        """Fit all regions."""
        from dlif_core.checks.results import implausible
        from dlif_core.kinetics import fit_regions
        from dlif_core.kinetics.plausible import limits_of
        from dlif_core.study.input_functions import available_input_function
        from dlif_core.study.source import read_scan

        scan, _ = read_scan(job.store, job.step.scan)
        curve, passed = available_input_function(job)
        fitted = fit_regions(scan, curve, job.fit.settings)
        always = ("region", "frame_start", "frame_duration", "measured", "weight")
        # estimates, their errors and criteria are missing where the status of a region says so, or a method has none
        staging.write_dataset(fitted, may_miss=[str(name) for name in fitted.variables if name not in always])
        return (*passed, *implausible(fitted, limits_of(scan.acquisition), f"{job.step.stage} {job.step.variant}"))


REGIONS = RegionsStage()


def fit_step(stage: ScanStage, plan: ScanPlan, fit: Kinetics, settings: Callable[[], Mapping[str, Any]]) -> Step:
    """The step of a kinetic analysis, of regions or of voxels.

    Parameters
    ----------
    stage
        The stage that the step belongs to.
    plan
        Steps of the scan so far: the source product and the input functions are among them.
    fit
        The analysis.
    settings
        Gives what of it decides the product, by name.
    """
    methods = {step.variant: step for step in plan.of(INPUT_FUNCTIONS)}
    inputs = [methods[method] for method in plan.config.methods_for(fit)]
    return Step(
        scan=plan.scan,
        stage=stage.name,
        variant=fit.title,
        product=fit_name(plan.scan, fit.title, stage.name),
        fingerprint=stage.fingerprint(plan.once((stage.name, fit.title), settings), [*plan.of(INGEST), *inputs]),
        needs=tuple(step.product for step in plan.of(INGEST)),
        any_of=tuple(step.product for step in inputs),
    )
