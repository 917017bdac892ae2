"""Parent-fraction models against their formulas, written out here, and against noise."""

import numpy as np
import pytest
from scipy.stats import invgamma

from dlif_core.blood_samples.parent_fraction import fit_parent_fraction
from dlif_core.errors import BloodError

TIME = np.array([20.0, 40, 60, 90, 120, 180, 300, 600, 900, 1800, 2700, 3600, 5400])
MINUTES = TIME / 60
DENSE = np.linspace(0, 7200, 300)

TRUTH = {
    "hill": lambda t: 0.97 - (0.97 - 0.35) * t**1.8 / (19.6**1.8 + t**1.8),
    "power": lambda t: 0.97 / (1 + (t / 8) ** 1.6) ** 0.4,
    "exponential": lambda t: 0.97 * (0.6 * np.exp(-0.12 * t) + 0.4 * np.exp(-0.004 * t)),
    "sigmoid": lambda t: 0.97 * ((1 - t**3 / (t**3 + 9**3)) ** 0.5 + 0.2) / 1.2,
    "inverse-gamma": lambda t: 0.97 * (1 - 0.7 * invgamma.cdf(t, 1.3, scale=12)),
    "constant": lambda t: np.full_like(t, 0.83),
}


@pytest.mark.parametrize("model", TRUTH)
def test_a_model_finds_its_own_curve(model: str) -> None:
    found = fit_parent_fraction(TIME, TRUTH[model](MINUTES), model)
    assert found.root_mean_square_error < 1e-5
    np.testing.assert_allclose(found.at(DENSE), TRUTH[model](DENSE / 60), atol=2e-3)


def test_hill_recovers_its_parameters() -> None:
    found = fit_parent_fraction(TIME, TRUTH["hill"](MINUTES), "hill")
    assert found.start == pytest.approx(0.97, abs=1e-5)
    assert found.parameters == pytest.approx(
        {"drop": 1 - 0.35 / 0.97, "half_time_min": 19.6, "exponent": 1.8}, rel=1e-4
    )


@pytest.mark.parametrize("model", [*TRUTH, "interpolation"])
def test_a_parent_fraction_stays_between_zero_and_one_and_starts_at_most_at_one(model: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(3):
        noisy = np.clip(TRUTH["hill"](MINUTES) + rng.normal(0, 0.08, len(TIME)), 0, 1)
        values = fit_parent_fraction(TIME, noisy, model).at(np.linspace(-10, 20000, 500))
        assert values.min() >= 0
        assert values.max() <= 1


def test_the_start_is_one_where_no_early_samples_tell_it() -> None:
    late = TIME > 180
    assert fit_parent_fraction(TIME[late], TRUTH["hill"](MINUTES)[late], "hill").start == 1
    assert fit_parent_fraction(TIME, TRUTH["hill"](MINUTES), "hill", start=0.9).start == 0.9


def test_interpolation_joins_the_samples() -> None:
    found = fit_parent_fraction([60, 120], [0.8, 0.4], "interpolation")
    np.testing.assert_allclose(found.at([0, 30, 60, 90, 120, 900]), [1, 0.9, 0.8, 0.6, 0.4, 0.4])


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(BloodError, match=r"x.tsv: 3 parent-fraction samples can't determine the 4 parameters"):
        fit_parent_fraction([10, 20, 60], [0.9, 0.8, 0.7], "hill", where="x.tsv")
