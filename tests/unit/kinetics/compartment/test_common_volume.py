"""Two-tissue model with K1/k2 common to all regions, against the truth and a joint SciPy fit."""

import json

import numpy as np
import pytest
from scipy.optimize import least_squares

from dlif_core.errors import ConfigurationError
from dlif_core.kinetics import FitSettings, FitStatus, VoxelFit, fit_regions, frame_weights, prepare
from tests.unit.kinetics.truth import (
    MOUSE,
    FilterColumns,
    curve_by_filter,
    many_regions,
    mouse_input,
    ode_curve,
    scan_of,
)

BLOOD = mouse_input()
COLUMNS = FilterColumns(MOUSE, BLOOD)
VND = 0.8
SETTINGS = FitSettings("2tcm-common-k1k2")
NUMBERS = ("K1", "k3", "k4", "vB")
TRUTH = [
    {"K1": 0.24, "k3": 0.06, "k4": 0.02, "vB": 0.05},
    {"K1": 0.5, "k3": 0.1, "k4": 0.05, "vB": 0.1},
    {"K1": 0.1, "k3": 0.02, "k4": 0.03, "vB": 0.03},
    {"K1": 0.3, "k3": 0.3, "k4": 0.1, "vB": 0.02},
]


def full(k: dict[str, float], vnd: float = VND) -> dict[str, float]:
    return k | {"k2": k["K1"] / vnd}


def noisy(seed: int) -> np.ndarray:
    true = np.array([curve_by_filter(COLUMNS, full(k)) for k in TRUTH])
    spread = 0.02 * true.max(axis=1, keepdims=True) / np.sqrt(MOUSE.duration / 20)
    return true + spread * np.random.default_rng(seed).standard_normal(true.shape)


@pytest.mark.parametrize("blood_volume", [None, 0.05])
def test_ode_truth_is_recovered(blood_volume: float | None) -> None:
    truth = [full(k | ({} if blood_volume is None else {"vB": blood_volume})) for k in TRUTH[:3]]
    curves = many_regions(np.array([ode_curve(MOUSE, BLOOD, k) for k in truth]))
    settings = FitSettings("2tcm-common-k1k2", blood_volume=blood_volume)
    found = fit_regions(scan_of(curves), BLOOD, settings)
    for name in ("K1", "k2", "k3", "k4", "vB"):
        np.testing.assert_allclose(found[name], [k[name] for k in truth], rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(found["VND"], VND, rtol=1e-3)
    np.testing.assert_allclose(found["VT"], [VND * (1 + k["k3"] / k["k4"]) for k in truth], rtol=1e-3)
    np.testing.assert_allclose(found["BPND"], [k["k3"] / k["k4"] for k in truth], rtol=1e-3)
    np.testing.assert_allclose(found["fitted"], found["measured"], rtol=1e-6)
    assert (found["status"] == FitStatus.CONVERGED).all()


def test_it_is_the_joint_optimum() -> None:
    """17 numbers of 4 regions by SciPy from several starts, standard errors from its joint Jacobian."""
    curves = noisy(0)
    found = fit_regions(scan_of(many_regions(curves)), BLOOD, SETTINGS)
    root = np.sqrt(frame_weights(scan_of(many_regions(curves)), SETTINGS))

    def residual(x: np.ndarray) -> np.ndarray:
        rows = [dict(zip(NUMBERS, part, strict=True)) for part in x[1:].reshape(4, 4)]
        model = np.array([curve_by_filter(COLUMNS, full(k, x[0])) for k in rows])
        return ((model - curves) * root).ravel()

    low, high = np.r_[0.02, [1e-4, 1e-9, 1e-4, 0] * 4], np.r_[50, [10, 10, 10, 1] * 4]
    truth, rng = np.r_[VND, [k[name] for k in TRUTH for name in NUMBERS]], np.random.default_rng(1)
    starts = [np.clip(truth * np.exp(0.5 * rng.standard_normal(17)), low + 1e-6, high - 1e-6) for _ in range(6)]
    fits = [least_squares(residual, x, bounds=(low, high), x_scale="jac", xtol=1e-12, ftol=1e-12) for x in starts]
    best = min(fits, key=lambda fit: fit.cost)
    assert float(found["rss"].sum()) <= 2 * best.cost * (1 + 1e-6)
    np.testing.assert_allclose(found["VND"], best.x[0], rtol=1e-4)
    for index, name in enumerate(NUMBERS):
        np.testing.assert_allclose(found[name], best.x[1 + index :: 4], rtol=1e-3)


def test_standard_errors_are_those_of_the_spread() -> None:
    fits = [fit_regions(scan_of(many_regions(noisy(seed))), BLOOD, SETTINGS) for seed in range(6)]
    for name in ("VND", "K1", "BPND", "VT"):
        values = np.array([fit[name] for fit in fits])
        errors = np.array([fit[f"{name}_se"] for fit in fits])
        ratio = values.std(axis=0, ddof=1) / np.median(errors, axis=0)
        assert 0.5 < np.median(ratio) < 1.7, (name, ratio)


def test_regions_without_binding_and_without_tissue() -> None:
    alone = curve_by_filter(COLUMNS, {"K1": 0.2, "k2": 0.2 / VND, "vB": 0.05})
    blood = 0.4 * COLUMNS.whole_blood
    curves = np.array([curve_by_filter(COLUMNS, full(TRUTH[0])), alone, blood])
    found = fit_regions(scan_of(many_regions(curves)), BLOOD, SETTINGS)
    np.testing.assert_allclose(found["VND"], VND, rtol=1e-3)
    assert list(found["status"].values[1:]) != [FitStatus.CONVERGED] * 2
    assert float(found["BPND"][1]) == pytest.approx(0, abs=1e-3)
    assert float(found["K1"][1]) == pytest.approx(0.2, rel=1e-3)
    assert int(found["status"][2]) == FitStatus.DEGENERATE
    assert float(found["vB"][2]) == pytest.approx(0.4, rel=5e-3)
    assert np.isnan(found["k3"][2])
    assert json.loads(found.attrs["settings"])["model"] == "2tcm-common-k1k2"


def test_it_is_for_regions_only() -> None:
    prepared = prepare(scan_of(many_regions(noisy(0))), BLOOD, SETTINGS)
    with pytest.raises(ConfigurationError, match="regions only"):
        VoxelFit(prepared)
