"""Spectral analysis against SciPy's non-negative least squares, an ODE solver and known tissues."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from dlif_core.errors import ConfigurationError
from dlif_core.kinetics import FitSettings, FitStatus
from dlif_core.kinetics.context import Estimates, FitContext
from dlif_core.kinetics.spectral.analysis import SpectralEstimator, rate_grid, slowest_rate
from dlif_core.kinetics.spectral.nonnegative import NonNegativeSolver
from tests.unit.kinetics.truth import MOUSE, FilterColumns, mouse_input, noisy_mouse_curves, ode_curve

BLOOD = mouse_input()
COLUMNS = FilterColumns(MOUSE, BLOOD)
NAMES = ("K1", "VT", "Ki", "vB", "components")
WEIGHTS = np.clip(MOUSE.duration / np.maximum(noisy_mouse_curves(COLUMNS, MOUSE, 50, 1)[1].mean(1), 5e2), 1e-3, 1e-2)
TISSUES = (
    {"K1": 0.3, "k2": 0.2, "vB": 0.05},
    {"K1": 0.9, "k2": 1.3, "vB": 0.2},
    {"K1": 0.24, "k2": 0.4, "k3": 0.06, "k4": 0.012, "vB": 0.05},
    {"K1": 0.2, "k2": 0.2, "k3": 0.1, "k4": 0.05, "vB": 0.0},
)


def estimator(weights: np.ndarray = WEIGHTS, **options: object) -> SpectralEstimator:
    return SpectralEstimator(FitContext(MOUSE, weights, BLOOD), FitSettings("spectral", **options))


def named(found: Estimates) -> dict[str, np.ndarray]:
    return dict(zip(NAMES, found.values, strict=True))


def independent_columns(rates: np.ndarray) -> np.ndarray:
    """Weighted columns by the recursive filter, shape (frames, columns); a rate of zero is the running integral."""
    tissue = [COLUMNS.exponential(rate) if rate else COLUMNS.integral for rate in rates]
    return np.array([*tissue, COLUMNS.whole_blood]).T * np.sqrt(WEIGHTS)[:, None]


def test_the_optimum_is_that_of_scipy() -> None:
    curves, _ = noisy_mouse_curves(COLUMNS, MOUSE, 1500, 0)
    rss = estimator().fit(curves).rss
    columns = independent_columns(rate_grid(MOUSE, FitSettings("spectral")))
    norm = np.linalg.norm(columns, axis=0)
    scipy_rss = [nnls(columns / norm, curve * np.sqrt(WEIGHTS))[1] ** 2 for curve in curves.T]
    np.testing.assert_allclose(rss, scipy_rss, rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_any_columns_are_solved_as_by_scipy(seed: int) -> None:
    """Random columns of either sign, more and fewer than directions, one of them zero."""
    rng = np.random.default_rng(seed)
    columns = rng.standard_normal((20 + 15 * seed, 30))
    columns[3] = 0
    curves = rng.standard_normal((200, 30))
    found = NonNegativeSolver(torch.from_numpy(columns)).solve(torch.from_numpy(curves), len(columns))
    dense = np.zeros((len(columns) + 1, len(curves)))
    np.put_along_axis(dense, found.support.numpy(), found.amount.numpy(), axis=0)
    expected = np.array([nnls(columns.T, curve)[0] for curve in curves]).T
    np.testing.assert_allclose(dense[:-1], expected, atol=1e-9)
    assert found.converged.all()


@pytest.mark.parametrize("k", TISSUES)
def test_a_reversible_tissue_is_recovered(k: dict[str, float]) -> None:
    """By the ODE solver; rates between those of the grid cost less than 0.3 %."""
    found = named(estimator().fit(ode_curve(MOUSE, BLOOD, k)[:, None]))
    volume = k["K1"] / k["k2"] * (1 + (k["k3"] / k["k4"] if "k3" in k else 0))
    assert found["K1"][0] == pytest.approx(k["K1"], rel=2e-3)
    assert found["VT"][0] == pytest.approx(volume, rel=3e-3)
    assert found["vB"][0] == pytest.approx(k["vB"], abs=2e-3)
    assert found["components"][0] == (2 if "k3" in k else 1)
    assert found["Ki"][0] == 0


def test_an_irreversible_tissue_has_ki_and_no_volume() -> None:
    found = estimator().fit(ode_curve(MOUSE, BLOOD, {"K1": 0.24, "k2": 0.4, "k3": 0.06, "vB": 0.05})[:, None])
    values = named(found)
    assert values["Ki"][0] == pytest.approx(0.24 * 0.06 / 0.46, rel=1e-3)
    assert values["K1"][0] == pytest.approx(0.24, rel=2e-3)
    assert np.isnan(values["VT"][0])
    assert np.isnan(found.errors[NAMES.index("VT"), 0])
    assert found.status[0] == FitStatus.AT_BOUND


def test_a_mixture_of_tissues_has_the_sum_of_their_volumes() -> None:
    """What a compartment model can't describe: three tissues in one region."""
    mixed = sum(ode_curve(MOUSE, BLOOD, {"K1": 0.1, "k2": k2, "vB": 0.0}) for k2 in (0.03, 0.25, 2.0))
    found = named(estimator().fit(mixed[:, None]))
    assert found["components"][0] == 3
    assert found["VT"][0] == pytest.approx(0.1 / 0.03 + 0.1 / 0.25 + 0.1 / 2, rel=5e-3)
    assert found["K1"][0] == pytest.approx(0.3, rel=5e-3)


def test_standard_errors_are_those_of_the_columns_in_use() -> None:
    """NumPy's covariance of weighted least squares on SciPy's support, carried to K1, Ki and vB numerically."""
    curves, _ = noisy_mouse_curves(COLUMNS, MOUSE, 40, 3)
    found = estimator().fit(curves)
    rates = rate_grid(MOUSE, FitSettings("spectral"))
    columns = independent_columns(rates)
    for curve, errors in zip(curves.T, found.errors.T, strict=True):
        solution, rest = nnls(columns / np.linalg.norm(columns, axis=0), curve * np.sqrt(WEIGHTS))
        used = np.flatnonzero(solution)
        amounts = solution[used] / np.linalg.norm(columns, axis=0)[used]
        covariance = np.linalg.pinv(columns[:, used], rcond=1e-12)
        covariance = covariance @ covariance.T * rest**2 / (len(curve) - len(used))

        def parameters(a: np.ndarray, used=used) -> np.ndarray:
            blood = a[used == len(rates)].sum()
            return np.array([a[used < len(rates)].sum(), a[used == 0].sum()]) / (1 - blood)

        step = 1e-4 * np.diag(amounts)
        slope = np.array([(parameters(amounts + s) - parameters(amounts - s)) / (2 * s.sum()) for s in step])
        expected = np.sqrt(np.einsum("ip,ij,jp->p", slope, covariance, slope))
        expected[1] = expected[1] if 0 in used else np.nan
        np.testing.assert_allclose(errors[[0, 2]], expected, rtol=1e-4)
        if len(rates) in used:
            assert errors[3] == pytest.approx(np.sqrt(covariance[-1, -1]), rel=1e-4)


@pytest.mark.parametrize("rates", [None, (0.0075, 2.0)])
def test_intervals_hold_the_truth(rates: tuple[float, float] | None) -> None:
    """K1, VT and vB within 1.96 standard errors in 90 to 99 % of 400 noisy scans, though components come and go."""
    rng = np.random.default_rng(7)
    k = TISSUES[0]
    true = ode_curve(MOUSE, BLOOD, k)[:, None]
    noise = 0.02 * true.max() * rng.standard_normal((42, 400))
    found = estimator(np.ones(42), rates=rates).fit(true + noise)
    for name, truth in (("K1", k["K1"]), ("VT", k["K1"] / k["k2"]), ("vB", k["vB"])):
        row = NAMES.index(name)
        away = np.abs(found.values[row] - truth) / found.errors[row]
        assert 0.9 < (away[np.isfinite(away)] < 1.96).mean() < 0.99, name
    if rates:
        assert np.isfinite(found.values).all()
        assert found.values[0].mean() == pytest.approx(k["K1"], rel=0.03)


def test_fixed_blood_volume() -> None:
    curve = ode_curve(MOUSE, BLOOD, TISSUES[0])[:, None]
    found = estimator(blood_volume=0.05).fit(curve)
    assert found.values[3, 0] == 0.05
    assert np.isnan(found.errors[3, 0])
    assert found.values[0, 0] == pytest.approx(0.3, rel=2e-3)
    assert found.status[0] == FitStatus.CONVERGED
    fitted = estimator(blood_volume=0.05).fitted(curve, found)
    np.testing.assert_allclose(fitted, curve, atol=1e-3 * curve.max())


def test_blood_alone_and_more_than_blood() -> None:
    found = estimator().fit(np.outer(COLUMNS.whole_blood, [0.4, 1.2]))
    values = named(found)
    np.testing.assert_allclose(values["vB"], [0.4, 1.0], rtol=1e-4)
    assert values["K1"][0] == pytest.approx(0, abs=1e-4)
    assert np.isnan(found.values[:3, 1]).all()
    assert found.status[1] == FitStatus.DEGENERATE
    columns = independent_columns(rate_grid(MOUSE, FitSettings("spectral")))
    _, rest = nnls(columns[:, :-1] / np.linalg.norm(columns[:, :-1], axis=0), 0.2 * columns[:, -1])
    assert found.rss[1] == pytest.approx(rest**2, rel=1e-6)


def test_a_negative_curve_has_no_component() -> None:
    """Alone in its block, so that no column is ever in use."""
    curve = -COLUMNS.whole_blood[:, None]
    found = estimator().fit(curve)
    assert not found.values.any()
    assert np.isnan(found.errors).all()
    assert found.status[0] == FitStatus.AT_BOUND
    assert found.rss[0] == pytest.approx(WEIGHTS @ curve[:, 0] ** 2)


def test_range_of_rates() -> None:
    rates = rate_grid(MOUSE, FitSettings("spectral"))
    assert rates[:2].tolist() == pytest.approx([0, 1 / (3 * 45.5)])
    assert slowest_rate(MOUSE) == pytest.approx(1 / (3 * 45.5))
    rates = rate_grid(MOUSE, FitSettings("spectral", rates=(0.02, 2.0)))
    assert rates[[0, -1]].tolist() == pytest.approx([0.02, 2.0])
    curve = ode_curve(MOUSE, BLOOD, TISSUES[2])[:, None]
    slow = named(estimator(rates=(1e-3, 5.0)).fit(curve))
    assert slow["Ki"][0] + np.nan_to_num(slow["VT"][0]) > 0
    fast = estimator(rates=(0.02, 5.0)).fit(curve)
    assert named(fast)["Ki"][0] == 0
    assert np.isfinite(named(fast)["VT"][0])
    with pytest.raises(ConfigurationError, match="rates"):
        estimator(rates="find")


def test_blocks_and_precision_do_not_matter() -> None:
    curves, _ = noisy_mouse_curves(COLUMNS, MOUSE, 300, 4)
    curves = curves.astype(np.float32)
    whole = estimator().fit(curves)
    for part in (slice(0, 1), slice(1, 300)):
        some = estimator().fit(curves[:, part].astype(float))
        np.testing.assert_allclose(some.values, whole.values[:, part], rtol=1e-9)
        np.testing.assert_allclose(some.errors, whole.errors[:, part], rtol=1e-9)
        np.testing.assert_array_equal(some.status, whole.status[part])


def test_fitted_curves_give_the_residual_sum() -> None:
    curves, _ = noisy_mouse_curves(COLUMNS, MOUSE, 30, 5)
    for options in ({}, {"blood_volume": 0.1}):
        found = estimator(**options).fit(curves)
        rest = curves - estimator(**options).fitted(curves, found)
        np.testing.assert_allclose(WEIGHTS @ rest**2, found.rss, rtol=1e-9)


def test_a_frame_without_weight_has_no_effect() -> None:
    curves, _ = noisy_mouse_curves(COLUMNS, MOUSE, 20, 6)
    weights = WEIGHTS.copy()
    weights[[5, 20]] = 0
    found = estimator(weights).fit(curves)
    curves[[5, 20]] = 1e7
    spoiled = estimator(weights).fit(curves)
    np.testing.assert_allclose(spoiled.values, found.values, rtol=1e-9)
    np.testing.assert_allclose(spoiled.errors, found.errors, rtol=1e-6)
