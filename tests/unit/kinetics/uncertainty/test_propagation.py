"""Common factors of the input function and loadings, against the samples themselves and fits to moved inputs."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dlif_core.errors import CurveError, InputError
from dlif_core.kinetics import MODELS, FitContext, FitSettings, fit_regions, frame_weights
from dlif_core.kinetics.uncertainty.input_factors import input_factors, plasma_ratio
from dlif_core.kinetics.uncertainty.propagation import leading_dims, propagation
from dlif_core.kinetics.uncertainty.region_means import region_means
from tests.unit.kinetics.inputs import FENG, TIME, uncertain_input
from tests.unit.kinetics.truth import (
    MOUSE,
    FilterColumns,
    curve_by_filter,
    many_regions,
    mouse_input,
    noisy_mouse_curves,
    scan_of,
    settings_for,
    settled_fit,
)

WITH_INPUT = [name for name, model in MODELS.items() if model.needs_input and model.voxelwise]
SMOOTH = [name for name in WITH_INPUT if name != "spectral"]


@cache
def context(spread: float = 0.1) -> FitContext:
    curve = uncertain_input(FENG, spread, 40, np.random.default_rng(3))
    activity = tissue(0.3)[0]
    weights = frame_weights(scan_of(many_regions(activity.T)), FitSettings("1tcm"))
    return FitContext(MOUSE, weights, curve)


@cache
def tissue(alpha: float, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    return noisy_mouse_curves(FilterColumns(MOUSE, mouse_input(TIME)), MOUSE, count, 5, alpha)


def values(model: str, curve, activity: np.ndarray) -> np.ndarray:
    settings = settings_for(model)
    return settings.estimator(replace(context(), input_function=curve)).fit(activity).values


class TestFactors:
    def test_few_factors_carry_nearly_all_variance(self):
        factors = input_factors(context())
        assert 2 <= len(factors) <= 8
        assert 0.995 <= factors.share <= 1

    def test_they_give_the_covariance_of_the_samples(self):
        factors, curve = input_factors(context()), context().input_function
        for averages in (MOUSE.average(TIME, curve.samples), np.trapezoid(curve.samples, TIME, axis=1)[:, None]):
            measured = averages.std(0, ddof=1)
            by_factor = MOUSE.average(TIME, factors.whole_blood)
            if averages.shape[1] == 1:
                by_factor = np.trapezoid(factors.whole_blood, TIME, axis=1)[:, None]
            late = measured > 0.02 * measured.max()
            assert np.sqrt((by_factor**2).sum(0))[late] == pytest.approx(measured[late], rel=0.1)

    def test_two_shapes_give_two_factors_that_span_them(self):
        rng, base = np.random.default_rng(0), mouse_input(TIME)
        shapes = np.stack([base.whole_blood, base.whole_blood * np.linspace(-1, 1, len(TIME))])
        mixture = rng.standard_normal((40, 2)) * 0.1
        curve = replace(base, samples=base.whole_blood + mixture @ shapes)
        factors = input_factors(replace(context(), input_function=curve))
        assert len(factors) == 2
        assert factors.share == pytest.approx(1)
        expected = shapes.T @ np.cov(mixture.T) @ shapes
        assert factors.whole_blood.T @ factors.whole_blood == pytest.approx(expected, rel=1e-9, abs=1e-3)

    def test_at_most_eight_that_are_enlarged_to_carry_all_of_it(self):
        base, rng = mouse_input(TIME), np.random.default_rng(0)
        noise = 0.2 * base.whole_blood * rng.standard_normal((100, len(TIME)))
        curve = replace(base, samples=base.whole_blood + noise)
        factors = input_factors(replace(context(), input_function=curve))
        assert len(factors) == 8
        assert factors.share < 0.99

    def test_plasma_follows_the_curves_own_ratio(self):
        factors, curve = input_factors(context()), context().input_function
        sound = curve.whole_blood > 0.01 * curve.whole_blood.max()
        expected = factors.whole_blood * (curve.plasma / np.where(sound, curve.whole_blood, np.inf))
        assert factors.plasma[:, sound] == pytest.approx(expected[:, sound])

    def test_ratio_without_blood_comes_from_its_neighbours(self):
        whole_blood = np.array([0.0, 1e-9, 10.0, 5.0, 0.0, 2.0])
        plasma = np.array([3.0, 3.0, 10.0, 10.0, 1.0, 2.0])
        curve = replace(mouse_input(), time=np.arange(6.0), whole_blood=whole_blood, plasma=plasma)
        assert plasma_ratio(curve) == pytest.approx([1, 1, 1, 2, 1.5, 1])
        assert plasma_ratio(replace(curve, whole_blood=0 * whole_blood)) == pytest.approx(np.ones(6))

    def test_samples_that_agree_add_nothing(self):
        base = mouse_input(TIME)
        same = replace(base, samples=np.tile(base.whole_blood, (5, 1)))
        found = settled_fit(replace(context(), input_function=same), settings_for("2tcm-irreversible")).fit(
            tissue(0.3)[0]
        )
        assert np.nanmax(found["Ki_input_se"]) < 1e-12

    def test_one_sample_is_refused(self):
        base = mouse_input(TIME)
        one = replace(base, samples=base.whole_blood[None])
        with pytest.raises(CurveError, match="one sample"):
            input_factors(replace(context(), input_function=one))


class TestLoadings:
    @pytest.mark.parametrize("model", SMOOTH)
    def test_they_are_what_fits_to_moved_inputs_differ_by(self, model):
        """Central differences by hand, at a tenth of a factor."""
        activity, settings, factors = tissue(0.3)[0], settings_for(model), input_factors(context())
        _, found = propagation(context(), settings, factors).fit(activity)
        curve, step = factors.curve, 0.1
        moved = []
        for whole_blood, plasma in zip(factors.whole_blood, factors.plasma, strict=True):
            ends = [
                replace(curve, whole_blood=curve.whole_blood + by * whole_blood, plasma=curve.plasma + by * plasma)
                for by in (step, -step)
            ]
            above, below = (values(model, end, activity) for end in ends)
            moved.append((above - below) / (2 * step))
        expected = np.array(moved)
        sound = np.isfinite(found).all((0, 1)) & np.isfinite(expected).all((0, 1))
        assert sound.mean() > 0.8
        size = np.linalg.norm(expected[..., sound], axis=0)
        error = np.linalg.norm((found - expected)[..., sound], axis=0) / size
        assert np.quantile(error, 0.5) < 0.01
        assert np.quantile(error, 0.9) < 0.05

    @pytest.mark.parametrize("model", WITH_INPUT)
    def test_their_squares_add_up_to_the_variance_over_the_samples(self, model):
        curve, activity = context(0.04).input_function, tissue(0.3)[0]
        ratio = plasma_ratio(curve)
        every = [
            values(model, replace(curve, whole_blood=sample, plasma=sample * ratio), activity)
            for sample in curve.samples
        ]
        spread = np.std(every, axis=0, ddof=1)
        fit = settled_fit(context(0.04), settings_for(model)).fit(activity)
        for parameter, expected in zip(MODELS[model].parameters, spread, strict=True):
            found = fit[f"{parameter.name}_input_se"]
            determined = (expected > 0) & (expected < 0.3 * np.abs(fit[parameter.name]))
            sound = np.isfinite(expected) & np.isfinite(found) & determined
            if parameter.name != "components" and sound.sum() > 20:  # a count moves in jumps
                assert np.median(found[sound] / expected[sound]) == pytest.approx(1, abs=0.15), parameter.name

    def test_a_parameter_on_its_bound_stays_there(self):
        columns = FilterColumns(MOUSE, mouse_input(TIME))
        curve = (
            curve_by_filter(columns, {"K1": 0.4, "k2": 0.2, "vB": 0.05})[:, None] - 0.003 * columns.integral[:, None]
        )
        found = settled_fit(context(), settings_for("2tcm-irreversible")).fit(curve)
        assert found["k3"][0] == found["Ki"][0] == found["Ki_input_se"][0] == 0
        assert found["K1_input_se"][0] > 0

    def test_a_common_scale_moves_k1_and_leaves_rates_and_blood_volume_alone(self):
        """Input × 1.1 is K1 / 1.1, and vB the same share of a curve 1.1 times as high."""
        base = mouse_input(TIME)
        scales = 0.1 * np.random.default_rng(0).standard_normal(50)
        curve = replace(base, samples=np.outer(1 + scales, base.whole_blood))
        fit = settled_fit(replace(context(), input_function=curve), settings_for("2tcm-irreversible", blood_volume=0.0))
        found, spread = fit.fit(tissue(0.3)[0]), np.std(scales, ddof=1)
        assert fit.factors == 1
        for name in ("K1", "Ki"):
            assert found[f"{name}_input_factor"][0] == pytest.approx(-spread * found[name], rel=1e-6, abs=1e-9)
        sound = found["status"] == 0
        assert np.abs(found["k2_input_se"] / found["k2"])[sound].max() < 1e-5


class TestRegions:
    @pytest.mark.parametrize(("model", "delay"), [("2tcm-irreversible", "region"), ("1tcm-water", "none")])
    def test_numbers_of_the_input_function_that_were_fitted_move_too(self, model, delay):
        """Against fits of the region to moved inputs; a late input function moves the delay, not K1."""
        k = {"K1": 0.4, "k2": 0.5, "k3": 0.05, "vB": 0.05}
        k = k if model != "1tcm-water" else {"K1": 0.4, "k2": 0.4, "vB": 0.05}
        base = mouse_input(TIME)
        regions = many_regions(curve_by_filter(FilterColumns(MOUSE, mouse_input(TIME + 2.0)), k)[None])
        late = np.interp(TIME - 1.0, TIME, base.whole_blood, left=0.0) - base.whole_blood
        shape = 0.05 * base.whole_blood * np.exp(-TIME / 600)
        mixture = np.random.default_rng(0).standard_normal((30, 2))
        curve = replace(base, samples=base.whole_blood + mixture @ np.stack([late, shape]))
        settings = settings_for(model, delay=delay)
        found = fit_regions(scan_of(regions), curve, settings)
        factors = input_factors(FitContext(MOUSE, frame_weights(scan_of(regions), settings), curve))
        for index in range(len(factors)):
            above, below = (
                fit_regions(scan_of(regions), factors.moved(index, by), settings)["K1"][0] for by in (0.1, -0.1)
            )
            expected = float(above - below) / 0.2
            size = float(found["K1_input_se"][0])
            assert float(found["K1_input_factor"][index, 0]) == pytest.approx(expected, abs=0.1 * size)

    def test_regions_that_are_fitted_together(self):
        """Input × 1.1 is K1 / 1.1 and nothing else, with one K1/k2 for all regions too."""
        base = mouse_input(TIME)
        scales = 0.1 * np.random.default_rng(0).standard_normal(50)
        curve = replace(base, samples=np.outer(1 + scales, base.whole_blood))
        columns = FilterColumns(MOUSE, mouse_input(TIME))
        k = {"k3": 0.1, "k4": 0.1, "vB": 0.0}
        activity = [
            curve_by_filter(columns, k | {"K1": 0.4, "k2": 0.3}),
            curve_by_filter(columns, k | {"K1": 0.2, "k2": 0.15}),
        ]
        settings = settings_for("2tcm-common-k1k2", blood_volume=0.0)
        found = fit_regions(scan_of(many_regions(np.array(activity))), curve, settings)
        expected = -np.std(scales, ddof=1) * found["K1"].to_numpy()
        assert found["K1_input_factor"].to_numpy()[0] == pytest.approx(expected, rel=0.01)
        assert (found["BPND_input_se"] / found["BPND"]).max() < 1e-3

    def test_dataset_tells_factors_from_regions(self):
        activity = tissue(0.1)[0][:, :3].T.copy()
        activity[1] = 0
        found = fit_regions(
            scan_of(many_regions(activity)), context().input_function, settings_for("2tcm-irreversible")
        )
        assert found["Ki_input_factor"].dims == ("factor", "region")
        assert found["Ki_total_se"].dims == ("region",)
        assert np.isnan(found["Ki_total_se"].to_numpy()).tolist() == [False, True, False]
        assert found["Ki_input_factor"].attrs["units"] == found["Ki"].attrs["units"]
        assert 0.995 <= found["Ki_input_factor"].attrs["variance_share"] <= 1

    def test_without_samples_nothing_is_added(self):
        activity = tissue(0.1)[0][:, :2].T
        found = fit_regions(scan_of(many_regions(activity)), mouse_input(TIME), settings_for("patlak"))
        assert not [name for name in found if "input" in str(name)]


class TestVoxels:
    def test_variables_and_their_shapes(self):
        fit = settled_fit(context(), settings_for("2tcm-irreversible"))
        activity = tissue(0.3)[0].copy()
        activity[:, 0], activity[3, 1] = 0, np.nan
        found = fit.fit(activity)
        assert list(found) == list(fit.variables)
        for name, array in found.items():
            assert array.shape == (*(fit.factors for _ in leading_dims(name)), activity.shape[1])
        assert np.isnan(found["Ki_input_factor"][:, :2]).all()
        assert np.isfinite(found["Ki_input_factor"][:, 2:]).all()
        own = np.sqrt((found["Ki_input_factor"] ** 2).sum(0))
        assert found["Ki_input_se"] == pytest.approx(own, nan_ok=True)
        assert found["Ki_total_se"] == pytest.approx(np.hypot(found["Ki_se"], own), nan_ok=True)

    def test_estimates_are_those_of_the_fit_without_samples(self):
        settings, activity = settings_for("2tcm-reversible"), tissue(0.3)[0]
        with_samples = settled_fit(context(), settings).fit(activity)
        bare = replace(context(), input_function=replace(context().input_function, samples=None))
        plain = settled_fit(bare, settings)
        assert plain.factors == 0
        assert not [name for name in plain.variables if "_input" in name or "_total" in name]
        for name, expected in plain.fit(activity).items():
            assert np.array_equal(with_samples[name], expected, equal_nan=True), name

    def test_results_do_not_depend_on_the_chunk(self):
        whole = settled_fit(context(), settings_for("2tcm-irreversible")).fit(tissue(0.3)[0])
        parts = settled_fit(context(), settings_for("2tcm-irreversible"), chunk=7).fit(tissue(0.3)[0])
        assert parts["Ki_input_factor"] == pytest.approx(whole["Ki_input_factor"], rel=1e-9, nan_ok=True)


class TestRegionMeans:
    def test_noise_averages_out_and_the_input_function_does_not(self):
        voxels = np.full((4, 5), 2.0)
        labels = np.ones((4, 5), int)
        labels[0] = 2
        found = region_means(voxels, np.full((4, 5), 0.3), labels, np.full((2, 4, 5), 0.4))
        assert found.voxels.tolist() == [15, 5]
        assert found.mean == pytest.approx([2, 2])
        assert found.fit_se == pytest.approx(0.3 / np.sqrt([15, 5]))
        assert found.input_se == pytest.approx([np.sqrt(0.32)] * 2)
        assert found.total_se == pytest.approx(np.sqrt(0.32 + 0.09 / np.array([15, 5])))
        lower, upper = found.interval()
        assert upper - found.mean == pytest.approx(1.959964 * found.total_se)
        assert found.mean - lower == pytest.approx(upper - found.mean)

    def test_regions_share_the_factors(self):
        loadings = np.array([[1.0, 1.0, -2.0]])
        found = region_means(np.zeros(3), np.full(3, 0.5), np.array([1, 1, 3]), loadings)
        assert found.labels.tolist() == [1, 3]
        assert found.covariance() == pytest.approx(np.array([[1.125, -2.0], [-2.0, 4.25]]))

    def test_voxels_without_value_are_left_out_and_those_on_a_bound_count(self):
        values, errors = np.array([1.0, np.nan, 0.0, 2.0]), np.array([0.2, np.nan, np.nan, 0.4])
        found = region_means(values, errors, np.ones(4, bool), np.array([[1.0, np.nan, 0.0, 2.0]]))
        assert found.voxels.tolist() == [3]
        assert found.mean == pytest.approx([1])
        assert found.fit_se == pytest.approx(np.sqrt(0.1 / 3))
        assert found.loadings == pytest.approx(np.array([[1.0]]))

    def test_a_region_without_any_value_has_none(self):
        found = region_means(np.array([np.nan, 1.0]), np.ones(2), np.array([1, 2]))
        assert np.isnan(found.mean).tolist() == [True, False]

    def test_what_can_not_be_averaged_is_refused(self):
        with pytest.raises(InputError, match="shapes"):
            region_means(np.zeros(3), np.zeros(3), np.ones(2))
        with pytest.raises(InputError, match="no voxel"):
            region_means(np.zeros(3), np.zeros(3), np.zeros(3))
