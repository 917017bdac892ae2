"""Voxels per second of every model, compared with lmfit, petpal and a copy of the same memory, on one pinned core.

All fit the same curves of a simulated mouse (FDG, 42 frames), one after the other. Processor time is measured, so that
other work on the machine matters little. Every number is a median of repeats. Fits of dlif have bounds and standard
errors, and the memory settings of a worker. The peers:

* lmfit: a fit of each voxel with exact convolution, the same parameters and bounds, one start.
* petpal: its own fit of each voxel (see petpal_fits.py) in its own environment (see peers.py) on the same core. It
  convolves on even samples: the default number of its single-curve fit is fast but too few for frames of 5 s (last
  column); targets are against the number at which it finds about the same parameters.
* copy: np.copyto of the array of curves.

At the end the results of each for the same curve without noise are printed.

    python benchmarks/kinetics_speed.py [MODEL ...]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

# The memory settings of a worker hold from the start of a process only.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_ARENA_MAX": "1"}
if not MEMORY.items() <= os.environ.items():
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MEMORY)

CORE = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {CORE})
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import lmfit  # noqa: E402
import numpy as np  # noqa: E402
import peers  # noqa: E402
import torch  # noqa: E402
from curves import F18, MOUSE_FRAMES, mouse_input, tissue_curve, tissue_curves, variants, with_noise  # noqa: E402

from dlif_core.kinetics import MODELS, FitContext, FitSettings, Preparation, VoxelFit, frame_weights  # noqa: E402
from dlif_core.kinetics.convolution import FrameConvolution  # noqa: E402
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves  # noqa: E402

torch.set_num_threads(1)

VOXELS, REPEATS, SECONDS = 250_000, 5, 1.0
SUV, NOISE = 1e4, 1.5  # [Bq/mL], [SUV^½ s^½]
START = {"K1": 0.2, "k2": 0.4, "k3": 0.05, "k4": 0.01, "vB": 0.05, "R1": 1.0, "BPND": 1.0}
REGION = {"K1": 0.3, "k2": 0.4}  # of the reference region, one tissue compartment
GIVEN = {"t_star": 10.0, "k2_prime": REGION["k2"], "window": (30.0, 45.0), "rates": None}
# Constants of the curve without noise; a model that is not here gets that of the reversible model.
EXACT = {
    "1tcm": {"K1": 0.3, "k2": 0.4, "vB": 0.05},
    "irreversible": {"K1": 0.3, "k2": 0.5, "k3": 0.08, "vB": 0.05},
    "reversible": {"K1": 0.3, "k2": 0.5, "k3": 0.08, "k4": 0.04, "vB": 0.05},
    "plot, irreversible": {"K1": 0.3, "k2": 0.5, "k3": 0.08},
    "plot": {"K1": 0.3, "k2": 0.5, "k3": 0.2, "k4": 0.3},
    "reference": {"K1": 0.36, "k2": 0.2},  # R1 = 1.2, k2 = 0.48, BPND = 1.4
}
LMFIT = {
    "1tcm": ("K1", "k2", "vB"),
    "2tcm-irreversible": ("K1", "k2", "k3", "vB"),
    "2tcm-reversible": ("K1", "k2", "k3", "k4", "vB"),
    "srtm": ("R1", "k2", "BPND"),
}


@dataclass(frozen=True)
class Target:
    """Least voxels/s, least ratio to petpal, most copies of the curves in the time of one fit."""

    rate: float
    petpal: float = 0.0
    copies: float = np.inf


PETPAL = {"petpal": "fine", "(default)": "default"}
WHO = ("truth", "dlif", "lmfit", *PETPAL)
TARGETS = {
    "2tcm-irreversible": Target(400_000, petpal=3_000),
    "2tcm-reversible": Target(100_000, petpal=1_000),
    "1tcm": Target(500_000),
    "srtm": Target(400_000),
    "patlak": Target(5e6, copies=5),
    "logan": Target(5e6, copies=5),
}


class Scan:
    """The curves, and what all models share."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.blood = mouse_input()
        self.response = FrameConvolution(self.blood.time, self.blood.plasma, MOUSE_FRAMES)
        self.whole_blood = MOUSE_FRAMES.average(self.blood.time, self.blood.whole_blood)
        self.reference = tissue_curve(self.response, self.whole_blood, REGION)
        mid = np.concatenate([[0.0], MOUSE_FRAMES.mid])
        self.reference_response = FrameConvolution(mid, np.concatenate([[0.0], self.reference]), MOUSE_FRAMES)
        rows = variants(2000, rng)
        self.with_plasma = self._noisy(rows, rng)
        rows[:, 2:] = 0.0
        self.with_reference = self._noisy(rows, rng)

    def _noisy(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        curves = tissue_curves(self.response, self.whole_blood, rows)
        true = np.ascontiguousarray(np.resize(curves.T, (VOXELS, len(MOUSE_FRAMES))).T)
        return with_noise(true, MOUSE_FRAMES, NOISE, SUV, rng)

    def curves(self, model: str) -> np.ndarray:
        return self.with_reference if MODELS[model].needs_reference else self.with_plasma

    def exact(self, model: str) -> tuple[dict[str, float], np.ndarray]:
        """The true parameters, and the curve."""
        k = EXACT[exact_kind(model)]
        return expected(k, MODELS[model].needs_reference), tissue_curve(self.response, self.whole_blood, k)

    def voxel_fit(self, model: str) -> VoxelFit:
        settings = settings_of(model)
        curves = self.curves(model)
        regions = RegionCurves(("all",), curves.mean(1, dtype=float)[None], np.ones(1))
        weights = frame_weights(DynamicScan(MOUSE_FRAMES, Acquisition("FDG", F18), regions), settings)
        context = FitContext(MOUSE_FRAMES, weights, self.blood, self.reference, 1 / SUV)
        return VoxelFit(Preparation(context, settings, settings))


def exact_kind(model: str) -> str:
    """Which curve a model must describe exactly."""
    if MODELS[model].needs_reference:
        return "reference"
    if "t_star" in MODELS[model].options:
        return "plot, irreversible" if "patlak" in model else "plot"
    return {"1tcm": "1tcm", "1tcm-water": "1tcm", "2tcm-irreversible": "irreversible"}.get(model, "reversible")


def expected(k: dict[str, float], against_reference: bool) -> dict[str, float]:
    k3, k4 = k.get("k3", 0.0), k.get("k4", 0.0)
    if against_reference:
        relative = k["K1"] / REGION["K1"]
        ratio = k["K1"] / k["k2"] / (REGION["K1"] / REGION["k2"])
        return {"R1": relative, "k2": relative * REGION["k2"], "BPND": ratio - 1, "DVR": ratio}
    if k3 and not k4:
        return k | {"Ki": k["K1"] * k3 / (k["k2"] + k3)}
    binding = k3 / k4 if k4 else 0.0
    return k | {"VT": k["K1"] / k["k2"] * (1 + binding), "BPND": binding}


def settings_of(model: str) -> FitSettings:
    described = MODELS[model]
    options = {name: value for name, value in GIVEN.items() if name in described.options}
    reference = {"reference": "reference region"} if described.needs_reference else {}
    return FitSettings(model, **options, **reference)


def seconds_of(work: Callable[[], object]) -> float:
    """Processor seconds, the median of repeats."""
    spent = []
    for _ in range(REPEATS):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return float(np.median(spent))


def rate_of(fit: VoxelFit, curves: np.ndarray) -> float:
    """Voxels per second, of as many voxels as fit into the time."""
    started = time.process_time()
    fit.fit(curves[:, : fit.chunk])
    count = int(fit.chunk * SECONDS / (time.process_time() - started))
    some = np.ascontiguousarray(curves[:, : min(curves.shape[1], max(count, fit.chunk))])
    return some.shape[1] / seconds_of(lambda: fit.fit(some))


def copy_rate(curves: np.ndarray) -> float:
    target = np.empty_like(curves)
    return float(curves.shape[1] / seconds_of(lambda: np.copyto(target, curves)))


def lmfit_curve(scan: Scan, model: str, values: dict[str, float]) -> np.ndarray:
    if model != "srtm":
        return tissue_curve(scan.response, scan.whole_blood, values)
    apparent = values["k2"] / (1 + values["BPND"])
    convolved = scan.reference_response.exponential(np.array([apparent]))[0]
    return values["R1"] * scan.reference + (values["k2"] - values["R1"] * apparent) * convolved


def lmfit_fit(scan: Scan, model: str, root: np.ndarray, curve: np.ndarray) -> dict[str, float]:
    parameters = lmfit.Parameters()
    for name in LMFIT[model]:
        parameters.add(name, START[name], min=0.0, max=1.0 if name == "vB" else 10.0)
    found = lmfit.minimize(lambda p: (lmfit_curve(scan, model, p.valuesdict()) - curve) * root, parameters)
    return dict(found.params.valuesdict())


def lmfit_rate(fit: Callable[[np.ndarray], object], curves: np.ndarray) -> float:
    """Voxels per second, the median over batches of ten until the time is up."""
    rates: list[float] = []
    began = time.process_time()
    for first in range(0, curves.shape[1] - 10, 10):
        started = time.process_time()
        for curve in curves[:, first : first + 10].T.astype(float):
            fit(curve)
        rates.append(10 / (time.process_time() - started))
        if len(rates) >= REPEATS and time.process_time() - began > SECONDS:
            break
    return float(np.median(rates))


def petpal(scan: Scan, models: list[str]) -> dict[str, dict[str, Any]]:
    """Results of petpal by number of samples, ``default`` or ``fine``, and model; empty where it is not installed."""
    if not peers.READY.exists():
        print("petpal is not installed (benchmarks/peers.py installs it where possible); it is left out")
        return {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = {"models": models, "start": START, "t_star": 10.0, "k2_prime": REGION["k2"], "seconds": SECONDS}
        (folder / "tasks.json").write_text(json.dumps(task))
        np.save(folder / "mid.npy", MOUSE_FRAMES.mid / 60)
        np.save(folder / "plasma.npy", np.array([scan.blood.time / 60, scan.blood.plasma]))
        np.save(folder / "reference.npy", scan.reference)
        for model in models:
            np.save(folder / f"{model}.exact.npy", scan.exact(model)[1])
            np.save(folder / f"{model}.noisy.npy", scan.curves(model)[:, :5000])
        command = [peers.PYTHON, Path(__file__).with_name("petpal_fits.py"), folder, str(CORE)]
        run = subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    if run.returncode:
        print(f"petpal failed and is left out: {run.stderr.strip().splitlines()[-1]}")
        return {}
    return dict(json.loads(run.stdout.splitlines()[-1]))


def judged(model: str, rate: float, peer: float | None, copies: float) -> str:
    """Which targets are met."""
    target = TARGETS.get(model)
    if target is None:
        return ""
    verdicts = [f"≥ {target.rate:,.0f}/s {'met' if rate >= target.rate else 'NOT MET'}"]
    if target.petpal:
        ratio = "not measured" if peer is None else "met" if rate / peer >= target.petpal else "NOT MET"
        verdicts.append(f"≥ {target.petpal:,.0f} x petpal {ratio}")
    if np.isfinite(target.copies):
        verdicts.append(f"≤ {target.copies:g} copies {'met' if copies <= target.copies else 'NOT MET'}")
    return "; ".join(verdicts)


def number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def print_found(model: str, rows: dict[str, dict[str, float]]) -> None:
    for name in [parameter.name for parameter in MODELS[model].parameters]:
        values = "".join(f"{number(rows.get(who, {}).get(name), 4):>12}" for who in WHO)
        print(f"{model:20s}{name:12s}{values}")


def measure(scan: Scan, models: list[str], peer: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Print the table of speeds; what each finds for the curve without noise, by model."""
    copies_per_second = copy_rate(scan.with_plasma)
    print(f"copy of the curves, float32: {copies_per_second:,.0f} voxels/s\n")
    heads = (
        f"{'voxels/s':>12}{'copies':>8}{'lmfit/s':>9}{'x lmfit':>9}{'petpal/s':>10}{'x petpal':>10}{'(default)':>10}"
    )
    print(f"{'model':20s}{heads}  targets")
    fine, coarse = ({name: one["rate"] for name, one in peer.get(how, {}).items()} for how in ("fine", "default"))
    found = {}
    for model in models:
        fit, (truth, curve) = scan.voxel_fit(model), scan.exact(model)
        rate = rate_of(fit, scan.curves(model))
        rows = {"truth": truth, "dlif": {name: float(v[0]) for name, v in fit.fit(curve[:, None]).items()}}
        slow = None
        if model in LMFIT:
            by_lmfit = partial(lmfit_fit, scan, model, np.sqrt(fit.context.weights))
            slow, rows["lmfit"] = lmfit_rate(by_lmfit, scan.curves(model)), by_lmfit(curve)
        rows |= {who: peer[how][model]["found"] for who, how in PETPAL.items() if model in peer.get(how, {})}
        theirs = fine.get(model)
        ratios = [rate / one if one else None for one in (slow, theirs, coarse.get(model))]
        copies = copies_per_second / rate
        line = f"{model:20s}{rate:12,.0f}{copies:8.1f}{number(slow):>9}{number(ratios[0]):>9}"
        line += f"{number(theirs, 1):>10}{number(ratios[1]):>10}{number(ratios[2]):>10}"
        print(f"{line}  {judged(model, rate, theirs, copies)}", flush=True)
        found[model] = rows
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all of the registry if left out")
    voxelwise = [model for model, described in MODELS.items() if getattr(described, "voxelwise", True)]
    models = parser.parse_args().models or voxelwise
    scan = Scan()
    print(f"core {CORE}, 1 thread, {len(MOUSE_FRAMES)} frames, up to {VOXELS:,} voxels, medians of {REPEATS}")
    found = measure(scan, models, petpal(scan, models))
    print("\na curve without noise")
    print(f"{'model':20s}{'parameter':12s}" + "".join(f"{who:>12}" for who in WHO))
    for model, rows in found.items():
        print_found(model, rows)


if __name__ == "__main__":
    main()
