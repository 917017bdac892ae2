"""Correction for dispersion, against curves that were convolved in closed form."""

import numpy as np
import pytest

from dlif_core.blood_samples import BloodRecording
from dlif_core.blood_samples.dispersion import corrected_for_dispersion, resolves
from dlif_core.blood_samples.feng import FengInput
from dlif_core.blood_samples.merge import merge

#: A bolus at 12 s; a human FDG curve in its shape.
PLAIN = FengInput(delay=0.2, a1=851.1, a2=20.8, a3=21.9, lambda1=-4.13, lambda2=-0.0104, lambda3=-0.12)


def dispersed(constant: float) -> FengInput:
    return FengInput(PLAIN.delay, PLAIN.a1, PLAIN.a2, PLAIN.a3, *(-4.13, -0.0104, -0.12), dispersion=constant / 60)


def autosampler(time: np.ndarray, constant: float, noise: float = 0.0, name: str = "autosampler") -> BloodRecording:
    clean = 1e3 * dispersed(constant).curve(time)
    samples = clean + noise * np.random.default_rng(7).normal(size=len(time)) * np.sqrt(clean * clean.max())
    return BloodRecording(name, True, time, samples, dispersion=constant)


@pytest.mark.parametrize("constant", [4.0, 10.0, 20.0])
@pytest.mark.parametrize("step", [1.0, 2.0])
def test_the_curve_before_the_tube_comes_back(constant: float, step: float) -> None:
    time = np.arange(0, 600, step)
    found = corrected_for_dispersion(autosampler(time, constant))
    truth = 1e3 * PLAIN.curve(time)
    assert found.dispersion == 0
    assert np.abs(found.whole_blood - truth).max() < 0.08 * truth.max()
    assert found.whole_blood.max() == pytest.approx(truth.max(), rel=0.02)
    np.testing.assert_allclose(found.whole_blood[time > 60], truth[time > 60], rtol=0.01)


def test_noise_is_not_blown_up() -> None:
    """A plain derivative of these samples would have 14 times their noise."""
    time, truth = np.arange(0, 600, 1.0), 1e3 * PLAIN.curve(np.arange(0, 600, 1.0))
    found = corrected_for_dispersion(autosampler(time, 10.0, noise=0.02)).whole_blood
    late = time > 60
    measured = autosampler(time, 10.0, noise=0.02).whole_blood[late] - 1e3 * dispersed(10.0).curve(time[late])
    assert np.std(found[late] - truth[late]) < 1.5 * np.std(measured)
    assert np.trapezoid(found, time) == pytest.approx(np.trapezoid(truth, time), rel=0.01)
    assert found.min() >= 0


def test_samples_that_were_not_measured_stay_out() -> None:
    recording = autosampler(np.arange(0, 300, 1.0), 5.0)
    recording.whole_blood[100:105] = np.nan
    found = corrected_for_dispersion(recording).whole_blood
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found)), np.arange(100, 105))


def test_without_a_constant_nothing_changes() -> None:
    recording = autosampler(np.arange(0, 300, 1.0), 0.0)
    assert corrected_for_dispersion(recording) is recording


@pytest.mark.parametrize(
    ("time", "constant", "expected"),
    [(np.arange(0, 60, 2.0), 4.0, True), (np.arange(0, 60, 2.0), 1.0, False), (np.arange(5.0), 10.0, False)],
)
def test_samples_must_be_near_each_other(time: np.ndarray, constant: float, expected: bool) -> None:
    assert resolves(time, constant) is expected


def test_the_merged_curve_is_corrected_and_says_so() -> None:
    time = np.arange(0, 600, 1.0)
    blood = merge([autosampler(time, 10.0), BloodRecording("manual", True, [700.0, 900.0], [5e3, 4e3])])
    assert blood.whole_blood.value.max() == pytest.approx(1e3 * PLAIN.curve(time).max(), rel=0.02)
    assert blood.provenance["corrected for dispersion [s]"] == {"autosampler": 10.0}
    np.testing.assert_array_equal(blood.whole_blood.value[-2:], [5e3, 4e3])
