"""Maps: a kinetic model is fitted to every voxel, block by block."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from dlif_core.errors import InputError
from dlif_core.study.job import ScanJob
from dlif_core.study.stages.base import MemoryNeed, ScanPlan, ScanStage
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

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step an analysis with maps, of a scan with an image."""
        if plan.files.has_image:
            fits = (fit for fit in plan.config.kinetics if fit.maps and fit.kinetic_model.voxelwise)
            yield from (fit_step(self, plan, fit, fit.deciding_settings(maps=True)) for fit in fits)

    def run(self, job: ScanJob, executor: Executor) -> None:
        """Fit the blocks of the image on all workers."""
        from dlif_core.study.maps import make_maps

        make_maps(job, executor)

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
