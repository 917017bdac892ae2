"""Methods that take the input function from tissue curves, on images and regions whose blood curve is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from dlif_core.blood_samples import BloodRecording
from dlif_core.blood_samples.feng import FengInput
from dlif_core.errors import BloodError, InputError, MissingInputError
from dlif_core.frames import FrameTiming
from dlif_core.input_function import estimate
from dlif_core.input_function.factor_analysis import FactorAnalysisOptions, blood_factor, bolus_scale, factorise
from dlif_core.input_function.gaussian_process import Covariance, TrainingTable, load_table, predict_ratio
from dlif_core.input_function.gaussian_process_training import SEEDS, fit_covariance, simulated_row
from dlif_core.input_function.heart import LateLevel, find_heart
from dlif_core.input_function.image_derived import ImageDerivedOptions
from dlif_core.input_function.region_curves import FoundRegions
from dlif_core.input_function.simultaneous import SimultaneousOptions, fit_jointly
from dlif_core.input_function.voxel_curves import voxel_curves
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.phantom import TRAINING, draw, simulate
from dlif_core.phantom.acquisition import SCHEDULES
from dlif_core.phantom.scanner import frame_timing
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

DURATION = np.repeat([30.0, 5.0, 20.0, 300.0], [1, 24, 9, 8])
TIMING = FrameTiming(np.cumsum(DURATION) - DURATION, DURATION)
POPULATION = FengInput(0.613, 102.8, 1.82, 1.85, -5.55, -0.227, -0.0333, 0.18)
BLOOD = FengInput(0.70, 102.8, 2.3, 1.5, -6.4, -0.28, -0.028, 0.14)
SUV = 3e5
AFFINE = np.diag([0.5, 0.5, 0.5, 1.0])
MOUSE = Acquisition("FDG", 6586.2, SUV * 20.0, 0.020, species="mouse")
TIME = np.arange(0, TIMING.end[-1] + 1)
RATIO = 0.386 * np.exp(-0.191 * TIME / 60) + 1.165
TRUE = SUV * BLOOD.curve(TIME)
AVERAGES = TIMING.average(TIME, TRUE)
METHODS = ("factor-analysis", "simultaneous", "gaussian-process")


def tissue(k1: float, k2: float, k3: float, vb: float) -> np.ndarray:
    """Frame averages of an irreversible two-tissue compartment, plasma by the mouse formula."""
    slow, fast = FrameConvolution(TIME, TRUE * RATIO, TIMING).exponential([0.0, k2 + k3])
    return np.asarray((1 - vb) * k1 / (k2 + k3) * (k2 * fast + k3 * slow) + vb * AVERAGES)


MYOCARDIUM, MUSCLE, LIVER, BRAIN = (
    tissue(0.7, 1.0, 0.3, 0.2),
    tissue(0.05, 0.25, 0.02, 0.02),
    tissue(0.9, 1.3, 0.013, 0.2),
    tissue(0.24, 0.4, 0.06, 0.05),
)
TISSUES = np.stack([MYOCARDIUM, MUSCLE, LIVER, BRAIN])


@cache
def body() -> np.ndarray:
    """Muscle; in it a vein of blood, a liver, a brain and a heart that is blurred by 2 mm; voxels of .5 mm."""
    z, y, x = np.indices((56, 28, 28)) * 0.5

    def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
        return np.asarray(sum((a - c) ** 2 for a, c in zip((z, y, x), centre, strict=True)) < radius**2)

    heart, chamber = ball((13, 7, 9), 3.2), ball((13, 7, 9), 1.9)
    vein = (abs(z - 3.5) < 3.2) & ((y - 10) ** 2 + (x - 4) ** 2 < 1.5**2)
    organs = np.stack([chamber | vein, heart & ~chamber, ball((4, 5, 10), 3), ball((22, 7, 7), 4)]).astype(float)
    weights = np.concatenate([organs, 1 - organs.sum(axis=0, keepdims=True)])
    near = ball((13, 7, 9), 6.0)
    blurred = ndimage.gaussian_filter(weights, (0, 1.7, 1.7, 1.7), mode="nearest")
    weights = np.where(near, blurred, weights)
    curves = np.stack([AVERAGES, MYOCARDIUM, LIVER, BRAIN, MUSCLE])
    return np.einsum("of,ozyx->fzyx", curves, weights).astype(np.float32)


def scan(image: np.ndarray | None, acquisition: Acquisition = MOUSE, regions: np.ndarray = TISSUES) -> DynamicScan:
    names = tuple(f"region {i}" for i in range(len(regions)))
    curves = RegionCurves(names, regions, np.ones(len(regions)))
    return DynamicScan(TIMING, acquisition, curves, activity=image, affine=None if image is None else AFFINE)


def sample(time: float, factor: float = 1.0) -> BloodRecording:
    value = factor * np.interp([time], TIME, TRUE)
    return BloodRecording("manual", True, np.array([time]), whole_blood=value)


def error(found: np.ndarray) -> float:
    """Root mean square error over the frames [SUV]."""
    return float(np.sqrt(np.mean((found - AVERAGES) ** 2)) / SUV)


def late_level(value: float) -> LateLevel:
    weights = np.zeros(42)
    weights[-1] = 1.0
    return LateLevel(weights, value)


def test_a_heart_that_is_blood_and_wall_is_undone_exactly() -> None:
    """Two components that add up to one: with the true level of blood the curve is blood to rounding."""
    z, y, x = np.indices((24, 24, 24)) - 11.5
    radius = 0.5 * np.sqrt(z**2 + y**2 + x**2)
    blood = np.where(radius < 2.0, 0.6, 0.0)
    image = np.einsum("f,zyx->fzyx", AVERAGES, blood) + np.einsum("f,zyx->fzyx", MYOCARDIUM, 1 - blood)
    found = find_heart(scan(image), AVERAGES, image[-1].astype(np.float32), late_level(AVERAGES[-1]))
    assert found is not None
    assert found.recovery == pytest.approx(0.6, rel=1e-6)
    np.testing.assert_allclose(found.blood, AVERAGES, atol=1e-6 * AVERAGES.max())


def test_no_heart_is_found_where_nothing_spills_in() -> None:
    z, y, x = np.indices((24, 24, 24)) - 11.5
    inside = 0.5 * np.sqrt(z**2 + y**2 + x**2) < 2.5
    image = np.where(inside, AVERAGES[:, None, None, None], MYOCARDIUM[:, None, None, None])
    late = image[-1].astype(np.float32)
    assert find_heart(scan(image), AVERAGES, late, late_level(AVERAGES[-1])) is None


def test_image_derived_curve_corrects_the_heart_by_the_vein() -> None:
    found = estimate("image-derived", scan(body()), ())
    assert error(found.frame_average(TIMING)[0]) < 0.25
    assert found.provenance["heart, spill-over from its wall"] > 0.1
    assert any("tail of the other pool" in warning for warning in found.warnings)


def test_a_late_sample_sets_the_level_that_the_heart_is_corrected_to() -> None:
    right = estimate("image-derived", scan(body()), (sample(2500.0),), ImageDerivedOptions(late_sample=2500))
    high = estimate("image-derived", scan(body()), (sample(2500.0, 2.0),), ImageDerivedOptions(late_sample=2500))
    assert error(right.frame_average(TIMING)[0]) < 0.25
    assert np.interp(2500, high.time, high.whole_blood) > 1.2 * np.interp(2500, right.time, right.whole_blood)
    assert right.provenance["late sample"]["time [s]"] == 2500
    with pytest.raises(BloodError, match="near 1200 s; the nearest is at 2500 s"):
        estimate("image-derived", scan(body()), (sample(2500.0),), ImageDerivedOptions(late_sample=1200))
    with pytest.raises(MissingInputError, match="no blood was recorded"):
        estimate("image-derived", scan(body()), (), ImageDerivedOptions(late_sample=2500))


def mixtures(pure: np.ndarray, number: int = 400) -> np.ndarray:
    """Non-negative mixtures of pure curves, in which each occurs pure once."""
    shares = np.random.default_rng(3).dirichlet(np.full(len(pure), 0.5), number)
    return np.concatenate([np.eye(len(pure)), shares]) @ pure


def test_factors_of_separable_mixtures_are_the_pure_curves() -> None:
    """Where every curve occurs pure, the factorisation is unique up to scale (Donoho & Stodden 2003)."""
    pure = np.stack([AVERAGES, MYOCARDIUM, MUSCLE, LIVER])
    found = factorise(mixtures(pure), TIMING, 4)
    blood = found.curves[blood_factor(found.curves, TIMING)]
    assert error(bolus_scale(blood, AVERAGES, TIMING) * blood) < 0.1
    np.testing.assert_allclose(found.shares @ found.curves, mixtures(pure), atol=0.01 * pure.max())
    assert found.shares.min() >= 0
    assert found.curves.min() >= 0


def test_factor_analysis_finds_blood_in_an_image() -> None:
    found = estimate("factor-analysis", scan(body()), (), FactorAnalysisOptions(factors=5))
    assert error(found.frame_average(TIMING)[0]) < 0.35


def test_voxel_curves_are_means_over_cubes() -> None:
    """An image that is the same everywhere keeps its curve; cubes of a mouse are not finer than the budget."""
    image = np.broadcast_to(AVERAGES[:, None, None, None], (42, 120, 60, 61)).astype(np.float32)
    found = voxel_curves(scan(image), "the test")
    assert len(found) <= 120 * 60 * 61 / 4
    np.testing.assert_allclose(found, np.broadcast_to(AVERAGES, found.shape), rtol=1e-5)


def test_joint_fit_finds_the_input_function_of_noise_free_tissues() -> None:
    """The start is the population's curve, .39 SUV away; the tissues pull the shape to the truth."""
    curves = np.concatenate([TISSUES, [0.8 * AVERAGES + 0.2 * MUSCLE]])
    fit = fit_jointly(curves, TIMING, POPULATION, TIME, RATIO)
    before, after = (feng.curve(TIME) for feng in (POPULATION, fit.feng))

    def shape_error(curve: np.ndarray) -> float:
        averages = TIMING.average(TIME, curve)
        return error(averages * (averages @ AVERAGES) / (averages @ averages))

    assert shape_error(before) > 0.35
    assert shape_error(after) < 0.15
    np.testing.assert_allclose(fit.fitted, curves, atol=0.03 * curves.max())


def test_simultaneous_estimation_from_regions_takes_its_scale_from_a_sample_or_the_population() -> None:
    by_sample = estimate("simultaneous", scan(None), (sample(1500.0),), SimultaneousOptions(scale_sample=1500))
    assert np.interp(1500, by_sample.time, by_sample.whole_blood) == pytest.approx(np.interp(1500, TIME, TRUE))
    by_dose = estimate("simultaneous", scan(None), ())
    area = np.trapezoid(POPULATION.curve(TIME), TIME) * SUV
    assert np.trapezoid(by_dose.whole_blood, by_dose.time) == pytest.approx(area, rel=0.01)
    ratio = by_dose.whole_blood[1:] / by_sample.whole_blood[1:].clip(1e-9)
    np.testing.assert_allclose(ratio[by_sample.whole_blood[1:] > 1.0], ratio[-1])


def test_simultaneous_estimation_in_an_image() -> None:
    found = estimate("simultaneous", scan(body()), ())
    assert error(found.frame_average(TIMING)[0]) < 0.5
    assert found.provenance["scaling"]["by"] == "the peak in the image"


def features_of(number: int, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(number, 3, 10))


def test_gaussian_process_regression_recovers_a_linear_law_and_knows_how_sure_it_is() -> None:
    """ratio = mean of the features of one region plus noise of .05: the error lies within the stated deviation."""
    rng = np.random.default_rng(5)
    features, asked = features_of(300, rng), features_of(50, rng)

    def law(values: np.ndarray) -> np.ndarray:
        return np.asarray(0.3 * values[:, :1].mean(axis=2) + 0.05 * rng.normal(size=(len(values), 10)))

    weight = np.full(300, 0.025)
    ratio = law(features)
    table = TrainingTable(features, weight, ratio, fit_covariance(features, weight, ratio), (0, 299))
    measured = np.arange(10) < 10
    given = [FoundRegions(np.empty(0), one, np.empty(0), measured, 0.0) for one in asked]
    predicted = [predict_ratio(table, one, 0.025) for one in given]
    means, spreads = (np.stack(values) for values in zip(*predicted, strict=True))
    scores = (law(asked) - means) / spreads
    assert np.sqrt(np.mean((means - 0.3 * asked[:, :1].mean(axis=2)) ** 2)) < 0.03
    assert 0.85 < np.mean(np.abs(scores) < 1.645) < 0.95


def test_regression_at_a_point_of_a_table_without_noise_gives_its_value() -> None:
    rng = np.random.default_rng(6)
    features, ratio = features_of(40, rng), rng.normal(size=(40, 10))
    table = TrainingTable(features, np.full(40, 0.03), ratio, Covariance(1.0, 0.5, 1e-10), (0, 39))
    measured = np.arange(10) < 8  # the last windows are missing
    mean, spread = predict_ratio(table, FoundRegions(np.empty(0), features[7], np.empty(0), measured, 0.0), 0.03)
    np.testing.assert_allclose(mean, ratio[7, :8], atol=1e-6)
    assert spread.max() < 1e-3


def test_a_table_survives_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    table = TrainingTable(
        features_of(4, rng), np.full(4, 0.025), rng.normal(size=(4, 10)), Covariance(1.0, 2.0, 0.1), (3, 6)
    )
    table.save(tmp_path / "table.safetensors")
    again = load_table(tmp_path / "table.safetensors")
    np.testing.assert_allclose(again.features, table.features, rtol=1e-3)
    assert (again.covariance, again.seeds) == (table.covariance, table.seeds)


def test_the_shipped_table_is_what_its_recipe_makes() -> None:
    """The first scan of the recipe lacks a window, the third is kept; features are kept in half precision."""
    shipped = load_table()
    assert simulated_row(SEEDS[0], TRAINING) is None
    row = simulated_row(SEEDS[2], TRAINING)
    assert row is not None
    np.testing.assert_allclose(row[0], shipped.features[0], atol=2e-3)
    np.testing.assert_allclose(row[2], shipped.ratio[0], atol=2e-3)


def test_gaussian_process_finds_the_blood_of_a_simulated_mouse_in_any_schedule() -> None:
    """A mouse that the table doesn't hold, in the two schedules that are farthest apart."""
    mouse, grid, protocol = draw(3, TRAINING)
    for schedule in (SCHEDULES[0], SCHEDULES[3]):
        simulated = simulate(mouse, grid, replace(protocol, timing=frame_timing(schedule, np.inf), motion=()))
        found, truth = estimate("gaussian-process", simulated.scan, ()), simulated.truth.input_function
        timing = simulated.protocol.timing
        difference = found.frame_average(timing)[0] - truth.frame_average(timing)[0]
        assert np.sqrt(np.mean(difference**2)) / simulated.mouse.activity_per_suv < 0.7
        assert found.lower is not None
        assert found.upper is not None
        assert (found.lower <= found.whole_blood).all()
        assert (found.whole_blood <= found.upper).all()


@pytest.mark.parametrize(
    ("method", "acquisition", "message"),
    [
        ("simultaneous", Acquisition("MC1", 1220.0, 1e7, 0.02, species="mouse"), "no population curve for 'MC1'"),
        ("gaussian-process", Acquisition("MC1", 1220.0, 1e7, 0.02, species="mouse"), "knows FDG in mice, not 'MC1'"),
        ("gaussian-process", Acquisition("FDG", 6586.2, 1e8, 80.0, species="human"), "in human"),
        ("gaussian-process", Acquisition("FDG", 6586.2, species="mouse"), "activity or body weight is unknown"),
    ],
)
def test_scans_that_a_method_does_not_know_are_refused(method: str, acquisition: Acquisition, message: str) -> None:
    with pytest.raises(InputError, match=message):
        estimate(method, scan(body(), acquisition), ())


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("factor-analysis", "region curves alone"),
        ("simultaneous", "needs an image or 3 region curves; there are 1"),
        ("gaussian-process", "no image with known voxel size"),
    ],
)
def test_a_scan_without_image_is_refused(method: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        estimate(method, scan(None, regions=TISSUES[:1]), ())


@pytest.mark.parametrize("method", METHODS)
def test_an_image_that_shows_no_bolus_is_refused(method: str) -> None:
    with pytest.raises(InputError):
        estimate(method, scan(np.zeros((42, 56, 28, 28), np.float32)), ())
