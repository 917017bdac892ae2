"""How much memory the workers of a planned run need, before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlif_core.compute.memory import WORKER_BYTES, project_block
from dlif_core.errors import InputError
from dlif_core.store import image_chunking
from dlif_core.study.config import Kinetics, StudyConfig
from dlif_core.study.plan import Plan

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles


@dataclass(frozen=True)
class MemoryNeed:
    """What one worker needs for the maps of one scan.

    Attributes
    ----------
    title
        Of the step.
    block
        Voxels along z, y, x that a worker fits at a time.
    bytes
        Projected peak of a worker, all included.
    """

    title: str
    block: tuple[int, ...]
    bytes: int


def largest_need(config: StudyConfig, plan: Plan) -> MemoryNeed | None:
    """The step of a plan for which a worker needs most memory; None where no maps are to be made.

    Images whose header can't be read have no part in it: their scans will be excluded.
    """
    return max(_needs(config, plan), key=lambda need: need.bytes, default=None)


def _needs(config: StudyConfig, plan: Plan) -> Iterator[MemoryNeed]:
    fits = {fit.title: fit for fit in config.kinetics}
    for step in plan.to_run:
        if step.stage == "maps" and (block := _block_of(plan.files[step.scan])):
            frames, space, voxel_size = block
            yield MemoryNeed(step.title, space, _bytes(fits[step.variant], frames, space, voxel_size))


def _block_of(files: ScanFiles) -> tuple[int, tuple[int, ...], tuple[float, ...]] | None:
    """Frames, block and voxel size of a scan's image."""
    from dlif_core.ingest import image_geometry

    try:
        geometry = image_geometry(files)
    except InputError:
        return None
    if geometry is None:
        return None
    shape, voxel_size = geometry
    _, shard = image_chunking(shape)
    return shape[0], tuple(min(edge, length) for edge, length in zip(shard[1:], shape[1:], strict=True)), voxel_size


def _bytes(fit: Kinetics, frames: int, block: tuple[int, ...], voxel_size: tuple[float, ...]) -> int:
    from dlif_core.kinetics import VoxelFit
    from dlif_core.kinetics.denoising import halo

    around = (0, 0, 0) if fit.denoise is None else halo(voxel_size, fit.denoise)
    need = project_block(fit.kinetic_model, frames, block, chunk=VoxelFit.chunk, halo=around)
    return WORKER_BYTES + need.peak
