"""What is settled on the pilot region: found as its own fit says, fixed for all, recorded."""

import numpy as np
import pytest

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.kinetics import FitSettings, fit_regions, prepare
from dlif_core.scan import RegionCurves
from tests.unit.kinetics.truth import MOUSE, many_regions, mouse_input, ode_curve, scan_of

BLOOD = mouse_input()
TISSUES = {
    "fast": {"K1": 0.6, "k2": 0.9, "k3": 0.08, "vB": 0.1},
    "slow": {"K1": 0.1, "k2": 0.2, "k3": 0.02, "vB": 0.03},
}
CURVES = np.array([ode_curve(MOUSE, BLOOD, k) for k in TISSUES.values()])
REGIONS = RegionCurves(tuple(TISSUES), CURVES, np.array([1.0, 3.0]))


def prepared(regions: RegionCurves = REGIONS, **settings: object):
    return prepare(scan_of(regions), BLOOD, FitSettings(**settings))


@pytest.mark.parametrize("region", TISSUES)
def test_rates_are_those_of_the_pilot_region(region: str) -> None:
    found = prepared(model="2tcm-irreversible", rates="find", pilot_region=region)
    theta = TISSUES[region]["k2"] + TISSUES[region]["k3"]
    np.testing.assert_allclose(found.settings.rates, (theta / 3, 3 * theta), rtol=1e-3)
    assert found.found["rates"] == found.settings.rates
    assert found.asked.rates == "find"


def test_t_star_is_found_on_the_pilot_region_and_holds_for_all() -> None:
    found = prepared(model="patlak", t_star="find", pilot_region="slow")
    fits = fit_regions(scan_of(REGIONS), BLOOD, found.asked)
    assert fits.attrs["t_star"] == found.settings.t_star == found.found["t_star"]
    fixed = fit_regions(scan_of(REGIONS), BLOOD, FitSettings("patlak", t_star=found.found["t_star"]))
    np.testing.assert_array_equal(fits["Ki"], fixed["Ki"])


def test_k2_prime_is_found_with_the_reference_region() -> None:
    reference = {"K1": 0.4, "k2": 0.5, "vB": 0.0}
    target = {"K1": 0.4, "k2": 0.5 / 3, "vB": 0.0}  # BPND = 2 and R1 = 1, so k2′ is the reference's k2
    curves = np.array([ode_curve(MOUSE, BLOOD, k) for k in (reference, target)])
    regions = RegionCurves(("cerebellum", "striatum"), curves, np.ones(2))
    settings = {"model": "mrtm2", "reference": "cerebellum", "k2_prime": "find", "pilot_region": "striatum"}
    assert prepared(regions, **settings).found["k2_prime"] == pytest.approx(0.5, rel=0.03)


def test_a_region_that_is_not_there_is_named() -> None:
    for settings in ({"model": "1tcm", "pilot_region": "brain"}, {"model": "srtm", "reference": "brain"}):
        with pytest.raises(InputError, match="'brain'") as fault:
            prepared(**settings)
        assert "fast" in str(fault.value)


def test_a_model_without_a_rate_to_be_found_refuses_to_find_it() -> None:
    with pytest.raises(ConfigurationError, match="find"):
        FitSettings("spectral", rates="find")


def test_a_model_that_needs_blood_says_so() -> None:
    with pytest.raises(InputError, match="no input function"):
        prepare(scan_of(REGIONS), None, FitSettings("1tcm"))


def test_the_mean_of_all_regions_leads_by_default() -> None:
    mean = many_regions(np.average(CURVES, axis=0, weights=[1, 3])[None])
    alone = prepared(mean, model="1tcm", rates="find", weights="uniform").found["rates"]
    assert prepared(model="1tcm", rates="find", weights="uniform").found["rates"] == pytest.approx(alone)
