"""SUV, SUVR and fractional uptake rate against NumPy's averages and regressions and the exact integral of plasma."""

import numpy as np
import pytest

from dlif_core.errors import ConfigurationError, CurveError, FrameTimingError, InputError
from dlif_core.kinetics import FitSettings, FitStatus, fit_regions
from dlif_core.kinetics.context import Estimates, FitContext
from tests.unit.kinetics.truth import (
    MOUSE,
    FilterColumns,
    held,
    many_regions,
    mouse_input,
    ode_curve,
    scan_of,
    schedule,
)

BLOOD = mouse_input()
COLUMNS = FilterColumns(MOUSE, BLOOD)
RNG = np.random.default_rng(0)
CURVES = (COLUMNS.integral * (1 + 0.1 * RNG.standard_normal((5, 42)))).T
REFERENCE = 2e3 * np.sqrt(MOUSE.mid)
WINDOW = (20.5, 45.5)
LATE = MOUSE.start >= 20.5 * 60
SETTINGS = {
    "suv": FitSettings("suv", window=WINDOW),
    "suvr": FitSettings("suvr", window=WINDOW, reference="cerebellum"),
    "fur": FitSettings("fur", window=WINDOW),
}


def context(**changes: object) -> FitContext:
    given = {"input_function": BLOOD, "reference": REFERENCE, "suv_factor": 2e-6}
    return FitContext(MOUSE, np.ones(42), **(given | changes))


def fit(settings: FitSettings, curves: np.ndarray = CURVES, **changes: object) -> Estimates:
    return settings.estimator(context(**changes)).fit(curves)


def average(values: np.ndarray, used: np.ndarray = LATE) -> np.ndarray:
    return np.average(values[used], axis=0, weights=MOUSE.duration[used])


def test_values_are_ratios_of_duration_weighted_means() -> None:
    np.testing.assert_allclose(fit(SETTINGS["suv"]).values[0], 2e-6 * average(CURVES))
    np.testing.assert_allclose(fit(SETTINGS["suvr"]).values[0], average(CURVES) / average(REFERENCE))
    np.testing.assert_allclose(fit(SETTINGS["fur"]).values[0], average(CURVES) / average(COLUMNS.integral))


def test_durations_count() -> None:
    """A window over frames of 20 s and 300 s."""
    used = (MOUSE.start >= 210) & (MOUSE.end <= 1000 + 230)
    assert set(MOUSE.duration[used]) == {20.0, 300.0}
    found = fit(FitSettings("suv", window=(3.5, 20.5))).values[0]
    np.testing.assert_allclose(found, 2e-6 * average(CURVES, used))


@pytest.mark.parametrize("model", SETTINGS)
def test_standard_errors_are_those_of_weighted_regression(model: str) -> None:
    """Slope through the origin by NumPy's least squares on rows scaled with the root of duration / denominator."""
    x = {"suv": np.full(42, 1 / 2e-6), "suvr": REFERENCE, "fur": COLUMNS.integral}[model][LATE]
    root = np.sqrt(MOUSE.duration[LATE] / x)
    found = fit(SETTINGS[model])
    for curve, value, error in zip(CURVES.T, found.values[0], found.errors[0], strict=True):
        solution, rest, _, _ = np.linalg.lstsq((root * x)[:, None], root * curve[LATE], rcond=None)
        assert value == pytest.approx(solution[0])
        assert error == pytest.approx(np.sqrt(rest[0] / (len(x) - 1) / ((root * x) ** 2).sum()))
    assert (found.status == FitStatus.CONVERGED).all()


def test_standard_error_of_suv_is_the_scatter_of_the_mean() -> None:
    """4,000 draws with the variance of counts, frames of unequal duration."""
    used = MOUSE.start >= 210
    noise = RNG.standard_normal((42, 4000)) / np.sqrt(MOUSE.duration)[:, None]
    found = fit(FitSettings("suv", window=(3.5, 45.5)), 5.0 + noise)
    assert np.sqrt((found.errors[0] ** 2).mean()) == pytest.approx(found.values[0].std(), rel=0.05)
    assert found.values[0].std() == pytest.approx(2e-6 / np.sqrt(MOUSE.duration[used].sum()), rel=0.05)


def test_one_frame_has_no_standard_error() -> None:
    found = fit(FitSettings("suv", window=(40.5, 45.5)))
    np.testing.assert_allclose(found.values[0], 2e-6 * CURVES[-1])
    assert np.isnan(found.errors).all()
    assert (found.status == FitStatus.CONVERGED).all()
    assert (found.rss < 1e-12 * CURVES[-1] ** 2).all()


def test_only_whole_frames_with_a_weight_count() -> None:
    found = fit(FitSettings("suv", window=(31.0, 45.49)))  # two whole frames and, but for rounding, a third
    np.testing.assert_allclose(found.values[0], 2e-6 * average(CURVES, MOUSE.start >= 35.5 * 60))
    weights = np.ones(42)
    weights[-1] = 0
    settings = SETTINGS["suv"]
    estimator = settings.estimator(FitContext(MOUSE, weights, suv_factor=2e-6))
    np.testing.assert_allclose(estimator.fit(CURVES).values[0], 2e-6 * average(CURVES, LATE & (MOUSE.start < 40 * 60)))


def test_fractional_uptake_approaches_ki_from_above() -> None:
    """FUR = Ki + V / T with T the stretched time (Patlak), so it falls towards Ki."""
    long = schedule((24, 5), (9, 20), (40, 300))
    curve = ode_curve(long, BLOOD, {"K1": 0.24, "k2": 0.4, "k3": 0.06, "vB": 0.0})
    truth, plain = 0.24 * 0.06 / 0.46, np.ones(len(long))
    found = []
    for window in ((20.0, 40.0), (60.0, 100.0), (160.0, 205.0)):
        settings = FitSettings("fur", window=window)
        estimator = settings.estimator(FitContext(long, plain, held(BLOOD, long.end[-1])))
        found.append(float(estimator.fit(curve[:, None]).values[0, 0]) / truth)
    assert found[0] > found[1] > found[2] > 1
    assert found[2] < 1.08


def test_fitted_curves_and_frames_outside_the_window() -> None:
    for settings in SETTINGS.values():
        estimator = settings.estimator(context())
        found = estimator.fit(CURVES)
        fitted = estimator.fitted(CURVES, found)
        assert np.isnan(fitted[~LATE]).all()
        np.testing.assert_allclose(average(np.nan_to_num(fitted)), average(CURVES))
    np.testing.assert_allclose(found.rss / np.square(CURVES[LATE] - fitted[LATE]).sum(0), 1, rtol=0.2)


def test_a_window_without_frames_names_their_times() -> None:
    with pytest.raises(FrameTimingError, match=r"31 to 35 min.*30\.5, 35\.5, 40\.5, 45\.5 min"):
        fit(FitSettings("suv", window=(31.0, 35.0)))


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InputError, match="injected activity and the body weight"):
        fit(SETTINGS["suv"], suv_factor=None)
    for model in SETTINGS:
        with pytest.raises(ConfigurationError, match="window"):
            FitSettings(model, reference="cerebellum" if model == "suvr" else None)
    with pytest.raises(ConfigurationError, match="reference"):
        FitSettings("suvr", window=WINDOW)


def test_a_denominator_that_is_not_positive_is_refused() -> None:
    with pytest.raises(CurveError, match="not positive"):
        fit(SETTINGS["suvr"], reference=np.where(LATE, 0.0, 1.0))
    with pytest.raises(CurveError, match="not positive"):
        fit(FitSettings("fur", window=(0.0, 0.5)), input_function=BLOOD.shifted(60))


def test_regions_of_a_scan() -> None:
    regions = many_regions(CURVES.T)
    found = fit_regions(scan_of(regions, suv_factor=2e-6), None, SETTINGS["suv"])
    np.testing.assert_allclose(found["SUV"], 2e-6 * average(CURVES))
    assert found["SUV"].attrs["units"] == "g mL-1"
    assert np.isnan(found["aic"]).all()
    ratio = FitSettings("suvr", window=WINDOW, reference="region 2")
    found = fit_regions(scan_of(regions), None, ratio)
    assert float(found["SUVR"][2]) == pytest.approx(1)
    assert float(found["SUVR_se"][2]) == pytest.approx(0, abs=1e-12)
    assert fit_regions(scan_of(regions), BLOOD, SETTINGS["fur"])["FUR"].attrs["units"] == "mL cm-3 min-1"
