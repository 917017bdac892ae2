"""Chunks and shards of images, and the blocks of voxels that one task works on."""

from __future__ import annotations

import itertools
import math

Region = tuple[slice, ...]

# Inner chunks can be read one by one for a small volume; they hold all frames of 16³ voxels.
_CHUNK_EDGE = 16
_BYTES_PER_VALUE = 4
# Halving anything larger gives shards of 20 to 40 MB: few files, and enough blocks for many workers.
_LARGEST_SHARD = 40e6


def image_chunking(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunks and shards of a dynamic float32 image.

    Parameters
    ----------
    shape
        (frames, z, y, x).

    Returns
    -------
    chunks, shards
        Each (frames, z, y, x); chunks are (all frames, 16, 16, 16), shards are whole multiples of them. Of a map on
        the same voxels they are ``chunks[1:]`` and ``shards[1:]``, so that both have the same blocks.
    """
    frames, *space = shape
    cells = [math.ceil(length / _CHUNK_EDGE) for length in space]
    cell_bytes = _BYTES_PER_VALUE * frames * _CHUNK_EDGE ** len(space)
    while math.prod(cells) * cell_bytes > _LARGEST_SHARD and max(cells) > 1:
        longest = cells.index(max(cells))
        cells[longest] = math.ceil(cells[longest] / 2)
    chunks = (frames, *(_CHUNK_EDGE for _ in space))
    return chunks, (frames, *(_CHUNK_EDGE * count for count in cells))


def blocks(shape: tuple[int, ...], shards: tuple[int, ...]) -> tuple[Region, ...]:
    """The regions of an array's shards: what one worker writes at a time.

    Parameters
    ----------
    shape, shards
        Shapes of the array and of its shards; a shard that reaches beyond the array is cut to it.

    Returns
    -------
    One tuple of slices a shard, in C order.
    """
    axes = [
        [slice(start, min(start + edge, length)) for start in range(0, length, edge)]
        for length, edge in zip(shape, shards, strict=True)
    ]
    return tuple(itertools.product(*axes))


def is_aligned(region: Region, shape: tuple[int, ...], shards: tuple[int, ...]) -> bool:
    """Whether a region covers whole shards, so that nobody else writes to any of them."""
    return len(region) == len(shape) and all(
        part.step in (None, 1)
        and part.start is not None
        and part.stop is not None
        and 0 <= part.start < part.stop <= length
        and part.start % edge == 0
        and (part.stop % edge == 0 or part.stop == length)
        for part, length, edge in zip(region, shape, shards, strict=True)
    )
