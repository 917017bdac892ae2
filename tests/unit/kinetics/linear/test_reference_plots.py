"""Plots with a reference region, the relative Patlak plot, and the search for t*."""

from dataclasses import replace

import numpy as np
import pytest

from dlif_core.errors import CurveError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitContext, FitStatus
from dlif_core.kinetics.linear.graphical import find_t_star, tissue_integral
from tests.unit.kinetics.linear.test_multilinear import (
    BLOOD,
    COLUMNS,
    ONE,
    context,
    one_regression,
    truth,
    with_noise_in_the_columns,
)
from tests.unit.kinetics.truth import MOUSE, noisy_mouse_curves, schedule, settings_for

LONG = schedule((1, 30), (24, 5), (9, 20), (20, 300), (20, 600))
NOISY = noisy_mouse_curves(COLUMNS, MOUSE, 200, seed=3)[0]
TRAPPED = {"K1": 0.12, "k2": 0.12, "k3": 0.03, "vB": 0.0}


def values(model: str, scan: FitContext, curves: np.ndarray, **options: object) -> np.ndarray:
    return settings_for(model, **options).estimator(scan).fit(curves.reshape(len(curves), -1)).values


def test_reference_logan_of_one_tissue_is_exact() -> None:
    """With k2′ known: DVR is the ratio of volumes, the intercept −1/k2."""
    found = values("reference-logan", context(MOUSE), truth(MOUSE, ONE))
    assert found[:, 0] == pytest.approx([3.0, 2.0, -25.0], rel=2e-3)


def test_reference_logan_of_two_tissues_approaches_dvr() -> None:
    two = {"K1": 0.1, "k2": 0.1, "k3": 0.1, "k4": 0.05, "vB": 0.0}
    found = values("reference-logan", context(LONG), truth(LONG, two), t_star=150.0)
    assert found[:2, 0] == pytest.approx([3.0, 2.0], rel=5e-3)


def test_reference_patlak_approaches_ki_over_the_volume_of_the_reference() -> None:
    """Ki′ = K1 k3 / (k2 + k3) / VT′."""
    found = values("reference-patlak", context(LONG), truth(LONG, TRAPPED), t_star=120.0)
    assert found[0, 0] == pytest.approx(0.12 * 0.03 / 0.15 / 1.0, rel=0.02)


def test_relative_patlak_is_proportional_to_ki_and_needs_no_early_input() -> None:
    curves = np.array([truth(MOUSE, TRAPPED | {"k3": k3}) for k3 in (0.01, 0.03, 0.06)]).T
    scan = context(MOUSE)
    relative, full = (values(model, scan, curves, t_star=20.0)[0] for model in ("relative-patlak", "patlak"))
    np.testing.assert_allclose(relative / full, relative[0] / full[0], rtol=1e-3)
    late = BLOOD.time >= 900
    later = replace(BLOOD, time=BLOOD.time[late], whole_blood=BLOOD.whole_blood[late], plasma=BLOOD.plasma[late])
    np.testing.assert_allclose(
        values("relative-patlak", replace(scan, input_function=later), curves, t_star=20.0)[0], relative
    )


@pytest.mark.parametrize("left_out", [[], [37, 41]])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("model", ["patlak", "relative-patlak", "reference-patlak", "logan", "reference-logan"])
def test_values_and_errors_are_those_of_one_weighted_line_each(model: str, dtype: type, left_out: list[int]) -> None:
    curves = NOISY.astype(dtype)
    weights = np.random.default_rng(0).uniform(0.5, 2, 42)
    weights[left_out] = 0
    scan, used = context(MOUSE, weights), (MOUSE.start >= 600) & (weights > 0)
    options = {} if model.startswith("reference") else {"blood_volume": 0.04}
    if model == "relative-patlak":
        options["blood_volume"] = 0.0
    found = settings_for(model, **options).estimator(scan).fit(curves)
    share = options.get("blood_volume", 0.0)
    tissues = (curves.astype(float) - share * COLUMNS.whole_blood[:, None]) / (1 - share)
    plasma = MOUSE.average(BLOOD.time, BLOOD.plasma)
    reference_integral = tissue_integral(MOUSE, scan.reference[:, None])[:, 0]
    across = {
        "patlak": COLUMNS.integral,
        "relative-patlak": COLUMNS.integral - COLUMNS.area[600],
        "logan": COLUMNS.integral,
        "reference-patlak": reference_integral,
        "reference-logan": reference_integral + scan.reference / 0.1,
    }[model]
    divisor = plasma if "reference" not in model else scan.reference
    rows = [0, 2] if model == "reference-logan" else [0, 1]
    sound = (tissues[used] > 0).all(0) | ("patlak" in model)
    assert sound.sum() > 150
    np.testing.assert_array_equal(found.status == FitStatus.CONVERGED, sound)
    for index in np.flatnonzero(sound):
        tissue = tissues[:, index]
        up, under = tissue[used], divisor[used]
        if "logan" in model:
            up, under = tissue_integral(MOUSE, tissue[:, None])[used, 0], tissue[used]
        x, y = across[used] / under, up / under
        columns, tolerance = np.array([x, np.ones(len(x))]), 1e-7 if dtype is np.float64 else 1e-5
        line, covariance, rss = one_regression(columns, y, weights[used])
        np.testing.assert_allclose(found.values[rows, index], line, rtol=tolerance)
        if "logan" in model:
            gain = (tissue_integral(MOUSE, np.eye(42)) - line[1] * np.eye(42))[used] / under[:, None]
            covariance = with_noise_in_the_columns(columns, y, gain, weights, used)[1]
        of_errors = 1e-4 if "logan" in model else tolerance
        np.testing.assert_allclose(found.errors[rows, index], np.sqrt(np.diag(covariance)), rtol=of_errors)
        assert found.rss[index] == pytest.approx(rss, rel=tolerance)


@pytest.mark.parametrize("model", ["relative-patlak", "reference-patlak", "reference-logan"])
def test_fitted_curves(model: str) -> None:
    curve = truth(MOUSE, TRAPPED if "patlak" in model else ONE)
    estimator = settings_for(model, t_star=20.0).estimator(context(MOUSE))
    fitted = estimator.fitted(curve[:, None], estimator.fit(curve[:, None]))[:, 0]
    assert np.isnan(fitted[MOUSE.start < 1200]).all()
    np.testing.assert_allclose(fitted[MOUSE.start >= 1200], curve[MOUSE.start >= 1200], rtol=1e-2)


def largest_deviation(timing: FrameTiming, curve: np.ndarray, start: float) -> float:
    """Of a Patlak plot by numpy.polyfit."""
    used, divisor = timing.start >= start, timing.average(BLOOD.time, BLOOD.plasma)
    x, y = COLUMNS.integral[used] / divisor[used], curve[used] / divisor[used]
    return np.abs(y / np.polyval(np.polyfit(x, y, 1), x) - 1).max()


@pytest.mark.parametrize("limit", [0.02, 0.05, 0.1])
def test_t_star_is_the_earliest_start_within_the_limit(limit: float) -> None:
    curve = truth(MOUSE, TRAPPED)
    found = find_t_star(context(MOUSE), settings_for("patlak", t_star="find"), curve, limit)
    starts = [start for start in MOUSE.start[:-4] if start > 30]
    sound = [start for start in starts if largest_deviation(MOUSE, curve, start) <= limit]
    assert found == sound[0] / 60
    assert 0 < found < 25


@pytest.mark.parametrize(
    "model", ["logan", "ma1", "ma2", "relative-patlak", "reference-logan", "reference-patlak", "mrtm2"]
)
def test_every_method_finds_a_t_star_after_which_points_lie_near_the_line(model: str) -> None:
    curve = truth(MOUSE, ONE)
    found = find_t_star(context(MOUSE), settings_for(model, t_star="find"), curve)
    estimator = settings_for(model, t_star=found).estimator(context(MOUSE))
    assert estimator.deviation(curve) <= 0.1
    assert estimator.freedom >= 3


def test_a_curve_without_a_linear_phase_is_refused_with_what_was_reached() -> None:
    curve = truth(MOUSE, TRAPPED) * np.where(np.arange(42) % 2, 2.0, 0.5)
    with pytest.raises(CurveError, match=r"the smallest deviation is \d+%") as fault:
        find_t_star(context(MOUSE), settings_for("patlak", t_star="find"), curve)
    assert fault.value.where == "fit setting t_star"
    with pytest.raises(CurveError, match="enough sound points"):
        find_t_star(context(schedule((4, 600))), settings_for("patlak", t_star="find"), np.ones(4))


def test_a_reference_that_is_not_positive_is_refused() -> None:
    scan = replace(context(MOUSE), reference=np.linspace(1, -1, 42))
    for model in ("reference-patlak", "reference-logan"):
        with pytest.raises(CurveError, match="not positive"):
            settings_for(model).estimator(replace(scan, reference=-np.ones(42)))


def test_integrals_of_polynomials_are_exact_in_contiguous_frames() -> None:
    timing = schedule((5, 60), (5, 120))
    start, end = timing.start / 60, timing.end / 60
    line = (start + end)[:, None] / 2
    exact = (end**3 - start**3) / 6 / (end - start)
    np.testing.assert_allclose(tissue_integral(timing, line)[:, 0], exact, rtol=1e-12)
