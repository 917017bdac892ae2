"""Parametric maps of a scan, one block of voxels a task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlif_core.scan import ImageArray
from dlif_core.store import Staging, blocks, image_chunking, open_store
from dlif_core.study.input_functions import available_input_function
from dlif_core.study.job import ScanJob
from dlif_core.study.products import source_name
from dlif_core.study.source import read_scan

if TYPE_CHECKING:
    from dlif_core.kinetics import VoxelFit

Block = tuple[slice, ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class MapJob:
    """What a worker needs to fit one block of voxels.

    Attributes
    ----------
    output
        Where the study's store lies.
    source, staging
        Product that holds the image, and where the maps go.
    fit
        The fit of the scan's voxels.
    voxel_size
        Edge lengths of a voxel along z, y, x [mm].
    denoise
        Full width at half maximum of the Gaussian by which the image is denoised [mm]; None for the image as it is.
    """

    output: str
    source: str
    staging: str
    fit: VoxelFit
    voxel_size: tuple[float, ...]
    denoise: float | None

    def activity(self, block: Block) -> NDArray[np.float32]:
        """The image in a block, shape (frames, z, y, x) [Bq/mL]."""
        image = open_store(self.output).open_array(self.source, "activity")
        if self.denoise is None:
            return np.asarray(image[(slice(None), *block)])
        return self._denoised(image, block, self.denoise)

    def _denoised(self, image: ImageArray, block: Block, fwhm: float) -> NDArray[np.float32]:
        """Denoised with as much around the block as it depends on; voxels that are not finite stay so."""
        from dlif_core.kinetics.denoising import halo, hypr_lr

        reach = zip(block, halo(self.voxel_size, fwhm), image.shape[1:], strict=True)
        wide = tuple(slice(max(s.start - margin, 0), min(s.stop + margin, edge)) for s, margin, edge in reach)
        inside = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(block, wide, strict=True))
        activity = np.asarray(image[(slice(None), *wide)])
        finite = np.isfinite(activity)
        denoised = hypr_lr(np.where(finite, activity, 0), self.fit.context.timing.duration, self.voxel_size, fwhm)
        denoised[~finite] = np.nan
        return denoised[(slice(None), *inside)]


def _create_maps(staging: Staging, fit: VoxelFit, shape: Shape, chunks: Shape, shards: Shape) -> None:
    """Make the arrays of all variables of a fit, without values."""
    from dlif_core.kinetics.uncertainty.propagation import leading_dims

    for name, description in fit.variables.items():
        leading = leading_dims(name)
        factors = len(leading) * (fit.factors,)
        staging.create_array(
            name,
            shape=(*factors, *shape),
            chunks=(*factors, *chunks),
            shards=(*factors, *shards),
            dims=(*leading, "z", "y", "x"),
            dtype="u1" if name == "status" else "f4",
            attrs=description,
        )


def prepare_maps(job: ScanJob, staging: Staging) -> tuple[MapJob, tuple[Block, ...]]:
    """Make the maps of one analysis without values; runs on a worker.

    The input function is delayed as the whole image asks for.

    Returns
    -------
    What the fits of all blocks share, and the blocks.
    """
    from dlif_core.kinetics import VoxelFit, fit_attributes, prepare

    scan, _ = read_scan(job.store, job.step.scan)
    curve, _ = available_input_function(job)
    settings = job.fit.settings
    if settings.delay == "region":
        settings = replace(settings, delay="image")
    prepared = prepare(scan, curve, settings)
    fit = VoxelFit(prepared)
    _ = fit.estimator  # refuses here what no block could be fitted with
    attributes = fit_attributes(prepared) | {"delay": prepared.delay, "affine": np.asarray(scan.affine).tolist()}
    if job.fit.denoise is not None:
        attributes["denoise"] = job.fit.denoise
    staging.describe(attributes)
    source = source_name(job.step.scan)
    image = job.store.open_array(source, "activity")
    chunks, shards = (edges[1:] for edges in image_chunking(image.shape))
    _create_maps(staging, fit, image.shape[1:], chunks, shards)
    where = job.config.output, source, staging.uri
    return MapJob(*where, fit, tuple(scan.voxel_size.tolist()), job.fit.denoise), blocks(image.shape[1:], shards)


def fit_block(job: MapJob, block: Block) -> None:
    """Fit the voxels of one shard, write its maps and read them back; runs on a worker."""
    from dlif_core.store.arrays import read_back, write_shard

    activity = job.activity(block)
    shape = activity.shape[1:]
    for name, values in job.fit.fit(activity.reshape(len(activity), -1)).items():
        *leading, _ = values.shape
        region = (*(slice(0, factors) for factors in leading), *block)
        write_shard(job.staging, name, region, values.reshape(*leading, *shape))
        read_back(job.staging, name, region)
