"""Maps: a kinetic model is fitted to every voxel, block by block."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor

from dlif_core.errors import InputError
from dlif_core.study.job import ScanJob
from dlif_core.study.scans import has_image, image_geometry
from dlif_core.study.stages.base import MemoryNeed, ScanPlan, ScanStage
from dlif_core.study.stages.regions import NO_SETTINGS, fit_step
from dlif_core.study.step import Step


class Maps(ScanStage):
    """Image and input function → parametric maps, for each kinetic analysis that asks for them."""

    name = "maps"
    title = "maps"
    version = 3
    is_analysis = True

    def steps(self, plan: ScanPlan) -> Iterable[Step]:
        """One step an analysis with maps, of a scan with an image."""
        if has_image(plan.files):
            fits = (fit for fit in plan.config.kinetics if fit.maps and fit.kinetic_model.voxelwise)
            yield from (fit_step(self, plan, fit, NO_SETTINGS) for fit in fits)

    def run(self, job: ScanJob, executor: Executor) -> None:
        """Fit the blocks of the image on all workers."""
        from dlif_core.study.maps import make_maps

        make_maps(job, executor)

    def memory(self, job: ScanJob) -> MemoryNeed | None:
        """Memory for one block; None for an image whose header can't be read: its scan will be excluded."""
        from dlif_core.store import image_chunking

        try:
            (frames, *edges), voxel_size = image_geometry(job.files)
        except InputError:
            return None
        _, shard = image_chunking((frames, *edges))
        block = tuple(min(edge, length) for edge, length in zip(shard[1:], edges, strict=True))
        return MemoryNeed(job.step.title, block, _bytes(job, frames, block, voxel_size))


MAPS = Maps()


def _bytes(job: ScanJob, frames: int, block: tuple[int, ...], voxel_size: tuple[float, ...]) -> int:
    from dlif_core.compute.memory import WORKER_BYTES, project_block
    from dlif_core.kinetics import VoxelFit
    from dlif_core.kinetics.denoising import halo

    around = (0, 0, 0) if job.fit.denoise is None else halo(voxel_size, job.fit.denoise)
    return WORKER_BYTES + project_block(job.fit.kinetic_model, frames, block, chunk=VoxelFit.chunk, halo=around).peak
