"""Simulated curves that the benchmarks fit: a mouse and a human after FDG."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.convolution import FrameConvolution

F18 = 6586.2

#: K1, k2, k3, k4, vB of brain, heart, liver and muscle.
ORGANS = np.array(
    [
        [0.24, 0.4, 0.06, 0.012, 0.05],
        [0.7, 0.9, 0.3, 0.01, 0.2],
        [0.9, 1.3, 0.013, 0.01, 0.2],
        [0.05, 0.25, 0.02, 0.005, 0.02],
    ]
)
NAMES = ("K1", "k2", "k3", "k4", "vB")


def frames(*counts_and_seconds: tuple[int, float]) -> FrameTiming:
    duration = np.concatenate([np.full(count, seconds, float) for count, seconds in counts_and_seconds])
    return FrameTiming(np.cumsum(duration) - duration, duration)


MOUSE_FRAMES = frames((1, 30), (24, 5), (9, 20), (8, 300))
HUMAN_FRAMES = frames((12, 5), (6, 10), (6, 30), (6, 60), (10, 300))


def feng(amplitudes: tuple[float, float, float], rates: tuple[float, float, float], delay: float, end: float) -> tuple:
    """Feng's curve from injection to the end of the scan [s], rates in min⁻¹: times and values."""
    time = np.concatenate([np.arange(0, 180, 1.0), np.arange(180, end + 10, 10.0)])
    u = np.clip(time / 60 - delay, 0, None)
    (a, b, c), (fast, middle, slow) = amplitudes, rates
    curve = (a * u - b - c) * np.exp(fast * u) + b * np.exp(middle * u) + c * np.exp(slow * u)
    return time, np.where(u > 0, curve, 0.0)


def mouse_input() -> InputFunction:
    """Feng's curve fitted to one measured mouse, 10 kBq/mL an SUV; plasma as whole blood.

    Peers know but one curve, so that both have to be the same for all to fit the same model.
    """
    time, curve = feng((102.8, 1.82, 1.85), (-5.55, -0.227, -0.0333), 0.613, 2740)
    return InputFunction(time=time, whole_blood=1e4 * curve, plasma=1e4 * curve, method="simulated")


def human_input() -> InputFunction:
    time, curve = feng((851.1, 21.88, 20.81), (-4.134, -0.1191, -0.0104), 0.5, 3670)
    return InputFunction(time=time, whole_blood=1e3 * curve, plasma=1e3 * curve, method="simulated")


def tissue_curve(response: FrameConvolution, blood: np.ndarray, k: Mapping[str, float]) -> np.ndarray:
    """C_PET from the textbook impulse responses; `blood` is the frame averages of C_WB."""
    k3, k4 = k.get("k3", 0.0), k.get("k4", 0.0)
    total = k["k2"] + k3 + k4
    root = np.sqrt(max(total**2 - 4 * k["k2"] * k4, 1e-12))
    slow, fast = max((total - root) / 2, 0.0), (total + root) / 2
    late, early = response.exponential(np.array([slow, fast]))
    tissue = k["K1"] / (fast - slow) * ((k3 + k4 - slow) * late + (fast - k3 - k4) * early)
    vascular = k.get("vB", 0.0)
    return np.asarray((1 - vascular) * tissue + vascular * blood)


def tissue_curves(response: FrameConvolution, blood: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Curves of rows of K1, k2, k3, k4, vB; shape (frames, rows)."""
    return np.array([tissue_curve(response, blood, dict(zip(NAMES, row, strict=True))) for row in rows]).T


def variants(count: int, rng: np.random.Generator) -> np.ndarray:
    """Constants around those of the organs."""
    k = ORGANS[rng.integers(len(ORGANS), size=count)]
    return np.asarray(k * np.exp(0.25 * rng.standard_normal(k.shape)))


def with_noise(true: np.ndarray, timing: FrameTiming, level: float, suv: float, rng: np.random.Generator) -> np.ndarray:
    """σ = α √(C / (Δt e^(−λt))) with α = `level` [SUV^½ s^½] and `suv` Bq/mL an SUV; never below zero; float32."""
    counting = (timing.duration * np.exp2(-timing.mid / F18)).astype(np.float32)
    true = true.astype(np.float32)
    sigma = np.sqrt(np.maximum(true, 0.01 * suv) * np.float32(level**2 * suv) / counting[:, None])
    return np.clip(true + sigma * rng.standard_normal(true.shape, dtype=np.float32), 0, None)
