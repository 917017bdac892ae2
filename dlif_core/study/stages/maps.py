"""Maps: a kinetic model is fitted to every voxel, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dlif_core.checks import Finding
from dlif_core.errors import InputError
from dlif_core.store import Staging
from dlif_core.study.job import ScanJob
from dlif_core.study.stages.base import MemoryNeed, ScanPlan, ScanStage, Shares
from dlif_core.study.stages.regions import fit_step
from dlif_core.study.step import Step

if TYPE_CHECKING:
    from dlif_core.ingest import ImageGeometry


class MapsStage(ScanStage):
    """Image and input function → parametric maps, for each kinetic analysis that asks for them."""

    name = "maps"
    title = "maps"
    version = 3
    is_analysis = True
    is_shared = True

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step an analysis with maps, of a scan with an image."""
        if plan.files.has_image:
            fits = (fit for fit in plan.config.kinetics if fit.maps and fit.kinetic_model.voxelwise)
            yield from (fit_step(self, plan, fit, partial(fit.deciding_settings, maps=True)) for fit in fits)

    def shares(self, job: ScanJob, staging: Staging) -> Shares:
        """One item a block of the image: each is fitted by itself."""
        from dlif_core.study.maps import fit_block, prepare_maps

        shared, blocks = prepare_maps(job, staging)
        return Shares(partial(fit_block, shared), blocks)

    def write(self, job: ScanJob, staging: Staging) -> Sequence[Finding]:
        """Say which input function was used; the blocks have written the maps."""
        from dlif_core.study.input_functions import available_input_function

        return available_input_function(job)[1]

    def memory(self, job: ScanJob) -> MemoryNeed | None:
        """Memory for one block; None for an image whose header can't be read: its scan will be excluded."""
        from dlif_core.ingest import image_geometry

        try:
            geometry = image_geometry(job.files)
        except InputError:
            return None
        return _need(job, geometry) if geometry else None


MAPS = MapsStage()


def _need(job: ScanJob, geometry: ImageGeometry) -> MemoryNeed:
    from dlif_core.compute.memory import WORKER_BYTES, project_block
    from dlif_core.kinetics import VoxelFit
    from dlif_core.kinetics.denoising import halo
    from dlif_core.store import image_chunking

    frames, *edges = geometry.shape
    _, shard = image_chunking(geometry.shape)
    block = tuple(min(edge, length) for edge, length in zip(shard[1:], edges, strict=True))
    around = (0, 0, 0) if job.fit.denoise is None else halo(geometry.voxel_size, job.fit.denoise)
    work = project_block(job.fit.kinetic_model, frames, block, chunk=VoxelFit.chunk, halo=around)
    return MemoryNeed(job.step.title, block, WORKER_BYTES + work.peak)
