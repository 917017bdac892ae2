"""Do 95 % intervals hold the truth in 95 of 100 cases? Simulated mice, known truth."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from scipy import stats

from dlif_core.kinetics import FitContext, fit_regions
from dlif_core.kinetics.uncertainty.input_factors import InputFactors, input_factors
from dlif_core.kinetics.uncertainty.propagation import propagation
from dlif_core.kinetics.uncertainty.region_means import region_means
from tests.unit.kinetics.inputs import FENG, TIME, draw, uncertain_input
from tests.unit.kinetics.truth import (
    F18,
    MOUSE,
    FilterColumns,
    curve_by_filter,
    many_regions,
    mouse_input,
    scan_of,
    settings_for,
    settled_fit,
)

#: Rate constants [mL cm⁻³ min⁻¹, min⁻¹].
IRREVERSIBLE = {"K1": 0.6, "k2": 1.0, "k3": 0.3, "vB": 0.05}
ONE_TISSUE = {"K1": 0.4, "k2": 0.2, "vB": 0.05}
REVERSIBLE = {"K1": 0.4, "k2": 0.4, "k3": 0.1, "k4": 0.1, "vB": 0.05}
#: Noise of a region of some hundred voxels, and of a voxel of 1 mm³ [SUV^½ s^½].
REGION, VOXEL = 0.1, 0.6
BAND = (0.92, 0.98)
#: Coefficient of variation of the parameters of an estimated input function.
SPREAD = 0.08
PATLAK = {"t_star": 10.0, "blood_volume": 0.05}


def truth(k: dict[str, float]) -> dict[str, float]:
    k3, k4 = k.get("k3", 0.0), k.get("k4", 0.0)
    if k4 or not k3:
        return k | {"VT": k["K1"] / k["k2"] * (1 + (k3 / k4 if k4 else 0.0))}
    return k | {"Ki": k["K1"] * k3 / (k["k2"] + k3)}


@dataclass
class Simulated:
    """Noisy curves of one tissue, shape (frames, curves), and weights that fit the noise."""

    activity: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, k: dict[str, float], alpha: float, count: int, seed: int) -> "Simulated":
        true = curve_by_filter(FilterColumns(MOUSE, mouse_input(TIME)), k)
        decayed = MOUSE.duration * np.exp2(-MOUSE.mid / F18)
        sigma = alpha * np.sqrt(np.maximum(true / 1e4, 0.01) / decayed) * 1e4
        noise = sigma[:, None] * np.random.default_rng(seed).standard_normal((len(true), count))
        weights = np.clip(np.median(sigma**2) / sigma**2, 1e-3, 1e3)
        return cls(true[:, None] + noise, weights)


def degrees_of_freedom(model: str, settings: dict[str, float]) -> int:
    numbers = {"patlak": 2, "logan": 2, "ma1": 2, "ma2": 4, "1tcm": 3, "2tcm-irreversible": 4, "2tcm-reversible": 5}[
        model
    ]
    return int((MOUSE.start >= 60 * settings.get("t_star", 0.0) - 1e-6).sum()) - numbers


def standardised(model: str, k: dict[str, float], name: str, alpha: float, settings: dict[str, float]) -> np.ndarray:
    """Errors of a parameter over their standard errors, of 4,000 fits with a known input function."""
    simulated = Simulated.of(k, alpha, 4000, 1)
    curve = mouse_input(TIME)
    weights = simulated.weights
    if model == "patlak":  # its weights are those of the points in the plot
        weights = weights * (curve.frame_average(MOUSE)[1] / 1e4) ** 2
    fit = settled_fit(FitContext(MOUSE, weights, curve), settings_for(model, **settings))
    found = fit.fit(simulated.activity)
    return (found[name] - truth(k)[name]) / found[f"{name}_se"]


@pytest.mark.parametrize("alpha", [REGION, VOXEL])
@pytest.mark.parametrize(
    ("model", "k", "names", "settings"),
    [
        ("2tcm-irreversible", IRREVERSIBLE, ("Ki", "K1"), {}),
        ("1tcm", ONE_TISSUE, ("VT", "K1"), {}),
        ("2tcm-reversible", REVERSIBLE, ("VT",), {}),
        ("patlak", IRREVERSIBLE, ("Ki",), PATLAK),
    ],
)
def test_interval_from_the_standard_error_covers(model, k, names, settings, alpha):
    limit = stats.t.ppf(0.975, degrees_of_freedom(model, settings))
    for name in names:
        assert BAND[0] < (np.abs(standardised(model, k, name, alpha, settings)) < limit).mean() < BAND[1], name


LATE = {"t_star": 5.0, "blood_volume": 0.05}


@pytest.mark.parametrize(
    ("model", "k", "settings", "alpha"),
    [
        *(("logan", ONE_TISSUE, LATE, alpha) for alpha in (REGION, VOXEL, 5 * VOXEL)),
        *(("ma1", ONE_TISSUE, LATE, alpha) for alpha in (REGION, VOXEL, 5 * VOXEL)),
        *(("ma2", REVERSIBLE, {"blood_volume": 0.05}, alpha) for alpha in (REGION, VOXEL)),
    ],
)
def test_interval_covers_though_the_noise_is_in_the_columns_too(model, k, settings, alpha):
    """Columns hold ∫C_T. A late frame varies by 0.5, 3 and 15 %; beyond 5 % noise biases MA2."""
    limit = stats.t.ppf(0.975, degrees_of_freedom(model, settings))
    assert BAND[0] < (np.abs(standardised(model, k, "VT", alpha, settings)) < limit).mean() < BAND[1]


@pytest.mark.parametrize("model", ["logan", "ma1"])
def test_interval_of_a_region_covers(model):
    simulated = Simulated.of(ONE_TISSUE, REGION, 1000, 3)
    settings = settings_for(model, **LATE, weights=tuple(simulated.weights))
    found = fit_regions(scan_of(many_regions(simulated.activity.T)), mouse_input(TIME), settings)
    limit = stats.t.ppf(0.975, degrees_of_freedom(model, LATE))
    errors = (found["VT"] - truth(ONE_TISSUE)["VT"]) / found["VT_se"]
    assert BAND[0] < float((np.abs(errors) < limit).mean()) < BAND[1]


@dataclass
class Repetitions:
    """Fits of many simulated scans, each with an input function of its own: errors by the way they are judged.

    Attributes
    ----------
    error, fit, total
        Of one voxel, and its standard errors from noise and from both, shape (scans,).
    mean_error, mean_independent, mean_total
        Of the mean of all voxels, its standard error as if all errors were independent, and with common factors.
    """

    error: np.ndarray
    fit: np.ndarray
    total: np.ndarray
    mean_error: np.ndarray
    mean_independent: np.ndarray
    mean_total: np.ndarray


@cache
def uncertain_inputs(scans: int) -> list[InputFactors]:
    """For every scan an estimated input function, one draw around the truth, with the factors of samples around it."""
    rng, weights = np.random.default_rng(4), MOUSE.duration / MOUSE.duration.mean()
    centres = [draw(FENG, SPREAD, rng) for _ in range(scans)]
    curves = [uncertain_input(centre, SPREAD, 40, rng) for centre in centres]
    return [input_factors(FitContext(MOUSE, weights, curve)) for curve in curves]


def repeat(model: str, k: dict[str, float], name: str, settings: dict[str, float], scans: int) -> Repetitions:
    """Scans of 100 voxels of 1 mm."""
    rows = []
    simulated, fit_settings = Simulated.of(k, VOXEL, 100 * scans, 2), settings_for(model, **settings)
    index = [parameter.name for parameter in fit_settings.kinetic_model.parameters].index(name)
    for scan, factors in enumerate(uncertain_inputs(scans)):
        context = FitContext(MOUSE, simulated.weights, factors.curve)
        activity = simulated.activity[:, 100 * scan : 100 * scan + 100]
        estimates, loadings = propagation(context, fit_settings, factors).fit(activity)
        values, errors, loading = estimates.values[index], estimates.errors[index], loadings[:, index]
        means = region_means(values, errors, np.ones(100), loading)
        total = np.hypot(errors, np.linalg.norm(loading, axis=0))
        independent = np.sqrt((total**2).mean() / 100)
        one = values[0] - truth(k)[name], errors[0], total[0]
        rows.append((*one, means.mean[0] - truth(k)[name], independent, means.total_se[0]))
    return Repetitions(*np.array(rows).T)


@pytest.mark.parametrize(
    ("model", "k", "name", "settings"),
    [
        ("2tcm-irreversible", IRREVERSIBLE, "Ki", {}),
        ("1tcm", ONE_TISSUE, "VT", {}),
        ("2tcm-reversible", REVERSIBLE, "VT", {}),
        ("patlak", IRREVERSIBLE, "Ki", PATLAK),
    ],
)
def test_interval_with_the_input_function_covers(model, k, name, settings):
    found = repeat(model, k, name, settings, 250)

    def coverage(error: np.ndarray, spread: np.ndarray) -> float:
        return float((np.abs(error) < stats.norm.ppf(0.975) * spread).mean())

    assert BAND[0] <= coverage(found.error, found.total) <= BAND[1]
    assert BAND[0] <= coverage(found.mean_error, found.mean_total) <= BAND[1]
    assert coverage(found.error, found.fit) < 0.85
    assert coverage(found.mean_error, found.mean_independent) < 0.5
