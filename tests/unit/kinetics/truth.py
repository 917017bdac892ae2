"""Truth for the kinetics tests, independent of dlif_core.kinetics: an ODE solver, a recursive filter, brute force."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares
from scipy.signal import lfilter

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import MODELS, FitContext, FitSettings, Preparation, VoxelFit
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

torch.set_num_threads(1)  # the matrices are small: more threads would wait for each other

F18 = 6586.2
RATES = (1e-4, 10.0)
NAMES = {
    "1tcm": ("K1", "k2", "vB"),
    "2tcm-irreversible": ("K1", "k2", "k3", "vB"),
    "2tcm-reversible": ("K1", "k2", "k3", "k4", "vB"),
}
DERIVED = {"1tcm": ("VT",), "2tcm-irreversible": ("Ki",), "2tcm-reversible": ("VT", "BPND")}


def schedule(*groups: tuple[int, float]) -> FrameTiming:
    """Contiguous frames from groups of (number, seconds)."""
    duration = np.concatenate([np.full(number, seconds, float) for number, seconds in groups])
    return FrameTiming(np.cumsum(duration) - duration, duration)


MOUSE = schedule((1, 30), (24, 5), (9, 20), (8, 300))


def feng(minutes: np.ndarray) -> np.ndarray:
    """Whole blood of a mouse after FDG [SUV]."""
    u = np.clip(minutes - 0.613, 0, None)
    curve = (102.8 * u - 1.82 - 1.85) * np.exp(-5.55 * u) + 1.82 * np.exp(-0.227 * u) + 1.85 * np.exp(-0.0333 * u)
    return np.where(minutes > 0.613, curve, 0.0)


def mouse_input(time: np.ndarray | None = None) -> InputFunction:
    """Whole blood and plasma, piecewise linear with knots at whole seconds [Bq/mL]."""
    if time is None:
        time = np.unique(np.concatenate([np.arange(30, 150, 2), np.arange(150, 600, 25), np.arange(600, 2731, 142)]))
    whole_blood = 1e4 * feng(time / 60)
    plasma = whole_blood * (0.386 * np.exp(-0.191 * time / 60) + 1.165)
    return InputFunction(time=time.astype(float), whole_blood=whole_blood, plasma=plasma, method="simulated")


def scan_of(
    regions: RegionCurves, timing: FrameTiming = MOUSE, half_life: float = F18, *, suv_factor: float | None = None
) -> DynamicScan:
    """Scan of region curves alone; the SUV factor is that of a mouse of 25 g [g/Bq]."""
    weight, injected = (None, None) if suv_factor is None else (0.025, 25.0 / suv_factor)
    return DynamicScan(timing, Acquisition("FDG", half_life, injected, weight), regions)


def one_region(curve: np.ndarray) -> RegionCurves:
    return many_regions(curve[None])


def settings_for(model: str, **changes: object) -> FitSettings:
    """Settings with all that the model needs."""
    values: dict[str, object] = {"t_star": 10.0, "k2_prime": 0.1, "window": (20.0, 40.0)}
    needed: dict[str, Any] = {str(name): values[name] for name in MODELS[model].needed_options}
    if MODELS[model].needs_reference:
        needed["reference"] = "region 0"
    return FitSettings(model, **needed | changes)


def settled_fit(context: FitContext, settings: FitSettings, chunk: int = 32768) -> VoxelFit:
    """A fit of voxels whose input function has arrived unchanged."""
    unchanged = {parameter.name: parameter.neutral for parameter in settings.kinetic_model.input_parameters}
    return VoxelFit(Preparation(context, settings, settings, unchanged), chunk)


def held(curve: InputFunction, end: float) -> InputFunction:
    """The curve held at its last value up to the end of a scan [s], if it does not reach so far."""
    if curve.time[-1] >= end:
        return curve

    def longer(values: np.ndarray) -> np.ndarray:
        return np.append(values, values[-1])

    return InputFunction(
        time=np.append(curve.time, end),
        whole_blood=longer(curve.whole_blood),
        plasma=longer(curve.plasma),
        method=curve.method,
    )


def early(curve: InputFunction, seconds: float) -> InputFunction:
    """The curve arriving so much earlier, or later if negative, for a scan that ends where it did."""
    return held(curve.shifted(-seconds), curve.time[-1])


def many_regions(curves: np.ndarray) -> RegionCurves:
    return RegionCurves(tuple(f"region {i}" for i in range(len(curves))), curves, np.ones(len(curves)))


def ode_curve(timing: FrameTiming, blood: InputFunction, k: dict[str, float]) -> np.ndarray:
    """C_PET of the two-tissue model, frame averages, by an ODE solver at tight tolerance, from knot to knot."""
    k1, k2, k3, k4 = (k.get(name, 0.0) / 60 for name in ("K1", "k2", "k3", "k4"))
    scale = blood.plasma.max()
    edges = np.unique(np.concatenate([timing.start, timing.end, blood.time, [min(0.0, blood.time[0])]]))
    state, integral = np.zeros(4), {edges[0]: np.zeros(2)}
    for left, right in itertools.pairwise(edges):
        ends = np.array([left + 1e-9, right - 1e-9])  # a curve may jump at its first point
        plasma = np.interp(ends, blood.time, blood.plasma / scale, left=0.0)
        vessel = np.interp(ends, blood.time, blood.whole_blood / scale, left=0.0)
        rise = (plasma[1] - plasma[0]) / (right - left), (vessel[1] - vessel[0]) / (right - left)

        def flow(
            t: float,
            c: np.ndarray,
            left: float = left,
            plasma: np.ndarray = plasma,
            vessel: np.ndarray = vessel,
            rise: tuple[float, float] = rise,
        ) -> list[float]:
            supply = k1 * (plasma[0] + rise[0] * (t - left))
            free = supply - (k2 + k3) * c[0] + k4 * c[1]
            return [free, k3 * c[0] - k4 * c[1], c[0] + c[1], vessel[0] + rise[1] * (t - left)]

        solved = solve_ivp(flow, (left, right), state, rtol=1e-10, atol=1e-13, method="DOP853")
        state = solved.y[:, -1]
        integral[right] = state[2:]
    pairs = zip(timing.start, timing.end, strict=True)
    tissue, vessel = scale * np.array([(integral[e] - integral[s]) / (e - s) for s, e in pairs]).T
    return np.asarray((1 - k["vB"]) * tissue + k["vB"] * vessel)


class FilterColumns:
    """Frame columns by a first-order-hold recursive filter on a grid of 1 s; knots and edges are whole seconds."""

    def __init__(self, timing: FrameTiming, blood: InputFunction) -> None:
        self.edges = np.stack([timing.start, timing.end]).round().astype(int)
        seconds = np.arange(self.edges.max() + 1.0)
        self.minutes = timing.duration / 60
        self.plasma = np.interp(seconds, blood.time, blood.plasma, left=0.0)
        self.area = self._cumulative(self.plasma)
        self.whole_blood = self._average(self._cumulative(np.interp(seconds, blood.time, blood.whole_blood, left=0.0)))
        # Simpson is exact for the integral of a piecewise quadratic when the middle values are known
        middle = self.area[:-1] + (3 * self.plasma[:-1] + self.plasma[1:]) / 8 / 60
        steps = (self.area[:-1] + 4 * middle + self.area[1:]) / 6 / 60
        self.integral = self._average(np.concatenate([[0.0], np.cumsum(steps)]))

    @staticmethod
    def _cumulative(curve: np.ndarray) -> np.ndarray:
        return np.concatenate([[0.0], np.cumsum(curve[1:] + curve[:-1]) / 120])

    def _average(self, cumulative: np.ndarray) -> np.ndarray:
        return np.asarray((cumulative[self.edges[1]] - cumulative[self.edges[0]]) / self.minutes)

    def exponential(self, rate: float) -> np.ndarray:
        z = rate / 60
        decay = np.exp(-z)
        # (z − 1 + e^−z) / z² by its series where it cancels
        late = (z - 1 + decay) / z**2 / 60 if z > 1e-2 else (1 / 2 - z / 6 + z**2 / 24 - z**3 / 120 + z**4 / 720) / 60
        early = -np.expm1(-z) / rate - late
        response = lfilter([late, early], [1, -decay], self.plasma)
        return self._average((self.area - response) / rate)


def brute_force(
    columns: FilterColumns, model: str, curves: np.ndarray, weights: np.ndarray, blood_volume: float | None = None
) -> np.ndarray:
    """Smallest weighted residual sums over a grid of rates, refined around the best; curves of (frames, voxels).

    Every set of active bounds is tried: coefficients are ≥ 0 and that of whole blood is ≤ 1.
    """
    rates = np.geomspace(RATES[0] + 0.02, RATES[1] + 0.02, 529) - 0.02  # slower ones look alike
    exponential = [columns.exponential(rate) for rate in rates]
    constant = [(), (columns.integral,)] if model == "2tcm-irreversible" else [()]
    blood = columns.whole_blood
    vascular = [(None, blood_volume)] if blood_volume is not None else [(None, 0.0), (blood, 0.0), (None, 1.0)]
    best = np.full(curves.shape[1], np.inf)
    for (extra, offset), others in itertools.product(vascular, constant):
        fixed = [*others] if extra is None else [*others, extra]
        target = (curves - offset * blood[:, None]) * np.sqrt(weights)[:, None]
        for count in range(3 if model == "2tcm-reversible" else 2):
            found = _best_rates(
                exponential, fixed, target, np.sqrt(weights), count, 1.0 if extra is not None else np.inf
            )
            best = np.minimum(best, found)
    return best


def _best_rates(
    moving: list[np.ndarray], fixed: list[np.ndarray], target: np.ndarray, root: np.ndarray, count: int, highest: float
) -> np.ndarray:
    """Smallest residual sums with `count` of the moving columns: every sixth of them, then all near the best."""
    best, choice = np.full(target.shape[1], np.inf), np.zeros((count, target.shape[1]), int)
    square = np.square(target).sum(0)

    def improve(chosen: tuple[int, ...], some: np.ndarray | slice) -> None:
        matrix = np.array([*(moving[index] for index in chosen), *fixed]).reshape(-1, len(root)).T * root[:, None]
        found = _free_least_squares(matrix, target[:, some], square[some], highest)
        old = best[some]
        choice[:, some] = np.where(found < old, np.array(chosen, int)[:, None], choice[:, some])
        best[some] = np.minimum(found, old)

    for chosen in itertools.combinations(range(0, len(moving), 6), count):
        improve(chosen, slice(None))
    starts, group = np.unique(choice, axis=1, return_inverse=True)
    for index, start in enumerate(starts.T):
        for chosen in itertools.product(*(range(max(at - 4, 0), min(at + 5, len(moving))) for at in start)):
            if len(set(chosen)) == count > 0:
                improve(chosen, np.flatnonzero(group.ravel() == index))
    return best


def _free_least_squares(matrix: np.ndarray, target: np.ndarray, square: np.ndarray, highest: float) -> np.ndarray:
    """Residual sums without bounds, infinite where a coefficient is below 0 or the last one above `highest`."""
    orthonormal, triangle = np.linalg.qr(matrix)
    projected = orthonormal.T @ target
    coefficients = np.linalg.solve(triangle, projected)
    inside = (coefficients >= 0).all(0) & (coefficients[-1:] <= highest).all(0)
    return np.where(inside, square - np.square(projected).sum(0), np.inf)


def curve_by_filter(columns: FilterColumns, k: dict[str, float]) -> np.ndarray:
    """C_PET from the textbook impulse responses."""
    total = k["k2"] + k.get("k3", 0.0) + k.get("k4", 0.0)
    k3, k4 = k.get("k3", 0.0), k.get("k4", 0.0)
    if k4 == 0:
        tissue = k["K1"] / total * (k3 * columns.integral + k["k2"] * columns.exponential(total))
    else:
        root = np.sqrt(total**2 - 4 * k["k2"] * k4)
        slow, fast = (total - root) / 2, (total + root) / 2
        slow_part = (k3 + k4 - slow) * columns.exponential(slow)
        fast_part = (fast - k3 - k4) * columns.exponential(fast)
        tissue = k["K1"] / (fast - slow) * (slow_part + fast_part)
    return (1 - k["vB"]) * tissue + k["vB"] * columns.whole_blood


def scipy_fit(
    columns: Callable[[float], FilterColumns], model: str, curve: np.ndarray, weights: np.ndarray, starts: np.ndarray
) -> tuple[dict[str, float], float]:
    """Multistart bounded least squares of the rate constants themselves; best parameters and residual sum."""
    names, root = NAMES[model], np.sqrt(weights)
    low = [1e-12] + [1e-4] * (len(names) - 2) + [0.0]
    high = [20.0] + [10.0] * (len(names) - 2) + [1.0]
    at = columns(0.0)

    def residual(trial: np.ndarray) -> np.ndarray:
        return np.asarray((curve_by_filter(at, dict(zip(names, trial, strict=True))) - curve) * root)

    fits = [least_squares(residual, x, bounds=(low, high), x_scale="jac", xtol=1e-12, ftol=1e-12) for x in starts]
    best = min(fits, key=lambda fit: fit.cost)
    return dict(zip(names, best.x, strict=True)), 2 * best.cost


def noisy_mouse_curves(
    columns: FilterColumns, timing: FrameTiming, count: int, seed: int, alpha: float = 1.5
) -> tuple[np.ndarray, np.ndarray]:
    """FDG curves of a mixture of organs with count noise, and the true curves, each (frames, voxels) [Bq/mL]."""
    rng = np.random.default_rng(seed)
    organs = np.array(
        [
            [0.24, 0.40, 0.06, 0.012, 0.05],
            [0.70, 0.90, 0.30, 0.010, 0.20],
            [0.90, 1.30, 0.013, 0.010, 0.20],
            [0.05, 0.25, 0.02, 0.005, 0.02],
            [0.15, 0.50, 0.02, 0.0, 0.35],
            [0.50, 0.90, 0.03, 0.010, 0.20],
            [0.15, 0.35, 0.07, 0.005, 0.05],
        ]
    )
    k = organs[rng.integers(len(organs), size=count)] * np.exp(0.25 * rng.standard_normal((count, 5)))
    names = NAMES["2tcm-reversible"]
    true = np.array([curve_by_filter(columns, dict(zip(names, row, strict=True))) for row in k]).T
    decayed = timing.duration * np.exp2(-timing.mid / F18)
    sigma = alpha * np.sqrt(np.maximum(true / 1e4, 0.01) / decayed[:, None]) * 1e4
    return np.clip(true + sigma * rng.standard_normal(true.shape), 0, None), true


def assert_chunks_make_no_difference(fit: Callable[[int], VoxelFit], curves: np.ndarray) -> None:
    """Chunks of 1, 7 and 1000 voxels against all at once, and the same fit twice."""
    whole = fit(10**6).fit(curves)
    for name, values in fit(10**6).fit(curves).items():
        np.testing.assert_array_equal(values, whole[name])
    for chunk, count in ((1, 25), (7, 150), (1000, curves.shape[1])):
        for name, values in fit(chunk).fit(curves[:, :count]).items():
            scale = np.nanmax(np.abs(whole[name]), initial=0.0)
            np.testing.assert_allclose(values, whole[name][:count], rtol=1e-6, atol=1e-12 * scale, err_msg=name)
