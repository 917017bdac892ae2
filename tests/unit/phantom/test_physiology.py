"""Input functions and tissue curves of simulated mice, against an ODE solver and measured figures."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dlif_core.frames import FrameTiming
from dlif_core.phantom.anatomy import ORGANS
from dlif_core.phantom.mouse import draw_mouse
from dlif_core.phantom.physiology import (
    OrganKinetics,
    draw_input,
    full_width_half_maximum,
    input_function,
    organ_curves,
)

TIMING = FrameTiming([0, 30, 60, 90, 120, 300, 900], [30, 30, 30, 30, 180, 600, 1800])
TISSUE = OrganKinetics(K1=0.9, k2=1.3, k3=0.05, k4=0.01, vB=0.2)
TRAPPED = OrganKinetics(K1=0.24, k2=0.4, k3=0.06, vB=0.05)
URINE = OrganKinetics(transfer=0.8, k2=0.3)


def ode_average(organ: OrganKinetics, time: np.ndarray, plasma: np.ndarray, blood: np.ndarray) -> np.ndarray:
    """Compartments and the running integral of the signal as an initial value problem."""

    def slope(t: float, state: np.ndarray) -> list[float]:
        c_p, c_wb = np.interp(t, time, plasma), np.interp(t, time, blood)
        first, second = state[0], state[1]
        if organ.transfer:  # a transit compartment, then urine that keeps all it gets
            flow = [c_p - organ.k2 * first, organ.transfer * organ.k2 * first]
            tissue = second
        else:
            bound = organ.k3 * first - organ.k4 * second
            flow = [organ.K1 * c_p - organ.k2 * first - bound, bound]
            tissue = first + second
        return [value / 60 for value in flow] + [(1 - organ.vB) * tissue + organ.vB * c_wb]

    edges = np.append(TIMING.start, TIMING.end[-1])
    solution = solve_ivp(
        slope, (0, edges[-1]), [0.0, 0.0, 0.0], t_eval=edges, rtol=1e-8, atol=1e-10, max_step=1.0, method="RK45"
    )
    return np.diff(solution.y[2]) / TIMING.duration


@pytest.mark.parametrize("organ", [TISSUE, TRAPPED, URINE], ids=["reversible", "irreversible", "urine"])
def test_frame_averages_equal_the_ode(organ: OrganKinetics) -> None:
    curve = input_function(draw_mouse(3).blood, TIMING.end[-1], 1.0)
    found = organ_curves({"organ": organ}, curve, TIMING)[0]
    expected = ode_average(organ, curve.time, curve.plasma, curve.whole_blood)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_blood_pools_follow_whole_blood() -> None:
    curve = input_function(draw_mouse(3).blood, TIMING.end[-1], 1.0)
    found = organ_curves({"pool": OrganKinetics(vB=1.0)}, curve, TIMING)[0]
    np.testing.assert_allclose(found, curve.frame_average(TIMING)[0])


def test_plasma_follows_from_whole_blood_by_the_formula_for_mice() -> None:
    curve = input_function(draw_mouse(0).blood, 2730.0, 1e5)
    assert curve.method == "truth"
    assert curve.plasma[600] / curve.whole_blood[600] == pytest.approx(0.386 * np.exp(-1.91) + 1.165)


@pytest.mark.parametrize(
    ("organ", "influx", "volume"),
    [
        (OrganKinetics(K1=0.2, k2=0.4, k3=0.1, k4=0.05), 0.04, 1.5),
        (OrganKinetics(K1=0.2, k2=0.4, k3=0.1), 0.04, np.inf),
        (OrganKinetics(K1=0.2, k2=0.4), 0.0, 0.5),
        (OrganKinetics(vB=1.0), 0.0, 0.0),
        (URINE, 0.8, np.inf),
    ],
)
def test_derived_parameters(organ: OrganKinetics, influx: float, volume: float) -> None:
    assert (organ.Ki, organ.VT) == pytest.approx((influx, volume))


def test_input_functions_are_those_of_mice() -> None:
    """Measured: peak 8 SUV at 64 s, FWHM 47 s, AUC(0-40 min) 51 SUV·min; 3.5/2.2/1.6/.96/.50 at 2/5/10/20/40 min."""
    time = np.arange(0.0, 2401.0)
    curves = np.stack([draw_input(np.random.default_rng(seed)).curve(time) for seed in range(100)])
    width = np.array([full_width_half_maximum(time, curve) for curve in curves])
    peak = curves.max(axis=1)
    assert peak.max() <= 13
    assert width.max() <= 120
    assert np.median(peak) == pytest.approx(8, rel=0.15)
    assert np.median(time[curves.argmax(axis=1)]) == pytest.approx(64, abs=10)
    assert np.median(width) == pytest.approx(47, rel=0.3)
    assert np.median(np.trapezoid(curves, time / 60)) == pytest.approx(51, rel=0.1)
    late = np.median(curves[:, [120, 300, 600, 1200, 2400]], axis=0)
    np.testing.assert_allclose(late, [3.5, 2.2, 1.6, 0.96, 0.50], rtol=0.15)


def test_width_of_a_triangle() -> None:
    assert full_width_half_maximum([0, 10, 30], [0, 4, 0]) == pytest.approx(15)


def test_rates_vary_between_animals_and_together_within_one() -> None:
    mice = [draw_mouse(seed) for seed in range(200)]
    rates = np.log([[m.kinetics[organ].K1 for organ in ("brain", "liver", "kidney")] for m in mice])
    np.testing.assert_allclose(rates.std(axis=0), 0.25, rtol=0.2)
    np.testing.assert_allclose(np.corrcoef(rates.T)[np.triu_indices(3, 1)], 0.5, atol=0.15)


def test_irreversible_changes_nothing_but_k4() -> None:
    for seed in range(5):
        normal, trapped = draw_mouse(seed), draw_mouse(seed, irreversible=True)
        assert normal.blood == trapped.blood
        assert (normal.body_weight, normal.injected_activity) == (trapped.body_weight, trapped.injected_activity)
        for organ in ORGANS:
            before, after = normal.kinetics[organ], trapped.kinetics[organ]
            assert after.k4 == 0
            assert (before.K1, before.k2, before.k3, before.vB) == (after.K1, after.k2, after.k3, after.vB)
