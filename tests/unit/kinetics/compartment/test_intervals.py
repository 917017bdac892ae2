"""Profile-likelihood intervals against profiles made by hand with SciPy."""

import numpy as np
import pytest
from scipy.optimize import brentq, least_squares
from scipy.stats import f as f_distribution

from dlif_core.kinetics import FitSettings, fit_regions
from tests.unit.kinetics.truth import (
    DERIVED,
    MOUSE,
    NAMES,
    FilterColumns,
    curve_by_filter,
    many_regions,
    mouse_input,
    one_region,
    scan_of,
)

BLOOD = mouse_input()
COLUMNS = FilterColumns(MOUSE, BLOOD)
TRUTH = {"K1": 0.24, "k2": 0.4, "k3": 0.06, "k4": 0.02, "vB": 0.05}
#: The rate constant that follows from a computed parameter and the others.
INSTEAD = {
    "Ki": ("K1", lambda k: k["Ki"] * (k["k2"] + k["k3"]) / k["k3"]),
    "VT": ("K1", lambda k: k["VT"] * k["k2"] / (1 + (k["k3"] / k["k4"] if "k4" in k else 0))),
    "BPND": ("k3", lambda k: k["BPND"] * k["k4"]),
}


def noisy(model: str, seed: int, alpha: float = 0.02) -> np.ndarray:
    true = curve_by_filter(COLUMNS, {name: TRUTH[name] for name in NAMES[model]})
    return true + alpha * true.max() * np.random.default_rng(seed).standard_normal(42) / np.sqrt(MOUSE.duration / 20)


@pytest.mark.parametrize("model", NAMES)
def test_limits_are_where_the_profile_reaches_the_level(model: str) -> None:
    curve = noisy(model, 1)
    settings = FitSettings(model, intervals=True, weights="duration")
    fit = fit_regions(scan_of(one_region(curve)), BLOOD, settings).isel(region=0)
    root, freedom = np.sqrt(fit["weight"].values), 42 - len(NAMES[model])
    level = float(fit["rss"]) * (1 + f_distribution.ppf(0.95, 1, freedom) / freedom)
    for name in (*NAMES[model], *DERIVED[model]):
        fixed, solve = INSTEAD.get(name, (name, lambda k, name=name: k[name]))
        rest = [other for other in NAMES[model] if other != fixed]

        def excess(value: float, name: str = name, fixed: str = fixed, solve=solve, rest: list[str] = rest) -> float:
            def residual(x: np.ndarray) -> np.ndarray:
                k = dict(zip(rest, x, strict=True)) | {name: value}
                return (curve_by_filter(COLUMNS, k | {fixed: solve(k)}) - curve) * root

            start = [float(fit[other]) for other in rest]
            return 2 * least_squares(residual, start, bounds=(1e-9, 10), x_scale="jac", xtol=1e-12).cost - level

        best, error = float(fit[name]), float(fit[f"{name}_se"])
        low, high = brentq(excess, max(1e-6, best - 6 * error), best), brentq(excess, best, best + 8 * error)
        assert float(fit[f"{name}_lower"]) == pytest.approx(low, rel=1e-4)
        assert float(fit[f"{name}_upper"]) == pytest.approx(high, rel=1e-4)


def test_what_is_not_bounded_is_nan() -> None:
    """A tissue without binding fitted by two compartments, a dead region, and a vB that is fixed."""
    alone = curve_by_filter(COLUMNS, {"K1": 0.2, "k2": 0.4, "vB": 0.05})
    settings = FitSettings("2tcm-reversible", intervals=True, blood_volume=0.05)
    found = fit_regions(scan_of(many_regions(np.array([alone, 0 * alone]))), BLOOD, settings)
    assert np.isnan(found["vB_lower"]).all()
    assert np.isnan(found["k4_upper"]).all()
    assert np.isnan(found["K1_lower"][1])
    assert found["K1_upper"].attrs["units"] == found["K1"].attrs["units"]
    plain = fit_regions(scan_of(one_region(alone)), BLOOD, FitSettings("1tcm"))
    assert "K1_lower" not in plain


def test_a_fitted_delay_is_among_what_is_fitted_anew() -> None:
    """K1 enters nearly linearly, so its interval is close to 2.03 standard errors (t with 37 degrees of freedom)."""
    curve, settings = noisy("2tcm-irreversible", 2), FitSettings("2tcm-irreversible", intervals=True, delay="region")
    fit = fit_regions(scan_of(one_region(curve)), BLOOD, settings).isel(region=0)
    width = float(fit["K1_upper"] - fit["K1_lower"])
    assert width == pytest.approx(2 * 2.026 * float(fit["K1_se"]), rel=0.1)
