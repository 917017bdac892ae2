import numpy as np
import pytest

from dlif_core.curve import InputFunction
from dlif_core.errors import CurveError, FrameTimingError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitContext, FitSettings, FitStatus, fit_regions
from tests.unit.kinetics.truth import (
    MOUSE,
    FilterColumns,
    held,
    mouse_input,
    ode_curve,
    one_region,
    scan_of,
    schedule,
    settled_fit,
)

BLOOD = mouse_input()
COLUMNS = FilterColumns(MOUSE, BLOOD)
PLASMA = MOUSE.average(BLOOD.time, BLOOD.plasma)
FDG = {"K1": 0.24, "k2": 0.4, "k3": 0.06, "vB": 0.0}


def fit(curve: np.ndarray, model: str, t_star: float, **options: object) -> dict[str, float]:
    settings = FitSettings(model, t_star=t_star, **options)
    found = fit_regions(scan_of(one_region(curve)), BLOOD, settings).isel(region=0)
    return {name: float(found[name]) for name in found.data_vars if found[name].ndim == 0}


@pytest.mark.parametrize("t_star", [1.0, 3.0, 10.0, 20.0])
@pytest.mark.parametrize("weights", ["uniform", "duration-decay"])
def test_a_curve_made_by_the_patlak_model_is_recovered(t_star: float, weights: str) -> None:
    """The integral counts from t = 0; one that starts at the first mid-frame would shift the intercept."""
    found = fit(0.0263 * COLUMNS.integral + 0.4 * PLASMA, "patlak", t_star, weights=weights)
    assert found["Ki"] == pytest.approx(0.0263, rel=1e-6)
    assert found["intercept"] == pytest.approx(0.4, rel=1e-6)


def test_patlak_depends_on_t_star_and_approaches_ki() -> None:
    """Before equilibrium the plot is bent; its slope tends to K1 k3 / (k2 + k3)."""
    curve = ode_curve(MOUSE, BLOOD, FDG)
    slopes = [fit(curve, "patlak", t_star, weights="uniform")["Ki"] for t_star in (1, 3, 10, 20)]
    truth = 0.24 * 0.06 / 0.46
    assert slopes[0] > 1.05 * truth
    assert slopes[0] > slopes[1]
    assert slopes[3] == pytest.approx(truth, rel=0.01)


def test_logan_of_one_tissue_gives_its_volume() -> None:
    """The Logan equation of one tissue compartment is exact: slope K1/k2, intercept −1/k2."""
    found = fit(ode_curve(MOUSE, BLOOD, {"K1": 0.3, "k2": 0.2, "vB": 0.0}), "logan", 10)
    assert found["VT"] == pytest.approx(1.5, rel=2e-3)
    assert found["intercept"] == pytest.approx(-5, rel=5e-3)


def test_logan_of_two_tissues_approaches_vt() -> None:
    long = schedule((24, 5), (9, 20), (20, 300), (20, 600))
    k = {"K1": 0.2, "k2": 0.2, "k3": 0.1, "k4": 0.05, "vB": 0.0}
    curve = ode_curve(long, BLOOD, k)
    settings, blood = FitSettings("logan", t_star=150, weights="uniform"), held(BLOOD, long.end[-1])
    found = fit_regions(scan_of(one_region(curve), long, 1e9), blood, settings)
    assert float(found["VT"][0]) == pytest.approx(3.0, rel=5e-3)


def test_logan_bridges_a_gap_and_a_late_start() -> None:
    gap = FrameTiming([60, 120, 240, 600, 900, 1500, 1800, 2100, 2400], [60, 100, 300, 300, 300, 300, 300, 300, 300])
    curve = ode_curve(gap, BLOOD, {"K1": 0.3, "k2": 0.1, "vB": 0.0})
    found = fit_regions(scan_of(one_region(curve), gap), BLOOD, FitSettings("logan", t_star=20))
    assert float(found["VT"][0]) == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize("model", ["patlak", "logan"])
def test_fixed_blood_volume_is_removed_first(model: str) -> None:
    tissue = ode_curve(MOUSE, BLOOD, FDG)
    mixed = ode_curve(MOUSE, BLOOD, FDG | {"vB": 0.1})
    clean = fit(tissue, model, 10, weights="uniform")
    corrected = fit(mixed, model, 10, weights="uniform", blood_volume=0.1)
    assert corrected == pytest.approx(clean, rel=1e-5, nan_ok=True)
    none = fit(mixed, model, 10, weights="uniform")
    assert none == pytest.approx(fit(mixed, model, 10, weights="uniform", blood_volume=0.0), nan_ok=True)


def test_standard_errors_are_those_of_weighted_regression() -> None:
    """Against NumPy's polynomial fit with covariance."""
    rng = np.random.default_rng(0)
    curve = ode_curve(MOUSE, BLOOD, FDG) * (1 + 0.03 * rng.standard_normal(42))
    settings = FitSettings("patlak", t_star=5)
    found = fit_regions(scan_of(one_region(curve)), BLOOD, settings).isel(region=0)
    used = MOUSE.start >= 300
    x, y = (COLUMNS.integral[used] / PLASMA[used], curve[used] / PLASMA[used])
    line, covariance = np.polyfit(x, y, 1, w=np.sqrt(found["weight"].to_numpy()[used]), cov=True)
    np.testing.assert_allclose([found["Ki"], found["intercept"]], line, rtol=1e-9)
    np.testing.assert_allclose([found["Ki_se"], found["intercept_se"]], np.sqrt(np.diag(covariance)), rtol=1e-9)


def test_regional_and_voxelwise_are_the_same() -> None:
    curve = ode_curve(MOUSE, BLOOD, FDG)
    for model in ("patlak", "logan"):
        settings = FitSettings(model, t_star=10)
        found = fit_regions(scan_of(one_region(curve)), BLOOD, settings)
        voxels = settled_fit(FitContext(MOUSE, found["weight"].to_numpy(), BLOOD), settings).fit(
            np.repeat(curve[:, None], 3, 1)
        )
        for name in voxels:  # standard errors of Logan plots are made in float32
            tolerance = 1e-6 if model == "logan" and name.endswith("_se") else 1e-12
            np.testing.assert_allclose(voxels[name], float(found[name][0]), rtol=tolerance)


def test_fitted_curve_and_frames_before_t_star() -> None:
    curve = 0.02 * COLUMNS.integral + 0.4 * PLASMA
    found = fit_regions(scan_of(one_region(curve)), BLOOD, FitSettings("patlak", t_star=10)).isel(region=0)
    late = MOUSE.start >= 600
    np.testing.assert_allclose(found["fitted"][late], curve[late], rtol=1e-9)
    assert np.isnan(found["fitted"][~late]).all()


def test_voxels_without_a_plot() -> None:
    curve = ode_curve(MOUSE, BLOOD, FDG)
    holed = np.where(np.arange(42) == 40, 0.0, curve)
    block = np.stack([curve, np.zeros(42), np.full(42, np.nan), holed], axis=1)
    found = settled_fit(FitContext(MOUSE, np.ones(42), BLOOD), FitSettings("logan", t_star=10)).fit(block)
    assert list(found["status"]) == [FitStatus.CONVERGED, FitStatus.MASKED, FitStatus.NOT_FINITE, FitStatus.DEGENERATE]
    assert np.isnan(found["VT"][1:]).all()


def test_too_few_frames_after_t_star_are_refused() -> None:
    with pytest.raises(FrameTimingError, match="only 2 frames") as fault:
        fit(COLUMNS.integral, "patlak", 32)
    assert "t_star ≤ 30" in fault.value.hint


def test_patlak_needs_plasma_in_every_frame() -> None:
    short = InputFunction([0, 60, 600, 601, 2730], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0], method="short")
    with pytest.raises(CurveError, match="not positive"):
        fit_regions(scan_of(one_region(COLUMNS.integral)), short, FitSettings("patlak", t_star=10))
