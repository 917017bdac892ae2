import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlif_core.store import blocks, image_chunking

EXTENTS = st.integers(1, 400)


@given(st.integers(1, 120), EXTENTS, EXTENTS, EXTENTS)
def test_shards_are_files_of_a_sensible_size(frames: int, z: int, y: int, x: int) -> None:
    shape = (frames, z, y, x)
    chunks, shards = image_chunking(shape)
    assert chunks == (frames, 16, 16, 16)
    assert shards[0] == frames
    assert all(edge % 16 == 0 for edge in shards[1:])
    whole = all(edge >= length for edge, length in zip(shards, shape, strict=True))
    assert 4 * math.prod(shards) <= 100e6
    assert whole or 4 * math.prod(shards) >= 20e6


@pytest.mark.parametrize(
    ("shape", "shards"),
    [
        ((40, 10, 20, 20), (40, 16, 32, 32)),
        ((38, 95, 128, 128), (38, 48, 64, 64)),
        ((60, 89, 256, 256), (60, 48, 32, 64)),
    ],
)
def test_known_scanners(shape: tuple[int, ...], shards: tuple[int, ...]) -> None:
    assert image_chunking(shape)[1] == shards


@given(st.integers(1, 3), st.integers(1, 70), st.integers(1, 70), st.integers(1, 40))
def test_blocks_cover_every_voxel_once(frames: int, z: int, y: int, x: int) -> None:
    shape, shards = (frames, z, y, x), (frames, 32, 16, 48)
    seen = np.zeros(shape, int)
    for region in blocks(shape, shards):
        seen[region] += 1
    assert (seen == 1).all()


def test_a_map_has_the_blocks_of_its_image() -> None:
    shape = (38, 95, 128, 128)
    _, shards = image_chunking(shape)
    assert blocks(shape[1:], shards[1:]) == tuple(region[1:] for region in blocks(shape, shards))


def test_blocks_travel_between_processes() -> None:
    regions = blocks((2, 40, 40, 40), (2, 32, 32, 32))
    assert pickle.loads(pickle.dumps(regions)) == regions
