"""Models that change the input function: delay and dispersion of water, the portal vein of the liver. Truth by ODE."""

import json

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitSettings, FitStatus, VoxelFit, fit_regions, frame_weights, prepare
from dlif_core.kinetics.input_model import dispersed, dual_input
from tests.unit.kinetics.truth import MOUSE, early, many_regions, mouse_input, one_region, scan_of, schedule

BLOOD = mouse_input()
WATER = schedule((1, 10), (8, 5), (4, 10), (2, 15), (3, 20), (2, 30), (6, 60))
RATES = ("K1", "k2", "k3", "k4", "vB")


def water_input() -> InputFunction:
    time = np.unique(np.r_[np.arange(12, 90, 2.0), np.arange(90, 300, 10), np.arange(300, 601, 50)])
    u = (time - 12) / 60
    curve = 1e5 * (12 * u * np.exp(-5 * u) + 0.25 * (1 - np.exp(-2 * u)))
    return InputFunction(time=time, whole_blood=curve, plasma=curve, method="simulated")


def ode_scan(timing: FrameTiming, blood: InputFunction, k: dict[str, float], share: float, kpv: float) -> np.ndarray:
    """C_PET with the input share · C_A + (1 − share) · C_V, where C_V' = kpv (C_A − C_V); kpv in min⁻¹.

    One system of equations with the gut or the dispersing vessel as a compartment, integrated from knot to knot.
    """
    k1, k2, k3, k4, rate = (np.array([k.get(name, 0.0) for name in RATES[:4]] + [kpv])) / 60
    scale = blood.plasma.max()
    edges = np.unique(np.r_[timing.start, timing.end, blood.time, 0.0])
    state, integral = np.zeros(6), {}
    for left, right in zip(edges, [*edges[1:], np.nan], strict=True):
        integral[left] = state[4:].copy()
        if np.isnan(right):
            break

        def flow(t: float, c: np.ndarray) -> list[float]:
            plasma = np.interp(t, blood.time, blood.plasma, left=0.0) / scale
            vessel = np.interp(t, blood.time, blood.whole_blood, left=0.0) / scale
            supply = share * plasma + (1 - share) * c[2]
            return [
                k1 * supply - (k2 + k3) * c[0] + k4 * c[1],
                k3 * c[0] - k4 * c[1],
                rate * (plasma - c[2]),
                rate * (vessel - c[3]),
                c[0] + c[1],
                share * vessel + (1 - share) * c[3],
            ]

        state = solve_ivp(flow, (left, right), state, rtol=1e-10, atol=1e-13, method="DOP853").y[:, -1]
    pairs = zip(timing.start, timing.end, strict=True)
    tissue, vessel = scale * np.array([(integral[e] - integral[s]) / (e - s) for s, e in pairs]).T
    return (1 - k["vB"]) * tissue + k["vB"] * vessel


def sampled(curve: InputFunction, tau: float, time: np.ndarray) -> InputFunction:
    """(1/τ) e^(−t/τ) ⊗ C by quadrature over each straight piece of the measured curve."""
    values = []
    for at in time:
        knots = np.unique(np.r_[np.linspace(0, min(at, 40 * tau), 4000), at - curve.time[curve.time < at]])
        knots = knots[knots <= at]
        height = np.interp(at - knots, curve.time, curve.plasma, left=0.0) * np.exp(-knots / tau) / tau
        values.append(np.trapezoid(height, knots))
    return InputFunction(time=time, whole_blood=np.array(values), plasma=np.array(values), method="quadrature")


@pytest.mark.parametrize("tau", [0.8, 5.0, 20.0])
def test_dispersion_is_the_convolution(tau: float) -> None:
    blood, time = water_input(), np.array([11.0, 13.5, 20.0, 31.3, 47.0, 88.0, 140.0, 420.0, 640.0])
    found = dispersed(blood, tau, 20.0)
    expected = sampled(blood, tau, time).plasma
    peak = blood.plasma.max()
    np.testing.assert_allclose(np.interp(time, found.time, found.plasma, left=0.0), expected, atol=3e-5 * peak)
    assert np.trapezoid(found.plasma[:-1] - blood.plasma[-1], found.time[:-1]) == pytest.approx(
        np.trapezoid(blood.plasma - blood.plasma[-1], blood.time) - tau * blood.plasma[-1], rel=1e-4
    )


def test_taking_dispersion_out_undoes_it() -> None:
    blood = water_input()
    back = dispersed(dispersed(blood, 6.0, 20.0), -6.0, 20.0)
    middle = 0.5 * (blood.time[1:] + blood.time[:-1])
    expected = np.interp(middle, blood.time, blood.plasma)
    error = np.abs(np.interp(middle, back.time, back.plasma) - expected)
    assert np.median(error) < 1e-3 * blood.plasma.max()
    found, true = (WATER.average(curve.time, curve.plasma) for curve in (back, blood))
    np.testing.assert_allclose(found, true, rtol=2e-4)


def test_samples_change_as_the_curve_does() -> None:
    blood = water_input()
    uncertain = InputFunction(
        blood.time, blood.whole_blood, blood.plasma, "simulated", samples=blood.whole_blood * [[0.5], [2.0]]
    )
    changed = dispersed(uncertain, 4.0, 20.0), dispersed(uncertain, -4.0, 20.0), dual_input(uncertain, 0.3, 1.0, 0.1)
    for moved in changed:
        np.testing.assert_allclose(moved.samples, moved.whole_blood * [[0.5], [2.0]], rtol=1e-12)


@pytest.mark.parametrize(("tau", "delay"), [(5.0, 0.0), (3.0, 7.0), (0.0, 0.0)])
def test_water_with_delay_and_dispersion(tau: float, delay: float) -> None:
    blood = water_input()
    truth = [{"K1": 0.5, "k2": 0.55, "vB": 0.05}, {"K1": 0.2, "k2": 0.25, "vB": 0.02}]
    tight = {"share": 1.0, "kpv": 1.0} if tau == 0 else {"share": 0.0, "kpv": 60 / tau}
    curves = np.array([ode_scan(WATER, blood, k, **tight) for k in truth])
    settings = FitSettings("1tcm-water", delay="region" if delay else "none")
    found = fit_regions(scan_of(many_regions(curves), WATER), early(blood, delay), settings)
    for name in ("K1", "k2", "vB"):
        np.testing.assert_allclose(found[name], [k[name] for k in truth], rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(found["tau"], tau, atol=0.005)
    np.testing.assert_allclose(found["delay"], delay, atol=0.005)
    np.testing.assert_allclose(found["VT"], [k["K1"] / k["k2"] for k in truth], rtol=1e-3)
    assert (found["status"] == FitStatus.CONVERGED).all()


def test_a_measured_curve_that_is_the_more_dispersed_one_gives_a_negative_tau() -> None:
    """Behind a sampling line of τ = 6 s; the tissue gets the curve before it."""
    blood, k = water_input(), {"K1": 0.5, "k2": 0.55, "vB": 0.05}
    curve = ode_scan(WATER, blood, k, share=1.0, kpv=1.0)
    behind = dispersed(blood, 6.0, 20.0)
    found = fit_regions(scan_of(one_region(curve), WATER), behind, FitSettings("1tcm-water")).isel(region=0)
    assert float(found["tau"]) == pytest.approx(-6, abs=0.1)
    assert float(found["K1"]) == pytest.approx(0.5, rel=1e-3)


def test_standard_errors_are_those_of_the_spread() -> None:
    blood, k = water_input(), {"K1": 0.5, "k2": 0.55, "vB": 0.05}
    true = ode_scan(WATER, blood, k, share=0.0, kpv=12.0)
    rng = np.random.default_rng(2)
    noise = 0.003 * true.max() * rng.standard_normal((40, len(true))) / np.sqrt(WATER.duration / 5)
    settings = FitSettings("1tcm-water", weights="duration")
    found = fit_regions(scan_of(many_regions(true + noise), WATER), blood, settings)
    for name in ("tau", "K1", "k2", "VT"):
        assert float(found[name].std()) == pytest.approx(float(found[f"{name}_se"].median()), rel=0.3)


def test_voxels_get_the_numbers_of_the_pilot_region() -> None:
    blood = water_input()
    truth = [{"K1": 0.5, "k2": 0.55, "vB": 0.05}, {"K1": 0.2, "k2": 0.25, "vB": 0.02}]
    curves = np.array([ode_scan(WATER, blood, k, share=0.0, kpv=12.0) for k in truth])
    measured, regions = early(blood, 6), many_regions(curves)
    settings = FitSettings("1tcm-water", delay="image", pilot_region="region 1")
    prepared = prepare(scan_of(regions, WATER), measured, settings)
    assert prepared.found["tau"] == pytest.approx(5, abs=0.01)
    assert prepared.delay == pytest.approx(6, abs=0.01)
    voxels = VoxelFit(prepared).fit(curves.T)
    np.testing.assert_allclose(voxels["K1"], [0.5, 0.2], rtol=1e-3)
    whole = fit_regions(scan_of(regions, WATER), measured, settings)
    np.testing.assert_allclose(whole["K1"], voxels["K1"], rtol=1e-6)
    np.testing.assert_allclose(whole["tau"], prepared.found["tau"])
    assert np.isnan(whole["tau_se"]).all()
    assert json.loads(whole.attrs["found"])["tau"] == pytest.approx(5, abs=0.01)
    undelayed = prepare(scan_of(regions, WATER), blood, FitSettings("1tcm-water"))
    assert set(undelayed.found) == {"tau"}


LIVER = [
    {"K1": 0.9, "k2": 1.0, "k3": 0.05, "k4": 0.03, "vB": 0.1},
    {"K1": 0.9, "k2": 1.3, "k3": 0.013, "k4": 0.01, "vB": 0.2},
]


def test_liver_with_artery_and_portal_vein() -> None:
    """Noise-free: a misfit of 3e-4 stands between this optimum and others, so noise moves the numbers far more."""
    curves = np.array([ode_scan(MOUSE, BLOOD, k, share=0.25, kpv=1.0) for k in LIVER])
    found = fit_regions(scan_of(many_regions(curves)), BLOOD, FitSettings("2tcm-liver"))
    for name in RATES:
        np.testing.assert_allclose(found[name], [k[name] for k in LIVER], rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(found["fA"], 0.25, rtol=1e-3)
    np.testing.assert_allclose(found["kPV"], 1.0, rtol=1e-3)
    np.testing.assert_allclose(found["fitted"], found["measured"], rtol=1e-4)
    misfit = 42 * np.log(found["rss"] / 42)
    np.testing.assert_allclose(found["aic"], misfit + 2 * 7)


def test_liver_without_portal_blood_does_not_tell_its_rate() -> None:
    curve = ode_scan(MOUSE, BLOOD, LIVER[0], share=1.0, kpv=1.0)
    found = fit_regions(scan_of(one_region(curve)), BLOOD, FitSettings("2tcm-liver")).isel(region=0)
    assert int(found["status"]) == FitStatus.DEGENERATE
    assert float(found["fA"]) == pytest.approx(1, abs=1e-3)
    assert np.isnan(found["kPV"])
    assert float(found["K1"]) == pytest.approx(0.9, rel=1e-3)


@pytest.mark.slow
def test_liver_is_fitted_at_the_optimum_of_noisy_curves() -> None:
    """No dense grid over fA and kPV, the rest fitted at each point, is better."""
    rng = np.random.default_rng(3)
    true = ode_scan(MOUSE, BLOOD, LIVER[0], share=0.25, kpv=1.0)
    curve = true + 0.02 * true.max() * rng.standard_normal(42) / np.sqrt(MOUSE.duration / 20)
    settings = FitSettings("2tcm-liver")
    found = fit_regions(scan_of(one_region(curve)), BLOOD, settings)
    weights = frame_weights(scan_of(one_region(curve)), settings)
    assert float((weights * (found["fitted"][0] - curve) ** 2).sum()) == pytest.approx(float(found["rss"][0]))
    for share in (0.05, 0.25, 0.6):
        for kpv in np.geomspace(0.15, 6, 5):
            mixed = dual_input(BLOOD, share, kpv, 0.1)
            other = fit_regions(scan_of(one_region(curve)), mixed, FitSettings("2tcm-reversible"))
            assert float(found["rss"][0]) <= float(other["rss"][0]) * (1 + 1e-6)
