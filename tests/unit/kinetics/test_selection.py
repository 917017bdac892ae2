"""Model selection against lmfit's criteria, the t test of a regression, and curves of known origin."""

import json

import lmfit
import numpy as np
import pytest
from scipy.stats import linregress

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.kinetics import FitSettings, FitStatus, fit_regions
from dlif_core.kinetics.selection import (
    best_model,
    compare_regions,
    f_test,
    fitted_numbers,
    information_criteria,
    sound,
)
from tests.unit.kinetics.truth import MOUSE, many_regions, mouse_input, ode_curve, scan_of

BLOOD = mouse_input()
MODELS = ("1tcm", "2tcm-irreversible", "2tcm-reversible")


def test_criteria_are_those_of_lmfit() -> None:
    rng = np.random.default_rng(0)
    x = np.linspace(0, 4, 30)
    y = 3 * np.exp(-x) + 0.1 * rng.standard_normal(30)
    fit = lmfit.models.ExponentialModel().fit(y, x=x, amplitude=1, decay=1)
    found = information_criteria(fit.chisqr, 30, 2)
    assert found["aic"] == pytest.approx(fit.aic)
    assert found["bic"] == pytest.approx(fit.bic)
    assert found["aicc"] - found["aic"] == pytest.approx(2 * 2 * 3 / (30 - 3))


def test_criteria_of_maps_and_without_enough_frames() -> None:
    rss = np.array([[1.0, 2.0], [np.nan, 0.0]])
    found = information_criteria(rss, 5, 4)
    assert found["aic"].shape == (2, 2)
    assert np.isnan(found["aicc"]).all()
    assert np.isnan(found["bic"]).tolist() == [[False, False], [True, False]]
    assert np.isnan(information_criteria(rss, 42, np.nan)["aic"]).all()


def test_fixed_numbers_do_not_count() -> None:
    count = {
        (): 4,
        ("blood_volume", 0.05): 3,
        ("delay", "image"): 4,
        ("delay", "region"): 5,
    }
    for option, numbers in count.items():
        assert fitted_numbers(FitSettings("2tcm-irreversible", **dict([option] if option else []))) == numbers
    assert np.isnan(fitted_numbers(FitSettings("patlak", t_star=10.0)))


def test_the_f_test_of_a_slope_is_its_t_test() -> None:
    """F with one more number is t², and the probability the same."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 50, 20))
    for a, b in zip(x, y, strict=True):
        line = linregress(a, b)
        rest = b - line.intercept - line.slope * a
        test = f_test(((b - b.mean()) ** 2).sum(), (rest**2).sum(), 20, (1, 2))
        assert test.probability == pytest.approx(line.pvalue, rel=1e-9)
        assert test.statistic == pytest.approx((line.slope / line.stderr) ** 2, rel=1e-9)


def test_the_f_test_keeps_its_level() -> None:
    """Two superfluous polynomial terms are taken for real in 5 % of 4,000 straight lines."""
    rng = np.random.default_rng(2)
    x = np.linspace(-1, 1, 15)
    y = 1 + 2 * x[:, None] + rng.standard_normal((15, 4000))
    rss = [np.polyfit(x, y, degree, full=True)[1] for degree in (1, 3)]
    share = (f_test(rss[0], rss[1], 15, (2, 4)).probability < 0.05).mean()
    assert share == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize("numbers", [(3, 3), (4, 3), (2, 42)])
def test_models_that_are_not_nested_are_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(ConfigurationError, match="no F test"):
        f_test(2.0, 1.0, 42, numbers)


def test_the_best_of_maps() -> None:
    first = np.array([[10.0, 3.0], [np.nan, np.nan]])
    second = np.array([[8.0, 3.0], [5.0, np.nan]])
    found = best_model({"a": first, "b": second})
    assert found.models == ("a", "b")
    assert found.index.tolist() == [[1, 0], [1, -1]]
    np.testing.assert_allclose(found.weights[:, 0, 0], [1 / (1 + np.e), np.e / (1 + np.e)])
    np.testing.assert_allclose(found.weights[:, 0, 1], 0.5)
    assert found.weights[:, 1, 0].tolist() == [0, 1]
    assert np.isnan(found.weights[:, 1, 1]).all()


def test_only_sound_fits_take_part() -> None:
    status = np.array(list(FitStatus), np.uint8)
    assert np.isfinite(sound(np.ones(len(status)), status)).tolist() == [True] * 2 + [False] * 5


@pytest.fixture(scope="module")
def fits() -> dict[str, object]:
    """Ten noisy curves from each of one tissue, two with trapping and two without."""
    rng = np.random.default_rng(5)
    rates = (
        {"K1": 0.3, "k2": 0.3, "vB": 0.05},
        {"K1": 0.3, "k2": 0.3, "k3": 0.1, "vB": 0.05},
        {"K1": 0.3, "k2": 0.3, "k3": 0.1, "k4": 0.05, "vB": 0.05},
    )
    true = np.repeat([ode_curve(MOUSE, BLOOD, k) for k in rates], 10, axis=0)
    regions = many_regions(true + 0.01 * true.max(axis=1, keepdims=True) * rng.standard_normal(true.shape))
    return {m: fit_regions(scan_of(regions), BLOOD, FitSettings(m, weights="uniform")) for m in MODELS}


def test_the_model_that_made_a_curve_is_chosen(fits: dict) -> None:
    for criterion in ("aicc", "bic"):
        found = compare_regions(fits, criterion)
        right = found["best_model"].to_numpy().reshape(3, 10) == np.arange(3)[:, None]
        assert (right.mean(axis=1) >= 0.8).all(), criterion
    likely = found["F_probability"].sel(nested_pair="1tcm < 2tcm-irreversible")
    assert (likely[10:20] < 1e-3).all()
    assert (likely[:10] < 0.05).sum() <= 2
    optimal = np.all([fit["status"] <= FitStatus.DEGENERATE for fit in fits.values()], axis=0)
    assert np.isfinite(found["F"].to_numpy()[:, optimal]).all()
    assert optimal.mean() > 0.9


def test_the_comparison_says_what_it_holds(fits: dict) -> None:
    found = compare_regions(fits)
    assert found.attrs["criterion"] == "aicc"
    assert found["best_model"].attrs["flag_meanings"].split() == ["none", *MODELS]
    assert found["best_model"].attrs["flag_values"] == [-1, 0, 1, 2]
    assert list(found["nested_pair"].values) == [
        "1tcm < 2tcm-irreversible",
        "1tcm < 2tcm-reversible",
        "2tcm-irreversible < 2tcm-reversible",
    ]
    assert all({"units", "long_name"} <= set(found[name].attrs) for name in found.data_vars)
    np.testing.assert_allclose(found["akaike_weight"].sum("model"), 1)
    assert "F" not in compare_regions({"1tcm": fits["1tcm"]})


def test_pairs_are_told_by_their_model_and_settings(fits: dict) -> None:
    found = compare_regions({"with trapping": fits["2tcm-irreversible"], "simple": fits["1tcm"]})
    assert list(found["nested_pair"].values) == ["simple < with trapping"]
    assert found["best_model"].attrs["flag_meanings"] == "none with_trapping simple"
    settings = json.loads(fits["1tcm"].attrs["settings"]) | {"blood_volume": 0.05}
    other = fits["1tcm"].assign_attrs(settings=json.dumps(settings))
    assert "F" not in compare_regions({"simple": other, "with trapping": fits["2tcm-irreversible"]})


def test_fits_of_other_data_are_refused(fits: dict) -> None:
    weighted = fits["1tcm"].assign(weight=2 * fits["1tcm"]["weight"])
    with pytest.raises(InputError, match="same weight"):
        compare_regions({"1tcm": weighted, "2tcm-irreversible": fits["2tcm-irreversible"]})
    with pytest.raises(InputError, match="same measured"):
        compare_regions({"1tcm": fits["1tcm"].isel(region=[0]), "2tcm-irreversible": fits["2tcm-irreversible"]})
    with pytest.raises(ConfigurationError, match="criterion"):
        compare_regions(fits, "cic")
