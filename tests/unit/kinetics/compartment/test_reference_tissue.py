"""SRTM and SRTM2 against an ODE solver and brute force; the reference curve as a continuous input; corners."""

import itertools

import numpy as np
import pytest

from dlif_core.errors import FrameTimingError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitContext, FitSettings, FitStatus, fit_regions, frame_weights
from dlif_core.kinetics.compartment.reference_tissue import reference_curve
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.scan import RegionCurves
from tests.unit.kinetics.truth import (
    F18,
    MOUSE,
    assert_chunks_make_no_difference,
    many_regions,
    mouse_input,
    ode_curve,
    one_region,
    scan_of,
    schedule,
    settled_fit,
)

BLOOD = mouse_input()
FINE = schedule((30, 5), (20, 20), (36, 60))
EARLY = schedule((40, 5), (22, 20))
_KEPT = np.delete(np.arange(len(FINE)), [44, 45, 46, 60, 75])
GAP = FrameTiming(FINE.start[_KEPT], FINE.duration[_KEPT])
REFERENCE = {"K1": 0.2, "k2": 0.4, "vB": 0.0}
SETTINGS = {"srtm": {}, "srtm2": {"k2_prime": REFERENCE["k2"]}}
CURVE = ode_curve(FINE, BLOOD, REFERENCE)


def target(timing: FrameTiming, ratio: float, binding: float) -> np.ndarray:
    """One tissue compartment of the same volume of distribution, if nothing binds."""
    k = {"K1": ratio * REFERENCE["K1"], "k2": ratio * REFERENCE["k2"] / (1 + binding), "vB": 0.0}
    return ode_curve(timing, BLOOD, k)


def fit(model: str, curves: np.ndarray, timing: FrameTiming = FINE, **options: object) -> dict[str, np.ndarray]:
    reference = CURVE if timing is FINE else ode_curve(timing, BLOOD, REFERENCE)
    settings = FitSettings(model, reference="reference", **(SETTINGS[model] | options))
    context = FitContext(timing, np.ones(len(timing)), None, reference)
    return settled_fit(context, settings).fit(curves.reshape(len(timing), -1))


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    true = np.array([target(FINE, *pair) for pair in itertools.product((0.6, 1.0, 1.4), (-0.4, 0.0, 0.5, 2.0, 6.0))])
    curves = true[rng.integers(len(true), size=5000)].T
    sigma = 1.5e4 * np.sqrt(np.maximum(curves / 1e4, 0.01) / (FINE.duration * np.exp2(-FINE.mid / F18))[:, None])
    curves = np.clip(curves + sigma * rng.standard_normal(curves.shape), 0, None)
    return curves, frame_weights(scan_of(many_regions(curves.T), FINE), FitSettings("1tcm"))


@pytest.mark.parametrize("timing", [FINE, EARLY, GAP], ids=["fine", "early", "gaps"])
@pytest.mark.parametrize("model", SETTINGS)
def test_ode_truth_is_recovered(model: str, timing: FrameTiming) -> None:
    for ratio, binding in ((1.2, 2.0), (0.8, 0.3), (1.1, -0.3), (0.5, 6.0)):
        found = fit(model, target(timing, ratio, binding), timing)
        k2 = ratio * REFERENCE["k2"]
        expected = {"R1": ratio, "k2": k2, "BPND": binding, "k2a": k2 / (1 + binding)}
        expected |= {"k2_prime": REFERENCE["k2"]} if model == "srtm" else {}
        np.testing.assert_allclose([found[name][0] for name in expected], list(expected.values()), rtol=1e-3)
        assert found["status"] == FitStatus.CONVERGED


@pytest.mark.slow
@pytest.mark.parametrize("model", SETTINGS)
def test_residual_sum_is_the_optimum_under_bounds_in_5000_voxels(model: str, noisy: tuple) -> None:
    curves, weights = noisy
    settings = FitSettings(model, reference="reference", **SETTINGS[model])
    found = settled_fit(FitContext(FINE, weights, None, CURVE), settings).fit(curves)
    excess = found["rss"] / brute_force(curves, weights, SETTINGS[model].get("k2_prime")) - 1
    assert (excess <= 1e-3).all()
    assert (found["status"] != FitStatus.NOT_CONVERGED).all()
    for name, lowest in {"R1": 0.0, "k2": 0.0, "BPND": -1.0}.items():
        assert np.nanmin(found[name]) >= lowest


def brute_force(curves: np.ndarray, weights: np.ndarray, k2_prime: float | None) -> np.ndarray:
    """R1 (C_R − θ e) + k2 e with R1, k2 ≥ 0, or R1 (C_R + (k2′ − θ) e), over a dense grid of θ."""
    root = np.sqrt(weights)
    weighted = curves * root[:, None]
    square = np.square(weighted).sum(0)
    best = square
    known = reference_curve(FINE, CURVE)
    convolution = FrameConvolution(known.time, known.plasma, FINE)
    rates = np.geomspace(1e-4 + 0.02, 10.02, 1000) - 0.02
    for rate, response in zip(rates, convolution.exponential(rates), strict=True):
        pair = [CURVE - rate * response, response]
        one = [np.array([CURVE + ((k2_prime or 0.0) - rate) * response])]
        for columns in one if k2_prime else [np.array(pair), np.array(pair[:1]), np.array(pair[1:])]:
            orthonormal, triangle = np.linalg.qr((columns * root).T)
            projected = orthonormal.T @ weighted
            inside = (np.linalg.solve(triangle, projected) >= 0).all(0)
            left = square - np.square(projected).sum(0)
            best = np.where(inside, np.minimum(best, left), best)
    return best


@pytest.mark.parametrize("model", SETTINGS)
def test_results_do_not_depend_on_the_chunk_and_repeat_bit_by_bit(model: str, noisy: tuple) -> None:
    curves, weights = noisy
    settings = FitSettings(model, reference="reference", **SETTINGS[model])
    context = FitContext(FINE, weights, None, CURVE)
    assert_chunks_make_no_difference(lambda chunk: settled_fit(context, settings, chunk=chunk), curves[:, :2000])


@pytest.mark.slow
@pytest.mark.parametrize("model", SETTINGS)
def test_standard_errors_equal_the_spread_of_repeated_noise(model: str) -> None:
    rng = np.random.default_rng(6)
    curves = target(FINE, 1.2, 1.5)[:, None] + 400 * rng.standard_normal((len(FINE), 3000))
    found = fit(model, curves)
    assert (found["status"] == FitStatus.CONVERGED).mean() > 0.99
    for name in ("R1", "k2", "BPND", "k2a"):
        spread = np.subtract(*np.nanpercentile(found[name], [84.13, 15.87])) / 2
        assert np.nanmedian(found[f"{name}_se"]) == pytest.approx(spread, rel=0.1), name


def test_what_washes_out_as_the_reference_does_has_no_k2() -> None:
    """R1 C_R fits with every k2a; BPND = R1 − 1 does not depend on it."""
    found = fit("srtm", np.array([CURVE, 0.7 * CURVE]).T)
    np.testing.assert_allclose(found["R1"], [1.0, 0.7], rtol=1e-9)
    np.testing.assert_allclose(found["BPND"], [0.0, -0.3], atol=1e-9)
    assert np.isnan([found[name] for name in ("k2", "k2a", "k2_prime")]).all()
    assert (found["status"] == FitStatus.DEGENERATE).all()
    assert fit("srtm2", CURVE)["BPND"] == pytest.approx(0.0, abs=1e-6)


def test_corners_give_a_status_and_no_number_that_looks_sound() -> None:
    known = reference_curve(FINE, CURVE)
    convolution = FrameConvolution(known.time, known.plasma, FINE)
    no_delivery = 0.1 * convolution.exponential(0.05)[0]
    no_washout = 0.9 * (CURVE - 0.2 * convolution.exponential(0.2)[0])
    trapped = CURVE + 0.2 * convolution.running_integral
    found = fit("srtm", np.array([no_delivery, no_washout, trapped]).T)
    assert (found["status"] != FitStatus.CONVERGED).all()
    assert found["R1"][0] == 0
    assert np.isnan([found["R1_se"][0], found["k2_prime"][0]]).all()
    np.testing.assert_allclose([found["k2"][0], found["BPND"][0]], [0.1, 1.0], rtol=1e-4)
    assert (found["k2"][1], found["BPND"][1]) == (0.0, -1.0)
    assert found["R1"][1] == pytest.approx(0.9, rel=1e-4)
    assert np.isnan([found["BPND"][2], found["BPND_se"][2]]).all()
    np.testing.assert_allclose([found["R1"][2], found["k2"][2]], [1.0, 0.2], rtol=1e-2)


@pytest.mark.parametrize("model", SETTINGS)
def test_any_curve_gives_a_status_not_an_exception(model: str) -> None:
    rng = np.random.default_rng(0)
    count = len(FINE)
    strange = [-np.ones(count), rng.standard_normal(count), np.eye(count)[0], np.eye(count)[-1], np.full(count, 1e30)]
    found = fit(model, np.array([*strange, np.zeros(count)]).T)
    assert found["status"][-1] == FitStatus.MASKED
    assert not (found["R1"] < 0).any()
    assert not (found["BPND"] < -1).any()


@pytest.mark.parametrize("model", SETTINGS)
def test_rates_are_kept_within_the_range_that_is_set(model: str, noisy: tuple) -> None:
    found = fit(model, noisy[0][:, :500], rates=(0.1, 0.3))
    k2a, rate_given = found["k2a"], np.isfinite(found["k2a"])
    assert (k2a[rate_given] >= 0.1 * (1 - 1e-9)).all()
    assert (k2a[rate_given] <= 0.3 * (1 + 1e-9)).all()
    assert (found["status"][np.isclose(k2a, 0.3, rtol=1e-9, atol=0)] != FitStatus.CONVERGED).all()


def test_regions_get_what_voxels_get(noisy: tuple) -> None:
    curves = np.vstack([CURVE, noisy[0][:, :20].T])
    regions = RegionCurves(("reference", *(f"region {i}" for i in range(20))), curves, np.ones(21))
    settings = FitSettings("srtm", reference="reference", weights="uniform")
    found = fit_regions(scan_of(regions, FINE), None, settings)
    voxelwise = fit("srtm", curves.T)
    for name in ("R1", "k2", "BPND", "BPND_se", "status", "rss"):
        np.testing.assert_allclose(found[name], voxelwise[name], rtol=1e-9, err_msg=name)
    fitted = found["fitted"].to_numpy()[1:]
    np.testing.assert_allclose(np.square(curves[1:] - fitted).sum(1), voxelwise["rss"][1:], rtol=1e-6)


def test_reference_curve_has_the_averages_it_was_made_of() -> None:
    for timing in (MOUSE, GAP, EARLY):
        values = ode_curve(timing, BLOOD, REFERENCE)
        curve = reference_curve(timing, values)
        np.testing.assert_allclose(curve.frame_average(timing)[0], values, rtol=1e-9, atol=1e-9 * values.max())
    straight = reference_curve(MOUSE, 7.0 * MOUSE.mid)
    np.testing.assert_allclose(straight.whole_blood, 7.0 * straight.time, rtol=1e-9)


def test_too_few_frames_are_refused() -> None:
    short = schedule((3, 60))
    settings = FitSettings("srtm", reference="a")
    with pytest.raises(FrameTimingError, match="3 frames"):
        fit_regions(scan_of(one_region(np.ones(3)), short), None, FitSettings("srtm", reference="region 0"))
    with pytest.raises(FrameTimingError, match="3 frames"):
        settled_fit(FitContext(short, np.ones(3), None, np.ones(3)), settings).fit(np.ones((3, 2)))
