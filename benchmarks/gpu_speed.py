"""Voxels per second on a GPU, and whether its results agree with those of the CPU.

For each compartment model the same noisy curves are fitted on both. Printed is the share of voxels whose parameters and
standard errors agree to a relative 1e-3, or are below 1e-3 of the median in both.

    python benchmarks/gpu_speed.py [--device cuda] [--voxels 2000000]
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from curves import F18, MOUSE_FRAMES, mouse_input, tissue_curves, variants, with_noise  # noqa: E402

from dlif_core.kinetics import MODELS, FitContext, FitSettings, Preparation, VoxelFit, frame_weights  # noqa: E402
from dlif_core.kinetics.convolution import FrameConvolution  # noqa: E402
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves  # noqa: E402

COMPARED, REPEATS, AGREEMENT = 50_000, 3, 1e-3
TARGETS = {"2tcm-irreversible": 30e6}
FITS = ("1tcm", "2tcm-irreversible", "2tcm-reversible")


def simulated(voxels: int) -> np.ndarray:
    """Noisy curves of a mouse, shape (frames, voxels)."""
    rng = np.random.default_rng(0)
    blood = mouse_input()
    response = FrameConvolution(blood.time, blood.plasma, MOUSE_FRAMES)
    curves = tissue_curves(response, MOUSE_FRAMES.average(blood.time, blood.whole_blood), variants(2000, rng))
    true = np.ascontiguousarray(np.resize(curves.T, (voxels, len(MOUSE_FRAMES))).T)
    return with_noise(true, MOUSE_FRAMES, 1.5, 1e4, rng)


def voxel_fit(model: str, curves: np.ndarray) -> VoxelFit:
    settings = FitSettings(model)
    regions = RegionCurves(("all",), curves.mean(1, dtype=float)[None], np.ones(1))
    weights = frame_weights(DynamicScan(MOUSE_FRAMES, Acquisition("FDG", F18), regions), settings)
    return VoxelFit(Preparation(FitContext(MOUSE_FRAMES, weights, mouse_input()), settings, settings))


def on_device(fit: VoxelFit, device: str, chunk: int) -> VoxelFit:
    return replace(fit, prepared=replace(fit.prepared, context=replace(fit.context, device=device)), chunk=chunk)


def rate(fit: VoxelFit, curves: np.ndarray) -> float:
    """Voxels per second of wall time, the copies to and from the device included; the median."""
    fit.fit(curves[:, :COMPARED])  # warm up
    spent = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        fit.fit(curves)
        spent.append(time.perf_counter() - started)
    return float(curves.shape[1] / np.median(spent))


def agreeing(one: dict[str, np.ndarray], other: dict[str, np.ndarray], names: list[str]) -> float:
    """Share of voxels all of whose values agree."""
    every = np.ones(len(one[names[0]]), bool)
    for name in names:
        small = AGREEMENT * np.nanmedian(np.abs(one[name]))
        close = np.isclose(one[name], other[name], rtol=AGREEMENT, atol=small, equal_nan=True)
        every &= close
    return float(every.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--voxels", type=int, default=2_000_000)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU found: nothing measured")
        return
    curves = simulated(options.voxels)
    name = torch.cuda.get_device_name() if options.device == "cuda" else options.device
    print(f"{name}, {options.voxels:,} voxels, {len(MOUSE_FRAMES)} frames")
    for model in FITS:
        plain = voxel_fit(model, curves)
        fit = on_device(plain, options.device, options.voxels)
        speed = rate(fit, curves)
        parameters = [p.name for p in MODELS[model].parameters]
        some = curves[:, :COMPARED]
        share = agreeing(plain.fit(some), fit.fit(some), parameters + [f"{name}_se" for name in parameters])
        target = TARGETS.get(model)
        verdict = "" if target is None else f"  target ≥ {target:,.0f}: {'met' if speed >= target else 'NOT MET'}"
        print(
            f"{model:20s}{speed:14,.0f} voxels/s; {share:8.4%} of {COMPARED:,} voxels as on the CPU{verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main()
