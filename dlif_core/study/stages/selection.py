"""Selection: the best model of every region and voxel, among analyses of one scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dlif_core.errors import ConfigurationError
from dlif_core.store import Staging
from dlif_core.study.config import ModelSelection
from dlif_core.study.job import ScanJob
from dlif_core.study.products import fit_name, selection_name
from dlif_core.study.stages.base import ScanPlan, ScanStage
from dlif_core.study.stages.maps import MAPS
from dlif_core.study.stages.regions import REGIONS
from dlif_core.study.step import Step

if TYPE_CHECKING:
    import xarray as xr


class SelectionStage(ScanStage):
    """Analyses of the same curves → the one with the smallest information criterion, region by region.

    Where every analysis has maps, voxel by voxel too.
    """

    name = "selection"
    title = "selection of models"
    version = 1

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step a scan, where the study names analyses to choose from."""
        select = plan.config.select
        if select:
            read = [step for step in plan.of(REGIONS, MAPS) if step.variant in select.of]
            yield Step(
                scan=plan.scan,
                stage=self.name,
                variant="",
                product=selection_name(plan.scan),
                fingerprint=self.fingerprint({"select.criterion": select.criterion}, read),
                needs=tuple(step.product for step in read),
            )

    def write(self, job: ScanJob, staging: Staging) -> Sequence[str]:
        """Compare the analyses."""
        from dlif_core.kinetics.selection import compare_regions

        wanted = _wanted(job)
        fits = {name: _opened(job, name, "regions") for name in wanted.of}
        regions = compare_regions(fits, wanted.criterion)
        # a region whose fit failed has no criteria
        staging.write_dataset(regions, group="regions", may_miss=("*",))
        if all(fit_name(job.step.scan, name, "maps") in job.step.needs for name in wanted.of):
            frames = int((next(iter(fits.values()))["weight"] > 0).sum())
            maps = _compare_maps(job, wanted, frames, regions["best_model"].attrs)
            staging.write_dataset(maps, group="maps", may_miss=("akaike_weight",))
        return ()


SELECTION = SelectionStage()


def _wanted(job: ScanJob) -> ModelSelection:
    if job.config.select is None:
        raise ConfigurationError(
            "the study names no analyses to choose from.", where="select", hint="Add `select` to the study file."
        )
    return job.config.select


def _opened(job: ScanJob, name: str, kind: str) -> xr.Dataset:
    return job.store.open_dataset(fit_name(job.step.scan, name, kind))


def _compare_maps(job: ScanJob, wanted: ModelSelection, frames: int, flags: dict[str, Any]) -> xr.Dataset:
    """Index and Akaike weight of the best model of every voxel."""
    import numpy as np
    import xarray as xr

    from dlif_core.kinetics.selection import best_model, fitted_numbers, information_criteria, sound

    settings = {fit.title: fit.settings for fit in job.config.kinetics}
    criteria, affine = {}, None
    for name in wanted.of:
        maps = _opened(job, name, "maps")
        criterion = information_criteria(maps["rss"], frames, fitted_numbers(settings[name]))[wanted.criterion]
        criteria[name], affine = sound(criterion, maps["status"]), maps.attrs["affine"]
    chosen = best_model(criteria)
    weight = np.take_along_axis(chosen.weights, np.maximum(chosen.index, 0)[None].astype(np.intp), axis=0)[0]
    dims = ("z", "y", "x")
    variables: dict[str, Any] = {
        "best_model": (dims, chosen.index, flags),
        "akaike_weight": (dims, weight.astype(np.float32), {"units": "1", "long_name": "Akaike weight of the best"}),
    }
    return xr.Dataset(variables, attrs={"criterion": wanted.criterion, "affine": affine})
