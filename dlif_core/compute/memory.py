"""Projection of the memory that a worker needs for the voxelwise fit of one block, before anything runs.

A block is read, fitted in chunks of voxels and written map by map. At the peak a worker holds either

* the block's activity, the bytes of the shard and its decoded chunks, or
* the activity, the results of the whole block and what the fit needs for the voxels of one chunk at once.

The projection is the larger of both with a margin: an upper bound for a worker in `WORKER_ENVIRONMENT` that fits one
block after the other, in addition to what the worker needs before any work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dlif_core.kinetics import Model

#: Memory of a worker with all libraries loaded, before any work [bytes].
WORKER_BYTES = 400_000_000

_STORED, _COMPUTED = 4, 8  # bytes of a number, float32 and float64
#: The activity itself, the bytes of the shard and its chunks decoded.
_COPIES_WHILE_READING = 3
#: Margin for fragmentation: the allocator keeps pieces between one block and the next.
_MARGIN = 1.5


@dataclass(frozen=True)
class _Work:
    """Working memory of a fit: numbers for each voxel in addition to its curve, and tables [bytes]."""

    numbers: int
    tables: int


#: By the number of rates that are searched together; the last one for a whole grid of them at once.
_WORK = (_Work(30, 10_000_000), _Work(170, 12_000_000), _Work(160, 36_000_000), _Work(450, 36_000_000))


@dataclass(frozen=True)
class BlockMemory:
    """Projected memory of the fit of one block.

    Attributes
    ----------
    reading
        The activity while it is read [bytes].
    fitting
        Activity, results and work on one chunk of voxels [bytes].
    """

    reading: int
    fitting: int

    @property
    def peak(self) -> int:
        """Projected memory in addition to `WORKER_BYTES` [bytes]."""
        return round(_MARGIN * max(self.reading, self.fitting))


def project_block(
    model: Model, frames: int, block: Sequence[int], *, chunk: int, halo: Sequence[int] = (0, 0, 0), factors: int = 0
) -> BlockMemory:
    """Project the memory for the fit of one block.

    Parameters
    ----------
    model
        Model that is fitted.
    frames
        Number of frames of the scan.
    block
        Voxels along z, y, x, from `image_chunking`.
    chunk
        Voxels that are fitted at once, `VoxelFit.chunk`.
    halo
        Voxels around the block that are read with it, along z, y, x; for denoising.
    factors
        Common factors of an uncertain input function.

    Returns
    -------
    The projection.
    """
    voxels = math.prod(block)
    read = math.prod(length + 2 * margin for length, margin in zip(block, halo, strict=True))
    activity = _STORED * frames * read
    of_the_input = factors + 2 if factors else 0
    results = _COMPUTED * voxels * ((2 + of_the_input) * len(model.parameters) + 2)
    work = _WORK[_rates(model)]
    numbers = work.numbers + frames + of_the_input * len(model.parameters)
    fit = _COMPUTED * numbers * min(chunk, voxels) + work.tables
    return BlockMemory(_COPIES_WHILE_READING * activity, activity + results + fit)


def _rates(model: Model) -> int:
    """Index into `_WORK`."""
    grid_of_rates = "rates" in model.options and not model.exponentials
    return len(_WORK) - 1 if grid_of_rates else model.exponentials
