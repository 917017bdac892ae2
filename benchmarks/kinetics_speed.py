"""Voxels per second of the batched fit, and how many times faster it is than lmfit voxel by voxel.

Both run on one pinned core, one after the other, in the same process, on the same simulated mouse (FDG, 42 frames);
time is that of the processor, so that other work on the machine does not count. Each figure is the median of several
runs: of all voxels for the batched fit, of batches of voxels for the peer.
The peer is a plain lmfit fit of each voxel with exact convolution: the constants are the model's own, vB is fitted,
bounds are 0 and up, one start.

    python benchmarks/kinetics_speed.py [--voxels 100000] [--peer-voxels 200]
"""

import argparse
import os
import time
from collections.abc import Callable

CORE = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {CORE})
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import lmfit  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from dlif_core.curve import InputFunction  # noqa: E402
from dlif_core.frames import FrameTiming  # noqa: E402
from dlif_core.kinetics import MODELS, FitSettings, VoxelFit, frame_weights  # noqa: E402
from dlif_core.kinetics.design import FrameColumns  # noqa: E402
from dlif_core.scan import RegionCurves  # noqa: E402

torch.set_num_threads(1)

F18 = 6586.2
REPEATS = 5
CONSTANTS = {
    "1tcm": ("K1", "k2", "vB"),
    "2tcm-irreversible": ("K1", "k2", "k3", "vB"),
    "2tcm-reversible": ("K1", "k2", "k3", "k4", "vB"),
}
START = {"K1": 0.2, "k2": 0.4, "k3": 0.05, "k4": 0.01, "vB": 0.05}
DURATION = np.repeat([30.0, 5.0, 20.0, 300.0], [1, 24, 9, 8])
TIMING = FrameTiming(np.cumsum(DURATION) - DURATION, DURATION)


def mouse_input() -> InputFunction:
    """Feng's curve, fitted to one measured mouse."""
    time_s = np.concatenate([np.arange(0, 180, 1.0), np.arange(180, 2740, 10.0)])
    u = np.clip(time_s / 60 - 0.613, 0, None)
    curve = (102.8 * u - 3.67) * np.exp(-5.55 * u) + 1.82 * np.exp(-0.227 * u) + 1.85 * np.exp(-0.0333 * u)
    whole_blood = np.where(u > 0, 1e4 * curve, 0.0)
    plasma = whole_blood * (0.386 * np.exp(-0.191 * time_s / 60) + 1.165)
    return InputFunction(time=time_s, whole_blood=whole_blood, plasma=plasma, method="simulated")


def model_curve(columns: FrameColumns, k: dict[str, float]) -> np.ndarray:
    """C_PET from the textbook impulse responses."""
    k3, k4 = k.get("k3", 0.0), k.get("k4", 0.0)
    total = k["k2"] + k3 + k4
    root = np.sqrt(max(total**2 - 4 * k["k2"] * k4, 1e-12))
    slow, fast = max((total - root) / 2, 0.0), (total + root) / 2
    late, early = columns.exponential(np.array([slow, fast]))
    tissue = k["K1"] / (fast - slow) * ((k3 + k4 - slow) * late + (fast - k3 - k4) * early)
    return (1 - k["vB"]) * tissue + k["vB"] * columns.whole_blood


def simulate(columns: FrameColumns, voxels: int) -> np.ndarray:
    """Noisy curves of several organs, shape (frames, voxels)."""
    organs = np.array(
        [
            [0.24, 0.4, 0.06, 0.012, 0.05],
            [0.7, 0.9, 0.3, 0.01, 0.2],
            [0.9, 1.3, 0.013, 0.01, 0.2],
            [0.05, 0.25, 0.02, 0.005, 0.02],
        ]
    )
    rng = np.random.default_rng(0)
    k = organs[rng.integers(len(organs), size=min(voxels, 2000))]
    k = k * np.exp(0.25 * rng.standard_normal(k.shape))
    true = np.array([model_curve(columns, dict(zip(CONSTANTS["2tcm-reversible"], row, strict=True))) for row in k]).T
    true = np.resize(true.T, (voxels, len(TIMING))).T
    sigma = 1.5e4 * np.sqrt(np.maximum(true / 1e4, 0.01) / (DURATION * np.exp2(-TIMING.mid / F18))[:, None])
    return np.clip(true + sigma * rng.standard_normal(true.shape), 0, None)


def median_rate(fit: Callable[[np.ndarray], object], blocks: list[np.ndarray]) -> float:
    """Voxels per second of processor time, the median of all blocks."""
    rates = []
    for block in blocks:
        begin = time.process_time()
        fit(block)
        rates.append(block.shape[1] / (time.process_time() - begin))
    return float(np.median(rates))


def batched_rate(fit: VoxelFit, curves: np.ndarray) -> float:
    fit.fit(curves[:, :1000])
    return median_rate(fit.fit, [curves] * REPEATS)


def lmfit_rate(model: str, columns: FrameColumns, curves: np.ndarray, weights: np.ndarray) -> float:
    root = np.sqrt(weights)
    parameters = lmfit.Parameters()
    for name in CONSTANTS[model]:
        parameters.add(name, START[name], min=0.0, max=1.0 if name == "vB" else 10.0)

    def fit(block: np.ndarray) -> None:
        for curve in block.T:
            lmfit.minimize(lambda p, c=curve: (model_curve(columns, p.valuesdict()) - c) * root, parameters)

    return median_rate(fit, np.array_split(curves, REPEATS, axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=int, default=100_000)
    parser.add_argument("--peer-voxels", type=int, default=200)
    options = parser.parse_args()
    blood = mouse_input()
    columns = FrameColumns(TIMING, blood)
    curves = simulate(columns, options.voxels)
    regions = RegionCurves(("all",), curves.mean(1)[None], np.ones(1))
    print(f"core {CORE}, 1 thread, {len(TIMING)} frames, {options.voxels} voxels (lmfit: {options.peer_voxels})")
    print(f"{'model':20s}{'voxels/s':>12s}{'lmfit/s':>10s}{'ratio':>10s}")
    for model in MODELS:
        graphical = MODELS[model].graphical
        settings = FitSettings(model, t_star=10 if graphical else None)
        weights = frame_weights(regions, TIMING, settings, F18)
        rate = batched_rate(VoxelFit(TIMING, blood, settings, weights), curves)
        if graphical:
            print(f"{model:20s}{rate:12,.0f}{'-':>10s}{'-':>10s}")
            continue
        peer = lmfit_rate(model, columns, curves[:, : options.peer_voxels], weights)
        print(f"{model:20s}{rate:12,.0f}{peer:10.1f}{rate / peer:10,.0f}")


if __name__ == "__main__":
    main()
