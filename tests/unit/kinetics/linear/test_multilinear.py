"""Multilinear methods against the rate constants that made the curves, and against one regression at a time."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from dlif_core.errors import FrameTimingError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import MODELS, Estimates, FitContext, FitSettings, FitStatus
from dlif_core.kinetics.linear.graphical import tissue_integral
from dlif_core.kinetics.linear.multilinear import double_integral, fit_k2_prime
from tests.unit.kinetics.truth import (
    MOUSE,
    FilterColumns,
    held,
    mouse_input,
    noisy_mouse_curves,
    ode_curve,
    schedule,
    settings_for,
)

BLOOD = mouse_input()
COLUMNS = FilterColumns(MOUSE, BLOOD)
FINE = schedule((1, 30), (60, 2), (60, 5), (60, 20), (40, 30))
REFERENCE = {"K1": 0.1, "k2": 0.1, "vB": 0.0}
ONE = {"K1": 0.12, "k2": 0.04, "vB": 0.0}  # BPND 2 against the reference, R1 1.2
TWO = {"K1": 0.24, "k2": 0.4, "k3": 0.06, "k4": 0.05, "vB": 0.0}
EXPECTED = {
    "ma1": {"VT": 3.0, "intercept": -25.0},
    "ma2": {"VT": 1.32, "K1": 0.24, "k2": 0.4, "k3": 0.06, "k4": 0.05},
    "mrtm": {"BPND": 2.0, "R1": 1.2, "k2": 0.12, "k2_prime": 0.1},
    "mrtm2": {"BPND": 2.0, "R1": 1.2, "k2": 0.12},
}


NOISY = noisy_mouse_curves(COLUMNS, MOUSE, 60, seed=1, alpha=0.5)[0]


@functools.cache
def solved(frames: tuple[tuple[float, float], ...], rates: tuple[tuple[str, float], ...]) -> np.ndarray:
    return ode_curve(FrameTiming(*np.array(frames).T), BLOOD, dict(rates))


def truth(timing: FrameTiming, rates: dict[str, float]) -> np.ndarray:
    """The solved curve, not to be changed."""
    return solved(tuple(zip(timing.start, timing.duration, strict=True)), tuple(rates.items()))


def context(timing: FrameTiming, weights: np.ndarray | None = None) -> FitContext:
    weights = np.ones(len(timing)) if weights is None else weights
    return FitContext(timing, weights, held(BLOOD, timing.end[-1]), truth(timing, REFERENCE))


def fit(model: str, timing: FrameTiming, curve: np.ndarray, **options: object) -> Estimates:
    return settings_for(model, **options).estimator(context(timing)).fit(curve[:, None])


def named(model: str, rows: np.ndarray) -> dict[str, float]:
    return dict(zip([p.name for p in MODELS[model].parameters], rows[:, 0], strict=True))


@pytest.mark.parametrize("model", EXPECTED)
@pytest.mark.parametrize(("timing", "tolerance"), [(FINE, 1e-5), (MOUSE, 2e-3)])
def test_rate_constants_are_recovered_from_a_solved_differential_equation(
    model: str, timing: FrameTiming, tolerance: float
) -> None:
    curve = truth(timing, TWO if model == "ma2" else ONE)
    found = fit(model, timing, curve)
    assert named(model, found.values) == pytest.approx(EXPECTED[model], rel=tolerance)
    assert found.status[0] == FitStatus.CONVERGED
    assert (found.errors[:, 0] < 3 * tolerance * np.abs(found.values[:, 0])).all()


@pytest.mark.parametrize("model", ["ma1", "ma2"])
def test_fixed_blood_volume_is_removed_first(model: str) -> None:
    rates = TWO if model == "ma2" else ONE
    found = fit(model, FINE, truth(FINE, rates | {"vB": 0.1}), blood_volume=0.1)
    assert named(model, found.values) == pytest.approx(EXPECTED[model], rel=1e-5)


def test_ma1_tends_to_vt_of_two_tissues() -> None:
    long = schedule((24, 5), (9, 20), (20, 300), (20, 600))
    assert fit("ma1", long, truth(long, TWO), t_star=150.0).values[0, 0] == pytest.approx(1.32, rel=5e-3)


def test_gaps_are_bridged() -> None:
    gap = FrameTiming(np.r_[np.arange(30, 300, 5), np.arange(360, 2700, 60)], np.r_[np.full(54, 5.0), np.full(39, 60)])
    assert named("ma2", fit("ma2", gap, truth(gap, TWO)).values) == pytest.approx(EXPECTED["ma2"], rel=0.02)


def one_regression(columns: np.ndarray, response: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Coefficients, covariance and residual sum of one curve by numpy.linalg.lstsq."""
    root = np.sqrt(weights)
    matrix = columns.T * root[:, None]
    found, (rss,), *_ = np.linalg.lstsq(matrix, response * root, rcond=None)
    return found, rss / (len(root) - len(found)) * np.linalg.inv(matrix.T @ matrix), rss


def with_noise_in_the_columns(
    columns: np.ndarray, response: np.ndarray, gain: np.ndarray, weights: np.ndarray, used: np.ndarray
) -> tuple[np.ndarray, ...]:
    """As `one_regression`, with the covariance of equations that noise of the frames moves by a matrix of gains."""
    root = np.sqrt(weights[used])
    matrix = columns.T * root[:, None]
    found, _, rss = one_regression(columns, response, weights[used])
    inverse = np.linalg.pinv(matrix)
    noise = root[:, None] * gain / np.sqrt(np.where(weights > 0, weights, weights[weights > 0].min()))
    left = noise - matrix @ (inverse @ noise)
    moves = inverse @ noise
    return found, rss / np.square(left).sum() * moves @ moves.T, rss


def numerical_gradient(function, at: np.ndarray) -> np.ndarray:
    steps = np.diag(1e-6 * np.abs(at))
    return np.array([(function(at + s) - function(at - s)) / (2 * s.sum()) for s in steps]).T


BY_HAND = {
    "ma1": lambda b: np.array([-b[0] / b[1], 1 / b[1]]),
    "mrtm": lambda b: np.array([-b[1] / b[2] - 1, b[0], b[1], b[1] / b[0]]),
    "mrtm2": lambda b: np.array([-b[0] / b[1] - 1, b[0] / 0.1, b[0]]),
    "ma2": lambda b: np.array(
        [
            -b[0] / b[2],
            b[1],
            -b[3] - b[0] / b[1],
            b[0] / b[1] - b[2] / (b[3] + b[0] / b[1]),
            b[2] / (b[3] + b[0] / b[1]),
        ]
    ),
}


@pytest.mark.parametrize("model", BY_HAND)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_errors_are_those_of_one_weighted_regression_each(model: str, dtype: type) -> None:
    curves = NOISY[:, :40].astype(dtype)
    weights = np.random.default_rng(0).uniform(0.5, 2, 42)
    weights[[3, 39]] = 0  # as if the frames were not there
    scan = context(MOUSE, weights)
    found = settings_for(model).estimator(scan).fit(curves)
    used = (MOUSE.start >= (600 if model == "ma1" else 0)) & (weights > 0)
    once = tissue_integral(MOUSE, np.eye(42))
    reference = once @ scan.reference
    own = [twice_matrix(), once] if model == "ma2" else [once]
    shared = {
        "ma1": [COLUMNS.integral],
        "mrtm": [scan.reference, reference],
        "mrtm2": [reference + scan.reference / 0.1],
        "ma2": [double_integral(BLOOD.time, BLOOD.plasma, MOUSE), COLUMNS.integral],
    }[model]
    determined = 0
    for index, curve in enumerate(curves.T.astype(float)):
        columns = np.array([*shared, *(matrix @ curve for matrix in own)])[:, used]
        beta = one_regression(columns, curve[used], weights[used])[0]
        gain = np.eye(42) - sum(number * matrix for number, matrix in zip(beta[len(shared) :], own, strict=True))
        _, covariance, rss = with_noise_in_the_columns(columns, curve[used], gain[used], weights, used)
        gradient = numerical_gradient(BY_HAND[model], beta)
        known = np.isfinite(found.values[:, index])
        determined += known.all()
        np.testing.assert_allclose(found.values[known, index], BY_HAND[model](beta)[known], rtol=1e-6)
        errors = np.sqrt(np.einsum("ij,jk,ik->i", gradient, covariance, gradient))
        np.testing.assert_allclose(found.errors[known, index], errors[known], rtol=1e-5)
        assert found.rss[index] == pytest.approx(rss, rel=1e-8)
        assert found.status[index] == (FitStatus.CONVERGED if known.all() else FitStatus.DEGENERATE)
    assert determined > 10


def double_average(values: np.ndarray, step: float, frame: np.ndarray) -> np.ndarray:
    """Frame averages of ∫∫ of values in the middle of steps [min], given the frame of each step."""
    single = np.cumsum(values) - values / 2
    double = np.cumsum(single) - single / 2
    return step**2 * np.bincount(frame, double) / np.bincount(frame)


def twice(curve: np.ndarray) -> np.ndarray:
    """Frame averages of ∫∫ of a curve that is straight in each frame, on a grid of 20 ms."""
    time = np.arange(0, MOUSE.end[-1], 0.02) + 0.01
    frame = np.searchsorted(MOUSE.end, time)
    slope = np.gradient(curve, MOUSE.mid)
    return double_average(curve[frame] + slope[frame] * (time - MOUSE.mid[frame]), 0.02 / 60, frame)


@functools.cache
def twice_matrix() -> np.ndarray:
    return np.array([twice(unit) for unit in np.eye(42)]).T


def test_double_integral_of_the_input_is_exact() -> None:
    """Against a sum over a fine grid, with frames before the first point and after the last."""
    time, values = np.array([40.0, 60.0, 90.0, 400.0]), np.array([5.0, 80.0, 20.0, 4.0])
    timing = schedule((1, 30), (5, 10), (4, 150))
    fine = np.arange(0, timing.end[-1], 0.004) + 0.002
    expected = double_average(np.interp(fine, time, values, left=0.0), 0.004 / 60, np.searchsorted(timing.end, fine))
    np.testing.assert_allclose(double_integral(time, values, timing), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("model", EXPECTED)
def test_fitted_curves_are_those_of_the_regression(model: str) -> None:
    curve = truth(FINE, (TWO if model == "ma2" else ONE) | {"vB": 0.1 * model.startswith("ma")})
    options = {"blood_volume": 0.1} if model.startswith("ma") else {}
    estimator = settings_for(model, **options).estimator(context(FINE))
    fitted = estimator.fitted(curve[:, None], estimator.fit(curve[:, None]))[:, 0]
    used = FINE.start >= (600 if model == "ma1" else 0)
    assert np.isnan(fitted[~used]).all()
    np.testing.assert_allclose(fitted[used], curve[used], rtol=1e-3, atol=1e-5 * curve.max())


@pytest.mark.parametrize("model", ["ma1", "mrtm", "mrtm2"])
def test_tissue_that_does_not_come_to_rest_has_no_volume(model: str) -> None:
    """The curve grows by more than the input explains."""
    curve = truth(MOUSE, ONE) * np.exp(MOUSE.mid / 600)
    found = fit(model, MOUSE, curve)
    assert np.isnan(found.values[0, 0])
    assert np.isnan(found.errors[0, 0])
    assert found.status[0] == FitStatus.DEGENERATE


def test_the_reference_region_itself_determines_no_binding() -> None:
    """Its integral is one of the shared columns."""
    found = fit("mrtm", MOUSE, truth(MOUSE, REFERENCE))
    assert found.status[0] == FitStatus.DEGENERATE
    assert np.isnan(found.values[0, 0])


def test_k2_prime_comes_from_the_pilot_region() -> None:
    assert fit_k2_prime(context(FINE), truth(FINE, ONE)) == pytest.approx(0.1, rel=1e-5)
    with pytest.raises(InputError, match="does not determine") as fault:
        fit_k2_prime(context(FINE), truth(FINE, REFERENCE))
    assert fault.value.hint


def test_refusals() -> None:
    curve = np.ones((42, 1))
    with pytest.raises(FrameTimingError, match="only 1 frames"):
        fit("ma1", MOUSE, curve[:, 0], t_star=40.0)
    with pytest.raises(InputError, match="reference region"):
        settings_for("mrtm").estimator(FitContext(MOUSE, np.ones(42)))
    with pytest.raises(InputError, match="input function"):
        settings_for("ma1").estimator(FitContext(MOUSE, np.ones(42)))
    with pytest.raises(InputError, match="too little shape"):
        settings_for("mrtm").estimator(FitContext(MOUSE, np.ones(42), None, np.zeros(42)))


@pytest.mark.parametrize("model", [*EXPECTED, "patlak", "logan"])
def test_results_do_not_depend_on_the_block_and_repeat_bit_by_bit(model: str) -> None:
    curves = np.tile(NOISY, 160).astype(np.float32)
    estimator = settings_for(model).estimator(context(MOUSE))
    whole, again, part = estimator.fit(curves), estimator.fit(curves), estimator.fit(curves[:, 7:60])
    for name in ("values", "errors", "rss"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(again, name))
        np.testing.assert_allclose(getattr(whole, name)[..., 7:60], getattr(part, name), rtol=1e-6)


@pytest.mark.parametrize("model", [*EXPECTED, "patlak", "logan", "reference-logan"])
def test_torch_gives_what_numpy_gives(model: str) -> None:
    """A device by another name than cpu takes the way of accelerators; a Logan plot adds up float32 data there too."""
    curves, scan, settings = NOISY.astype(np.float32), context(MOUSE), settings_for(model)
    host, device = (settings.estimator(replace(scan, device=name)).fit(curves) for name in ("cpu", "cpu:0"))
    for name in ("values", "errors", "status", "rss"):
        np.testing.assert_allclose(getattr(device, name), getattr(host, name), rtol=1e-5)


def test_noise_biases_logan_but_not_ma1() -> None:
    """Noise in C_T stands on both axes of a Logan plot; VT of two tissues is 1.32."""
    timing = schedule((24, 5), (9, 20), (15, 300))
    true = truth(timing, TWO)
    sigma = 0.2 * np.sqrt(true[-8] * np.maximum(true, 0.01 * true.max()) * 300 / timing.duration)
    noisy = true[:, None] + sigma[:, None] * np.random.default_rng(0).standard_normal((len(true), 4000))
    volume = {
        model: np.nanmedian(settings_for(model, t_star=20.0).estimator(context(timing)).fit(noisy).values[0])
        for model in ("logan", "ma1")
    }
    assert volume["logan"] < 0.97 * 1.32
    assert volume["ma1"] == pytest.approx(1.32, rel=0.015)


def test_settings_default_to_all_frames() -> None:
    assert FitSettings("ma2").t_star is None
    curve = truth(FINE, TWO)
    np.testing.assert_array_equal(fit("ma2", FINE, curve).values, fit("ma2", FINE, curve, t_star=0.0).values)
