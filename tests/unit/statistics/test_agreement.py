"""Agreement statistics against published worked examples and closed forms."""

import numpy as np
import pytest

from dlif_core.statistics.agreement import bland_altman, concordance, intraclass_correlation, relative_error

# Peak expiratory flow [L/min], first measurement with each meter: Bland and Altman, Lancet 1986;327:307, table 1.
WRIGHT = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427.0])
MINI = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451.0])

# Four judges rate six targets: Shrout and Fleiss, Psychol Bull 1979;86:420, table 2.
RATINGS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_bland_altman_gives_the_published_bias_and_limits() -> None:
    found = bland_altman(MINI, WRIGHT)
    assert found.n == 17
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert found.bias_interval == pytest.approx((-22.0, 17.8), abs=0.1)
    assert (found.lower, found.upper) == pytest.approx((-2.118 - 1.96 * 38.765, -2.118 + 1.96 * 38.765), abs=0.01)
    # The paper takes 2 SD and var = 3 s²/n; with 1.96 and the later formula the half width is 34.2, there 34.6.
    assert np.diff(found.lower_interval)[0] / 2 == pytest.approx(34.6, rel=0.02)


def test_bland_altman_intervals_cover_the_truth() -> None:
    draws = np.random.default_rng(3).normal(1.0, 2.0, (1500, 25))
    found = [bland_altman(np.zeros(25), row) for row in draws]
    assert np.mean([f.bias_interval[0] <= 1.0 <= f.bias_interval[1] for f in found]) == pytest.approx(0.95, abs=0.02)
    limit = 1.0 + 1.96 * 2.0
    covered = np.mean([f.upper_interval[0] <= limit <= f.upper_interval[1] for f in found])
    assert covered == pytest.approx(0.95, abs=0.025)


def test_concordance_equals_the_closed_form_and_its_interval_covers() -> None:
    found = concordance(WRIGHT, MINI)
    covariance = np.cov(WRIGHT, MINI, bias=True)
    shift = WRIGHT.mean() - MINI.mean()
    assert found.coefficient == pytest.approx(2 * covariance[0, 1] / (np.trace(covariance) + shift**2))
    assert found.coefficient == pytest.approx(found.pearson * found.bias_correction)
    assert found.pearson == pytest.approx(np.corrcoef(WRIGHT, MINI)[0, 1])
    rng = np.random.default_rng(5)
    # x ~ N(0,1), y = x + 0.5 + N(0, 0.6²): ρ_c = 2/(1 + 1.36 + 0.25)
    x = rng.normal(size=(1500, 60))
    y = x + 0.5 + rng.normal(scale=0.6, size=x.shape)
    intervals = np.array([concordance(a, b).interval for a, b in zip(x, y, strict=True)])
    truth = 2 / (1 + 1.36 + 0.25)
    assert np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])) == pytest.approx(0.95, abs=0.025)


def test_concordance_of_identical_values_is_one() -> None:
    found = concordance(WRIGHT, WRIGHT)
    assert found.coefficient == pytest.approx(1.0)
    assert found.bias_correction == pytest.approx(1.0)


def test_intraclass_correlation_gives_the_published_value() -> None:
    found = intraclass_correlation(RATINGS)
    assert found.coefficient == pytest.approx(0.2898, abs=5e-4)
    assert found.interval == pytest.approx((0.019, 0.761), abs=2e-3)


def test_intraclass_correlation_is_unknown_for_two_subjects() -> None:
    assert np.isnan(intraclass_correlation([[1.0, 1.1], [2.0, 2.2]]).coefficient)


def test_relative_error_by_hand() -> None:
    found = relative_error([1.0, 2.0, 4.0, 0.0, np.nan], [1.1, 1.8, 5.0, 3.0, 1.0])
    assert found.n == 3
    assert found.mean == pytest.approx(25 / 3)
    assert found.median == pytest.approx(10.0)
    assert found.median_absolute == pytest.approx(10.0)
    assert found.root_mean_square == pytest.approx(np.sqrt((100 + 100 + 625) / 3))


@pytest.mark.parametrize("pairs", [([], []), ([1.0], [2.0]), ([np.nan, 1.0], [1.0, np.nan])])
def test_too_few_pairs_give_nan_not_an_error(pairs: tuple[list[float], list[float]]) -> None:
    assert np.isnan(bland_altman(*pairs).upper)
    assert np.isnan(concordance(*pairs).coefficient)
