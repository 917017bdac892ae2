"""Full reference tissue model against an ODE that is driven by the reference curve."""

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dlif_core.kinetics import FitSettings, FitStatus, fit_regions
from dlif_core.kinetics.compartment.reference_tissue import reference_curve
from tests.unit.kinetics.truth import MOUSE, FilterColumns, curve_by_filter, many_regions, mouse_input, scan_of

REFERENCE = curve_by_filter(FilterColumns(MOUSE, mouse_input()), {"K1": 0.3, "k2": 0.35, "vB": 0.0})
SETTINGS = FitSettings("frtm", reference="region 0")
TRUTH = [
    {"R1": 0.9, "k2": 0.3, "k3": 0.15, "k4": 0.05},
    {"R1": 1.2, "k2": 0.5, "k3": 0.05, "k4": 0.08},
    {"R1": 0.7, "k2": 0.2, "k3": 0.4, "k4": 0.1},
]


def ode_curve(k: dict[str, float]) -> np.ndarray:
    """The plasma of a one-tissue reference drives the target: K1 C_p = R1 (C_R' + k2′ C_R)."""
    curve = reference_curve(MOUSE, REFERENCE)
    k2, k3, k4 = (k[name] / 60 for name in ("k2", "k3", "k4"))
    scale, ratio = curve.plasma.max(), k["R1"]
    edges = np.unique(np.r_[MOUSE.start, MOUSE.end, curve.time])
    state = np.array([ratio * np.interp(edges[0], curve.time, curve.plasma) / scale, 0.0, 0.0])
    integral = {edges[0]: 0.0}
    for left, right in itertools.pairwise(edges):
        ends = np.interp([left, right], curve.time, curve.plasma) / scale
        rise = (ends[1] - ends[0]) / (right - left)

        def flow(t: float, c: np.ndarray, left=left, ends=ends, rise=rise) -> list[float]:
            supply = ratio * rise + k2 * (ends[0] + rise * (t - left))
            return [supply - (k2 + k3) * c[0] + k4 * c[1], k3 * c[0] - k4 * c[1], c[0] + c[1]]

        state = solve_ivp(flow, (left, right), state, rtol=1e-10, atol=1e-13, method="DOP853").y[:, -1]
        integral[right] = state[2]
    pairs = zip(MOUSE.start, MOUSE.end, strict=True)
    return scale * np.array([(integral[e] - integral[s]) / (e - s) for s, e in pairs])


def test_ode_truth_is_recovered() -> None:
    curves = np.array([REFERENCE, *(ode_curve(k) for k in TRUTH)])
    found = fit_regions(scan_of(many_regions(curves)), None, SETTINGS).isel(region=slice(1, None))
    for name in ("R1", "k2", "k3", "k4"):
        np.testing.assert_allclose(found[name], [k[name] for k in TRUTH], rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(found["BPND"], [k["k3"] / k["k4"] for k in TRUTH], rtol=1e-3)
    np.testing.assert_allclose(found["fitted"], found["measured"], rtol=1e-5, atol=1e-5 * curves.max())
    assert (found["status"] == FitStatus.CONVERGED).all()


def test_the_reference_against_itself_is_no_number_that_looks_sound() -> None:
    """R1 = 1 and no binding; k2 has no effect then."""
    found = fit_regions(scan_of(many_regions(REFERENCE[None])), None, SETTINGS).isel(region=0)
    assert int(found["status"]) != FitStatus.CONVERGED
    assert float(found["R1"]) == pytest.approx(1, rel=1e-3)


def test_standard_errors_are_those_of_the_spread() -> None:
    """At little noise: with more of it a second optimum at about twice k3 and k4 is as good now and then."""
    true = ode_curve(TRUTH[0])
    rng = np.random.default_rng(5)
    noise = 0.001 * true.max() * rng.standard_normal((30, 42)) / np.sqrt(MOUSE.duration / 20)
    settings = FitSettings("frtm", reference="region 0", weights="duration")
    curves = many_regions(np.vstack([REFERENCE, true + noise]))
    found = fit_regions(scan_of(curves), None, settings).isel(region=slice(1, None))
    for name in ("R1", "BPND"):
        assert float(found[name].std()) == pytest.approx(float(found[f"{name}_se"].median()), rel=0.35)
