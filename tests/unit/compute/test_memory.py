"""The projection of memory against the peak of a process that fits a block."""

import os
import pickle
import subprocess
import sys
from math import prod
from pathlib import Path

import numpy as np
import pytest

from dlif_core.compute.memory import project_block
from dlif_core.compute.pool import WORKER_ENVIRONMENT
from dlif_core.kinetics import MODELS, FitContext, VoxelFit, frame_weights
from dlif_core.store import Fingerprint, create_store
from dlif_core.store.arrays import write_shard
from dlif_core.study.maps import MapJob
from tests.unit.kinetics.truth import (
    MOUSE,
    FilterColumns,
    many_regions,
    mouse_input,
    scan_of,
    settings_for,
    settled_fit,
)

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peak memory is measured as Linux tells it"
)
PROGRAM = Path(__file__).with_name("block_memory.py")
CHUNK = (16, 16, 16)
CASES = [
    ("patlak", (64, 48, 48)),
    ("ma2", (32, 32, 32)),
    ("1tcm", (32, 32, 32)),
    ("2tcm-irreversible", (64, 48, 48)),
    ("2tcm-reversible", (48, 32, 32)),
    ("spectral", (32, 32, 32)),
    ("srtm", (48, 48, 32)),
]
BLOOD = mouse_input()


def curves(voxels: int) -> np.ndarray:
    """Half of them tissue with noise, half of them noise alone, whose optima lie on bounds."""
    columns = FilterColumns(MOUSE, BLOOD)
    rng = np.random.default_rng(0)
    true = 0.3 * columns.exponential(0.4) + 0.03 * columns.integral + 0.05 * columns.whole_blood
    true = true[:, None] * (rng.random(voxels) < 0.5)
    return (true + 2e3 * rng.standard_exponential((len(MOUSE), voxels))).astype(np.float32)


def voxel_fit(model: str, activity: np.ndarray) -> VoxelFit:
    settings = settings_for(model)
    mean = activity.mean(1, dtype=float)
    weights = frame_weights(scan_of(many_regions(mean[None])), settings)
    return settled_fit(FitContext(MOUSE, weights, BLOOD, reference=mean), settings)


def map_job(folder: Path, model: str, block: tuple[int, ...]) -> tuple[MapJob, tuple[slice, ...]]:
    """A fit of an image that is one block, and the block."""
    activity = curves(prod(block))
    fit = voxel_fit(model, activity)
    store = create_store(str(folder))
    source, maps = store.stage("source"), store.stage("maps")
    whole = {"shape": (len(MOUSE), *block), "shards": (len(MOUSE), *block), "chunks": (len(MOUSE), *CHUNK)}
    source.create_array("activity", dims=("frame", "z", "y", "x"), **whole)
    region = tuple(slice(0, length) for length in block)
    write_shard(source.uri, "activity", (slice(0, len(MOUSE)), *region), activity.reshape(-1, *block))
    source.publish(Fingerprint({"made by": "test"}))
    for name in fit.variables:
        dtype = "u1" if name == "status" else "f4"
        maps.create_array(name, shape=block, shards=block, chunks=CHUNK, dims=("z", "y", "x"), dtype=dtype)
    return MapJob(store.uri, "source", maps.uri, fit, (1.0, 1.0, 1.0), None), region


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What a worker takes for a block of each model, beside what it has taken before [bytes]."""
    folder = tmp_path_factory.mktemp("blocks")
    pairs = [
        (map_job(folder / f"small {model}", model, CHUNK), map_job(folder / model, model, block))
        for model, block in CASES
    ]
    jobs = folder / "jobs"
    jobs.write_bytes(pickle.dumps(pairs))
    environment = os.environ | {name: str(value) for name, value in WORKER_ENVIRONMENT.items()}
    run = subprocess.run([sys.executable, PROGRAM, jobs], env=environment, capture_output=True, text=True, check=True)
    return {model: int(line) for (model, _), line in zip(CASES, run.stdout.splitlines(), strict=True)}


@pytest.mark.parametrize(("model", "block"), CASES)
def test_peak_memory_stays_under_a_projection_that_is_no_empty_bound(
    peaks: dict[str, int], model: str, block: tuple[int, ...]
) -> None:
    projected = project_block(MODELS[model], len(MOUSE), block, chunk=VoxelFit.chunk).peak
    assert peaks[model] <= projected <= 3 * peaks[model]


def test_a_projection_counts_the_halo_and_the_factors_of_the_input() -> None:
    model, block = MODELS["patlak"], (32, 32, 32)
    plain = project_block(model, 42, block, chunk=32768)
    wide = project_block(model, 42, block, chunk=32768, halo=(4, 0, 0))
    uncertain = project_block(model, 42, block, chunk=32768, factors=5)
    assert wide.reading == pytest.approx(plain.reading * 40 / 32)
    assert uncertain.fitting > plain.fitting + 2 * 5 * 8 * prod(block)
