"""The best model of every region and voxel among analyses of one scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dlif_core.study.job import Job
from dlif_core.study.plan import fit_name

if TYPE_CHECKING:
    import xarray as xr


def select_models(job: Job) -> None:
    """Compare the analyses that the study names and commit the result; runs on a worker.

    The product has a group ``regions`` and, where every analysis has maps, a group ``maps``.
    """
    from dlif_core.kinetics.selection import compare_regions

    wanted = job.config.select
    assert wanted is not None
    with job.store.stage(job.step.product) as staging:
        fits = {name: _opened(job, name, "regions") for name in wanted.of}
        regions = compare_regions(fits, wanted.criterion)
        staging.write_dataset(regions, group="regions")
        if all(fit_name(job.step.scan, name, "maps") in job.step.needs for name in wanted.of):
            frames = int((next(iter(fits.values()))["weight"] > 0).sum())
            staging.write_dataset(_compare_maps(job, frames, regions["best_model"].attrs), group="maps")
        staging.publish(job.step.fingerprint)


def _opened(job: Job, name: str, kind: str) -> xr.Dataset:
    return job.store.open_dataset(fit_name(job.step.scan, name, kind))


def _compare_maps(job: Job, frames: int, flags: dict[str, Any]) -> xr.Dataset:
    """Index and Akaike weight of the best model of every voxel."""
    import xarray as xr

    from dlif_core.kinetics.selection import best_model, fitted_numbers, information_criteria, sound

    wanted = job.config.select
    assert wanted is not None
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
