"""The batched fit against brute force, multistart SciPy and Monte Carlo; corners and reproducibility."""

import pickle

import numpy as np
import pytest

from dlif_core.errors import FrameTimingError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics import FitContext, FitSettings, FitStatus, VoxelFit, frame_weights
from tests.unit.kinetics.truth import (
    DERIVED,
    F18,
    MOUSE,
    NAMES,
    FilterColumns,
    assert_chunks_make_no_difference,
    brute_force,
    curve_by_filter,
    many_regions,
    mouse_input,
    noisy_mouse_curves,
    ode_curve,
    scan_of,
    schedule,
    scipy_fit,
    settled_fit,
)

BLOOD = mouse_input()
COLUMNS = FilterColumns(MOUSE, BLOOD)
UNIFORM = np.ones(len(MOUSE))
GAP = FrameTiming(
    [0, 20, 40, 60, 80, 100, 150, 200, 300, 500, 1500, 1900, 2300],
    [20, 20, 20, 20, 20, 50, 50, 100, 200, 300, 400, 400, 400],
)
SCHEDULES = (MOUSE, GAP, schedule((6, 20), (8, 60), (10, 200)))
TRUTH = {"K1": 0.24, "k2": 0.4, "k3": 0.06, "k4": 0.012, "vB": 0.05}


def voxel_fit(model: str, **options: float | None) -> VoxelFit:
    return settled_fit(FitContext(MOUSE, UNIFORM, BLOOD), FitSettings(model, **options))


def fit_one(model: str, curve: np.ndarray, **options: float | None) -> dict[str, float]:
    return {name: values[0] for name, values in voxel_fit(model, **options).fit(curve[:, None]).items()}


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    curves, _ = noisy_mouse_curves(COLUMNS, MOUSE, 2000, seed=11)
    return curves, frame_weights(scan_of(many_regions(curves.T)), FitSettings("1tcm"))


@pytest.mark.slow
@pytest.mark.parametrize("model", NAMES)
def test_residual_sum_is_the_optimum_under_bounds_in_5000_voxels(model: str) -> None:
    curves, _ = noisy_mouse_curves(COLUMNS, MOUSE, 5000, seed=11)
    weights = frame_weights(scan_of(many_regions(curves.T)), FitSettings("1tcm"))
    excess, sound = np.empty(5000), np.empty(5000, bool)
    for blood_volume, some in ((None, slice(2600)), (0.0, slice(2600, 3800)), (0.05, slice(3800, 5000))):
        settings = FitSettings(model, blood_volume=blood_volume)
        found = settled_fit(FitContext(MOUSE, weights, BLOOD), settings).fit(curves[:, some])
        excess[some] = found["rss"] / brute_force(COLUMNS, model, curves[:, some], weights, blood_volume) - 1
        sound[some] = found["status"] != FitStatus.NOT_CONVERGED
    assert (excess <= 1e-3).mean() >= (0.995 if model == "2tcm-reversible" else 1.0)
    assert excess.max() < 0.1
    assert sound.mean() >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("model", NAMES)
def test_residual_sum_equals_multistart_least_squares_of_the_rate_constants(model: str, noisy: tuple) -> None:
    curves, weights = noisy
    found = settled_fit(FitContext(MOUSE, weights, BLOOD), FitSettings(model)).fit(curves)
    interior = np.flatnonzero(found["status"] == FitStatus.CONVERGED)[:25]
    rng = np.random.default_rng(3)
    true = np.array([TRUTH[name] for name in NAMES[model]])
    for voxel in interior:
        starts = true * np.exp(0.8 * rng.standard_normal((5, len(true))))
        best, rss = scipy_fit(lambda _: COLUMNS, model, curves[:, voxel], weights, np.clip(starts, 1e-3, 0.9))
        assert found["rss"][voxel] <= rss * (1 + 1e-6)
        if rss <= found["rss"][voxel] * (1 + 1e-9):
            np.testing.assert_allclose([found[name][voxel] for name in NAMES[model]], list(best.values()), rtol=2e-3)


@pytest.mark.parametrize("model", NAMES)
def test_noise_free_curves_are_recovered(model: str) -> None:
    k = {name: TRUTH[name] for name in NAMES[model]}
    found = fit_one(model, curve_by_filter(COLUMNS, k))
    np.testing.assert_allclose([found[name] for name in k], list(k.values()), rtol=1e-5)
    assert found["status"] == FitStatus.CONVERGED


def test_derived_parameters_follow_their_definitions() -> None:
    found = fit_one("2tcm-reversible", curve_by_filter(COLUMNS, TRUTH))
    k1, k2, k3, k4, _ = TRUTH.values()
    assert found["VT"] == pytest.approx(k1 / k2 * (1 + k3 / k4), rel=1e-5)
    assert found["BPND"] == pytest.approx(k3 / k4, rel=1e-5)
    trapped = fit_one("2tcm-irreversible", curve_by_filter(COLUMNS, TRUTH | {"k4": 0.0}))
    assert trapped["Ki"] == pytest.approx(k1 * k3 / (k2 + k3), rel=1e-5)


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("fixed", [0.0, 0.05, 0.3])
def test_fixed_blood_volume_is_kept(model: str, fixed: float) -> None:
    k = {name: TRUTH[name] for name in NAMES[model]} | {"vB": fixed}
    found = fit_one(model, curve_by_filter(COLUMNS, k), blood_volume=fixed)
    np.testing.assert_allclose([found[name] for name in k], list(k.values()), rtol=1e-5)
    assert found["vB"] == fixed
    assert np.isnan(found["vB_se"])


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("blood_volume", [None, 0.05])
def test_results_do_not_depend_on_the_chunk_and_repeat_bit_by_bit(
    model: str, blood_volume: float | None, noisy: tuple
) -> None:
    curves, weights = noisy
    context, settings = FitContext(MOUSE, weights, BLOOD), FitSettings(model, blood_volume=blood_volume)
    assert_chunks_make_no_difference(lambda chunk: settled_fit(context, settings, chunk=chunk), curves)


def test_a_fit_travels_small_and_gives_the_same(noisy: tuple) -> None:
    curves, weights = noisy
    fit = settled_fit(FitContext(MOUSE, weights, BLOOD), FitSettings("2tcm-irreversible"))
    here = fit.fit(curves[:, :50])
    luggage = pickle.dumps(fit)
    assert len(luggage) < 20_000
    for name, values in pickle.loads(luggage).fit(curves[:, :50]).items():
        np.testing.assert_array_equal(values, here[name])


@pytest.mark.parametrize("model", NAMES)
def test_variables_match_what_comes_back(model: str) -> None:
    fit = voxel_fit(model)
    block = fit.fit(np.ones((len(MOUSE), 3), np.float32))
    assert list(block) == list(fit.variables)
    assert list(block)[: len(NAMES[model])] == list(NAMES[model])
    assert block["status"].dtype == np.uint8
    assert all(attributes["units"] and attributes["long_name"] for attributes in fit.variables.values())


@pytest.mark.parametrize("model", NAMES)
def test_unusable_voxels_get_a_status_and_no_numbers(model: str) -> None:
    good = curve_by_filter(COLUMNS, {name: TRUTH[name] for name in NAMES[model]})
    block = np.stack([good, np.zeros_like(good), good, good], axis=1)
    block[7, 2], block[3, 3] = np.nan, np.inf
    found = voxel_fit(model).fit(block)
    expected = [FitStatus.CONVERGED, FitStatus.MASKED, FitStatus.NOT_FINITE, FitStatus.NOT_FINITE]
    assert list(found["status"]) == expected
    assert np.isnan(found["K1"][1:]).all()
    assert found["K1"][0] == pytest.approx(TRUTH["K1"], rel=1e-5)


@pytest.mark.parametrize("model", NAMES)
def test_any_curve_gives_a_status_not_an_exception(model: str) -> None:
    rng = np.random.default_rng(0)
    strange = [
        -np.ones(42),
        rng.standard_normal(42),
        np.eye(42)[0],
        np.eye(42)[-1],
        np.full(42, 1e-30),
        np.full(42, 1e30),
    ]
    found = voxel_fit(model).fit(np.array(strange).T)
    assert set(found["status"]) <= {FitStatus.CONVERGED, FitStatus.AT_BOUND, FitStatus.DEGENERATE}
    for name in NAMES[model]:
        assert not (found[name] < 0).any()


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("vascular", [0.1, 0.5, 1.0])
def test_blood_alone_leaves_the_rate_constants_undetermined(model: str, vascular: float) -> None:
    found = fit_one(model, vascular * COLUMNS.whole_blood)
    assert found["status"] == FitStatus.DEGENERATE
    assert found["vB"] == pytest.approx(vascular, rel=1e-9)
    assert all(np.isnan(found[name]) for name in NAMES[model] if name.startswith("k"))
    assert found["K1"] == 0 or vascular == 1


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("vascular", [0.0, 0.5])
def test_blood_volume_at_both_ends(model: str, vascular: float) -> None:
    k = {name: TRUTH[name] for name in NAMES[model]} | {"vB": vascular}
    found = fit_one(model, curve_by_filter(COLUMNS, k))
    np.testing.assert_allclose([found[name] for name in k], list(k.values()), rtol=1e-5)
    assert found["status"] == (FitStatus.AT_BOUND if vascular == 0 else FitStatus.CONVERGED)
    assert np.isnan(found["vB_se"]) == (vascular == 0)


def test_more_blood_than_the_vessel_holds_stops_at_vb_one() -> None:
    found = fit_one("2tcm-irreversible", 1.3 * COLUMNS.whole_blood)
    assert found["vB"] == 1
    assert found["status"] == FitStatus.DEGENERATE
    assert np.isnan(found["K1"])


@pytest.mark.parametrize("k2", [0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_degenerate_corner_k3_zero(k2: float) -> None:
    """One exponential is left, whatever k4; with k2 = k4 closed forms by eigenvalues divide zero by zero."""
    one_tissue = {"K1": 0.2, "k2": k2, "vB": 0.05}
    found = fit_one("2tcm-reversible", curve_by_filter(COLUMNS, one_tissue))
    assert found["status"] == FitStatus.DEGENERATE
    np.testing.assert_allclose([found[name] for name in one_tissue], list(one_tissue.values()), rtol=1e-5)
    assert found["k3"] == 0
    assert np.isnan(found["k4"])
    assert found["VT"] == pytest.approx(0.2 / k2, rel=1e-5)
    trapped = fit_one("2tcm-irreversible", curve_by_filter(COLUMNS, one_tissue))
    assert trapped["status"] == FitStatus.AT_BOUND
    assert trapped["k3"] == trapped["Ki"] == 0
    assert np.isnan(trapped["k3_se"])


@pytest.mark.parametrize("timing", SCHEDULES, ids=["mouse", "gap", "long frames"])
@pytest.mark.parametrize("vascular", [0.0, 0.05, 0.5])
def test_corners_of_the_ode_truth_give_it_or_a_status(timing: FrameTiming, vascular: float) -> None:
    """K1 = 0, k3 = 0 with k2 = k4, and k4 = 0: what is determined is right, what is not is NaN and has a status."""
    fit = settled_fit(FitContext(timing, np.ones(len(timing)), BLOOD), FitSettings("2tcm-reversible"))
    corners = [{"K1": 0.0}, {"K1": 0.2, "k2": 0.1, "k3": 0.0, "k4": 0.1}, {"K1": 0.2, "k2": 0.3, "k3": 0.05, "k4": 0.0}]
    curves = [ode_curve(timing, BLOOD, {"vB": vascular, "k2": 0.3} | corner) for corner in corners]
    some = slice(0 if vascular else 1, None)  # a curve of zeros has nothing to fit
    found = {
        name: np.append([np.nan] * (not vascular), values) for name, values in fit.fit(np.array(curves)[some].T).items()
    }
    np.testing.assert_allclose(found["vB"][some], vascular, rtol=1e-3, atol=1e-6)
    if vascular:
        assert found["K1"][0] == 0
        assert np.isnan([found[name][0] for name in ("k2", "k3", "k4", "VT", "BPND")]).all()
    np.testing.assert_allclose([found[name][1] for name in ("K1", "k2", "k3", "VT")], [0.2, 0.1, 0.0, 2.0], rtol=1e-3)
    assert np.isnan([found[name][1] for name in ("k4", "k4_se", "k3_se")]).all()
    np.testing.assert_allclose([found[name][2] for name in ("K1", "k2", "k3")], [0.2, 0.3, 0.05], rtol=0.02)
    assert np.isnan([found[name][2] for name in ("VT", "BPND")]).all()
    assert (found["status"][some] != FitStatus.CONVERGED).all()


@pytest.mark.parametrize("model", NAMES)
def test_rates_are_kept_within_the_range_that_is_set(model: str, noisy: tuple) -> None:
    curves, weights = noisy
    settings = FitSettings(model, rates=(0.05, 0.5))
    found = settled_fit(FitContext(MOUSE, weights, BLOOD), settings).fit(curves[:, :500])
    k2, k3, k4 = (np.nan_to_num(found.get(name, np.zeros(500))) for name in ("k2", "k3", "k4"))
    total, product = k2 + k3 + k4, k2 * k4
    fast = 0.5 * (total + np.sqrt(np.maximum(total**2 - 4 * product, 0)))
    assert (fast <= 0.5 * (1 + 1e-9)).all()
    bound = np.isclose(fast, 0.5, rtol=1e-9, atol=0)
    assert bound.mean() > 0.1
    assert (found["status"][bound] != FitStatus.CONVERGED).all()


def test_frames_without_weight_do_not_count() -> None:
    rng = np.random.default_rng(3)
    curve = curve_by_filter(COLUMNS, TRUTH) + 300 * rng.standard_normal(42)
    kept = np.ones(42, bool)
    kept[[5, 17, 40]] = False
    whole = settled_fit(FitContext(MOUSE, kept.astype(float), BLOOD), FitSettings("2tcm-irreversible"))
    part = FrameTiming(MOUSE.start[kept], MOUSE.duration[kept])
    less = settled_fit(FitContext(part, np.ones(39), BLOOD), FitSettings("2tcm-irreversible"))
    found, expected = whole.fit(curve[:, None]), less.fit(curve[kept, None])
    for name in ("K1", "Ki", "vB", "K1_se", "Ki_se", "vB_se"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)


def test_tracer_that_never_leaves_has_no_k3() -> None:
    found = fit_one("2tcm-irreversible", 0.3 * COLUMNS.integral)
    assert found["status"] == FitStatus.DEGENERATE
    assert found["K1"] == found["Ki"] == pytest.approx(0.3, rel=1e-9)
    assert found["k2"] == 0
    assert np.isnan(found["k3"])


def test_irreversible_tissue_puts_the_reversible_model_on_its_bound() -> None:
    found = fit_one("2tcm-reversible", curve_by_filter(COLUMNS, TRUTH | {"k4": 0.0}))
    assert found["status"] == FitStatus.AT_BOUND
    assert found["k3"] == pytest.approx(0.06, rel=0.05)
    assert np.isnan([found[name] for name in ("VT", "VT_se", "BPND", "BPND_se")]).all()  # there is no equilibrium


@pytest.mark.slow
@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("blood_volume", [None, 0.05])
def test_standard_errors_equal_the_spread_of_repeated_noise(model: str, blood_volume: float | None) -> None:
    k = {name: TRUTH[name] for name in NAMES[model]} | ({"k4": 0.05} if "k4" in NAMES[model] else {})
    curve = curve_by_filter(COLUMNS, k)
    decayed = MOUSE.duration * np.exp2(-MOUSE.mid / F18)
    sigma = 0.04 * np.sqrt(np.maximum(curve, 1e3) / decayed) * 1e2
    rng = np.random.default_rng(5)
    curves = curve[:, None] + sigma[:, None] * rng.standard_normal((len(MOUSE), 3000))
    weights = sigma**-2 / np.mean(sigma**-2)
    found = settled_fit(FitContext(MOUSE, weights, BLOOD), FitSettings(model, blood_volume=blood_volume)).fit(curves)
    assert (found["status"] == FitStatus.CONVERGED).mean() > 0.99
    for name in (*NAMES[model], *DERIVED[model]):
        if name == "vB" and blood_volume is not None:
            continue
        spread = np.subtract(*np.nanpercentile(found[name], [84.13, 15.87])) / 2
        assert np.nanmedian(found[f"{name}_se"]) == pytest.approx(spread, rel=0.1), name


def test_too_few_frames_are_refused() -> None:
    short = schedule((4, 60))
    with pytest.raises(FrameTimingError, match="4 frames"):
        settled_fit(FitContext(short, np.ones(4), BLOOD), FitSettings("2tcm-reversible")).estimator  # noqa: B018
    with pytest.raises(InputError, match="weights"):
        FitContext(short, np.ones(5), BLOOD)
