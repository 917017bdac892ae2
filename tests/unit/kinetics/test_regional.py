"""Regional fits against an ODE solver, an independent SciPy fit and measured curves."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import least_squares

from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import MODELS, FitSettings, FitStatus, VoxelFit, fit_regions, frame_weights, prepare
from dlif_core.scan import RegionCurves
from tests.unit.kinetics.truth import (
    DERIVED,
    MOUSE,
    NAMES,
    FilterColumns,
    curve_by_filter,
    early,
    many_regions,
    mouse_input,
    noisy_mouse_curves,
    ode_curve,
    one_region,
    scan_of,
    schedule,
    scipy_fit,
    settings_for,
)

BLOOD = mouse_input()
C11 = 1223.4
TRUTH = {"K1": 0.24, "k2": 0.4, "k3": 0.06, "k4": 0.012, "vB": 0.05}
FAST = {"K1": 0.7, "k2": 0.9, "k3": 0.3, "k4": 0.05, "vB": 0.2}
GAP = FrameTiming(
    [0, 20, 40, 60, 80, 100, 150, 200, 300, 500, 1500, 1900, 2300],
    [20, 20, 20, 20, 20, 50, 50, 100, 200, 300, 400, 400, 400],
)
SCHEDULES = {
    "mouse": MOUSE,
    "gap of 700 s": GAP,
    "long frames": schedule((6, 20), (8, 60), (10, 200)),
}


def truth_of(model: str, k: dict[str, float]) -> dict[str, float]:
    return {name: k[name] for name in NAMES[model]}


@pytest.mark.parametrize("delay", [0.0, *(pytest.param(d, marks=pytest.mark.slow) for d in (9.5, -14.0))])
@pytest.mark.parametrize("schedule_name", SCHEDULES)
@pytest.mark.parametrize("model", NAMES)
def test_ode_truth_is_recovered(model: str, schedule_name: str, delay: float) -> None:
    timing = SCHEDULES[schedule_name]
    both = [truth_of(model, TRUTH), truth_of(model, FAST)]
    curves = many_regions(np.array([ode_curve(timing, BLOOD, k) for k in both]))
    settings = FitSettings(model, delay="region" if delay else "none")
    found = fit_regions(scan_of(curves, timing), early(BLOOD, delay), settings)
    for name in NAMES[model]:
        np.testing.assert_allclose(found[name], [k[name] for k in both], rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(found["delay"], delay, atol=0.01)
    np.testing.assert_allclose(found["fitted"], found["measured"], rtol=1e-4, atol=1e-4 * curves.activity.max())


def test_image_delay_is_one_for_all_regions() -> None:
    curves = np.array([ode_curve(MOUSE, BLOOD, TRUTH | {"vB": vb}) for vb in (0.02, 0.05, 0.1)])
    measured = early(BLOOD, 11)
    settings = FitSettings("2tcm-reversible", delay="image")
    found = fit_regions(scan_of(many_regions(curves)), measured, settings)
    np.testing.assert_allclose(found["delay"], 11, atol=0.01)
    np.testing.assert_allclose(found["K1"], TRUTH["K1"], rtol=1e-3)
    assert np.isnan(found["delay_se"]).all()
    assert prepare(scan_of(many_regions(curves)), measured, settings).delay == pytest.approx(11, abs=0.01)
    for plot in ("patlak", "logan"):
        settings = FitSettings(plot, delay="image", t_star=15)
        assert prepare(scan_of(many_regions(curves)), measured, settings).delay == pytest.approx(11, abs=1)


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("blood_volume", [None, 0.05])
def test_regional_and_voxelwise_fit_are_the_same(model: str, blood_volume: float | None) -> None:
    curves, _ = noisy_mouse_curves(FilterColumns(MOUSE, BLOOD), MOUSE, 60, seed=2, alpha=1.0)
    regions, settings = many_regions(curves.T), FitSettings(model, blood_volume=blood_volume)
    regional = fit_regions(scan_of(regions), BLOOD, settings)
    prepared = prepare(scan_of(regions), BLOOD, settings)
    voxelwise = VoxelFit(prepared).fit(curves)
    np.testing.assert_array_equal(regional["status"], voxelwise["status"])
    np.testing.assert_allclose(regional["rss"], voxelwise["rss"], rtol=1e-7)
    for name in (*NAMES[model], *DERIVED[model]):
        error = np.nan_to_num(voxelwise[f"{name}_se"])
        assert (np.abs(regional[name] - voxelwise[name]) <= 1e-4 * error + 1e-5 * np.abs(voxelwise[name])).all() or (
            np.isnan(voxelwise[name]).any()
        )
        np.testing.assert_allclose(regional[f"{name}_se"], voxelwise[f"{name}_se"], rtol=2e-3)


@pytest.mark.parametrize("model", NAMES)
def test_agrees_with_an_independent_scipy_fit(model: str) -> None:
    columns = FilterColumns(MOUSE, BLOOD)
    rng = np.random.default_rng(8)
    true = curve_by_filter(columns, truth_of(model, TRUTH))
    curve = true + 0.02 * true.max() * rng.standard_normal(len(true)) / np.sqrt(MOUSE.duration / 20)
    settings = FitSettings(model, weights="duration")
    found = fit_regions(scan_of(one_region(curve)), BLOOD, settings).isel(region=0)
    start = np.array([TRUTH[name] for name in NAMES[model]])
    best, rss = scipy_fit(
        lambda _: columns, model, curve, MOUSE.duration / MOUSE.duration.mean(), start * [[1.0], [0.5]]
    )
    assert float(found["rss"]) == pytest.approx(rss, rel=1e-6)
    np.testing.assert_allclose([found[name] for name in NAMES[model]], list(best.values()), rtol=1e-3)


def test_standard_errors_are_those_of_the_rate_constants() -> None:
    """Covariance (JᵀWJ)⁻¹ s² with the Jacobian by K1, k2, k3, vB and delay taken numerically."""
    rng = np.random.default_rng(1)
    true = ode_curve(MOUSE, BLOOD, truth_of("2tcm-irreversible", TRUTH))
    curve = true + 0.01 * true.max() * rng.standard_normal(len(true))
    settings = FitSettings("2tcm-irreversible", delay="region", weights="uniform")
    found = fit_regions(scan_of(one_region(curve)), early(BLOOD, 6), settings).isel(region=0)
    names = NAMES["2tcm-irreversible"]
    x = np.array([float(found[name]) for name in (*names, "delay")])

    def model(trial: np.ndarray) -> np.ndarray:
        fine = np.arange(0, 2731.0)
        shifted = np.interp(fine - trial[-1] + 6, BLOOD.time, BLOOD.plasma, left=0)
        vessel = np.interp(fine - trial[-1] + 6, BLOOD.time, BLOOD.whole_blood, left=0)
        moved = InputFunction(time=fine, whole_blood=vessel, plasma=shifted, method="moved")
        return curve_by_filter(FilterColumns(MOUSE, moved), dict(zip(names, trial[:-1], strict=True)))

    steps = 1e-3 * np.array([*x[:-1], 100.0])
    jacobian = np.array([(model(x + step) - model(x - step)) / (2 * step.sum()) for step in np.diag(steps)]).T
    covariance = np.linalg.inv(jacobian.T @ jacobian) * float(found["rss"]) / (len(curve) - 5)
    expected = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose([float(found[f"{name}_se"]) for name in (*names, "delay")], expected, rtol=0.03)


def test_information_criteria_count_only_what_is_fitted() -> None:
    rng = np.random.default_rng(4)
    true = ode_curve(MOUSE, BLOOD, truth_of("2tcm-irreversible", TRUTH))
    region = one_region(true * (1 + 0.05 * rng.standard_normal(len(true))))
    options = [({}, 4), ({"blood_volume": 0.05}, 3), ({"delay": "image"}, 4), ({"delay": "region"}, 5)]
    for changes, numbers in options:
        found = fit_regions(scan_of(region), BLOOD, FitSettings("2tcm-irreversible", **changes)).isel(region=0)
        misfit = 42 * np.log(float(found["rss"]) / 42)
        assert float(found["aic"]) == pytest.approx(misfit + 2 * numbers)
        assert float(found["bic"]) == pytest.approx(misfit + numbers * np.log(42))
        assert float(found["aicc"] - found["aic"]) == pytest.approx(2 * numbers * (numbers + 1) / (42 - numbers - 1))


def test_criteria_prefer_the_model_that_made_the_curve() -> None:
    rng = np.random.default_rng(4)
    for maker, k in (("1tcm", truth_of("1tcm", TRUTH)), ("2tcm-irreversible", truth_of("2tcm-irreversible", TRUTH))):
        true = ode_curve(MOUSE, BLOOD, k)
        region = one_region(true + 0.01 * true.max() * rng.standard_normal(len(true)))
        aicc = {
            m: float(fit_regions(scan_of(region), BLOOD, FitSettings(m, weights="uniform"))["aicc"][0]) for m in NAMES
        }
        assert min(aicc, key=lambda name: aicc[name]) == maker


@pytest.mark.parametrize("model", MODELS)
def test_the_dataset_says_what_it_holds(model: str) -> None:
    curve = ode_curve(MOUSE, BLOOD, TRUTH)
    regions = many_regions(np.array([curve, 0 * curve]))
    settings = settings_for(model)
    found = fit_regions(scan_of(regions, suv_factor=4e-6), BLOOD, settings)
    assert list(found["status"].values)[1] == FitStatus.MASKED
    assert found["status"].attrs["flag_meanings"].split()[5] == "masked"
    for parameter in MODELS[model].parameters:
        assert found[parameter.name].attrs == {"units": parameter.units, "long_name": parameter.long_name}
        assert f"{parameter.name}_se" in found
    assert all({"units", "long_name"} <= set(found[name].attrs) for name in found.variables)
    assert json.loads(found.attrs["settings"])["model"] == found.attrs["model"] == model
    assert found.attrs["input_function"] == ("simulated" if MODELS[model].needs_input else "")
    assert ("t_star" in found.attrs) == (settings.t_star is not None)
    for name in ("aic", "aicc", "bic", "rss", "delay", "measured", "fitted", "frame_start", "frame_duration"):
        assert name in found.variables
    found.to_dict()


def test_vanishing_tissue_reports_a_degenerate_region() -> None:
    vessel = 0.4 * FilterColumns(MOUSE, BLOOD).whole_blood
    for model in NAMES:
        found = fit_regions(scan_of(one_region(vessel)), BLOOD, FitSettings(model, delay="region")).isel(region=0)
        assert int(found["status"]) == FitStatus.DEGENERATE
        assert float(found["vB"]) == pytest.approx(0.4, rel=1e-4)
        assert float(found["K1"]) == 0
        assert np.isnan(found["k2"])


def measured_scan(folder: Path, subject: str, session: str) -> tuple[RegionCurves, FrameTiming, InputFunction]:
    """Region curves and arterial samples as they stand in the files; blood times are whole seconds."""
    stem = f"{subject}_{session}"
    tables = folder / "ds004869_mc1/derivatives/petprep_extract_tacs" / subject / session
    curves = pd.read_csv(tables / f"{stem}_desc-gtmseg_tacs.tsv", sep="\t")
    names = tuple(curves.columns[2:])
    timing = FrameTiming(curves["frame_start"], curves["frame_end"] - curves["frame_start"])
    regions = RegionCurves(names, curves[list(names)].to_numpy().T, np.full(len(names), np.nan))
    recording = folder / "ds004869_mc1" / subject / session / "pet" / f"{stem}_recording-manual_blood.tsv"
    blood = pd.read_csv(recording, sep="\t").interpolate().bfill()
    plasma = 1e3 * blood["plasma_radioactivity"] * blood["metabolite_parent_fraction"]
    whole_blood = 1e3 * blood["whole_blood_radioactivity"]
    onset = blood["time"].iloc[0] - 1.0
    time = np.r_[onset, blood["time"]]
    return regions, timing, InputFunction(time, np.r_[0.0, whole_blood], np.r_[0.0, plasma], method="measured")


@pytest.mark.realdata
@pytest.mark.slow
def test_measured_curves_agree_with_an_independent_scipy_fit(real_data: Path) -> None:
    """Fixed delay of the image; SciPy fits K1 … vB of 12 regions by multistart with its own convolution."""
    regions, timing, blood = measured_scan(real_data, "sub-01", "ses-baseline")
    some = RegionCurves(regions.names[::9], regions.activity[::9], regions.volume[::9])
    settings = FitSettings("2tcm-reversible")
    found = fit_regions(scan_of(some, timing, C11), blood, settings)
    weights = frame_weights(scan_of(some, timing, C11), settings)
    columns = FilterColumns(timing, blood)
    rng = np.random.default_rng(0)
    for index, curve in enumerate(some.activity):
        starts = np.array([0.1, 0.2, 0.1, 0.05, 0.05]) * np.exp(0.7 * rng.standard_normal((6, 5)))
        best, rss = scipy_fit(lambda _: columns, "2tcm-reversible", curve, weights, np.clip(starts, 1e-3, 0.9))
        here = found.isel(region=index)
        inside = int(here["status"]) == FitStatus.CONVERGED
        # SciPy bounds k4 itself, so the slowest exponential may be slower than the model's lowest rate
        assert float(here["rss"]) <= rss * (1 + (1e-6 if inside else 1e-3)), some.names[index]
        if inside and rss <= float(here["rss"]) * (1 + 1e-7):
            volume = best["K1"] / best["k2"] * (1 + best["k3"] / best["k4"])
            assert float(here["K1"]) == pytest.approx(best["K1"], rel=1e-3)
            assert float(here["VT"]) == pytest.approx(volume, rel=1e-2)


@pytest.mark.realdata
@pytest.mark.slow
def test_measured_scan_with_delay_by_region(real_data: Path) -> None:
    """Delays are found for every region of a whole scan, and no delay of a dense SciPy scan fits better."""
    regions, timing, blood = measured_scan(real_data, "sub-01", "ses-baseline")
    settings = FitSettings("1tcm", delay="region")
    found = fit_regions(scan_of(regions, timing, C11), blood, settings)
    assert (found["status"] <= FitStatus.DEGENERATE).all()
    root = np.sqrt(frame_weights(scan_of(regions, timing, C11), settings))
    for index in range(0, len(regions.names), 40):
        curve = regions.activity[index]
        for delay in range(-29, 30, 2):
            columns = FilterColumns(timing, blood.shifted(delay))

            def residual(x: np.ndarray, columns=columns, curve=curve) -> np.ndarray:
                return (curve_by_filter(columns, {"K1": x[0], "k2": x[1], "vB": x[2]}) - curve) * root

            rss = 2 * least_squares(residual, [0.2, 0.1, 0.05], bounds=([0, 1e-4, 0], [10, 10, 1]), x_scale="jac").cost
            assert float(found["rss"][index]) <= rss * (1 + 1e-5)


def test_rates_stay_in_the_range_that_is_given() -> None:
    """The regional fit keeps the same range as the voxels', and VT of a rate on the range's end is no estimate."""
    curve = ode_curve(MOUSE, BLOOD, TRUTH)
    settings = FitSettings("2tcm-reversible", rates=(0.05, 1.0))
    found = fit_regions(scan_of(one_region(curve)), BLOOD, settings).isel(region=0)
    prepared = prepare(scan_of(one_region(curve)), BLOOD, settings)
    voxel = VoxelFit(prepared).fit(curve[:, None])
    assert int(found["status"]) == voxel["status"][0] == FitStatus.AT_BOUND
    assert float(found["rss"]) == pytest.approx(voxel["rss"][0], rel=1e-6)
    assert np.isnan(found["VT"])
    assert np.isnan(voxel["VT"][0])
