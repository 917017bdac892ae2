"""Tracers that nobody made: possible, reproducible, of every kind, in balance; populations with one of their own."""

from dataclasses import replace

import numpy as np
import pytest

from dlif_core.phantom import HELD_OUT, TRACERS, CirculatingBlood, Circulation, Injection, draw
from dlif_core.phantom.anatomy import BLOOD_POOLS, ORGANS, URINE
from dlif_core.phantom.physiology import draw_kinetics
from dlif_core.phantom.tracers import FDG, Tracer, random_tracer
from dlif_core.radionuclides import half_life

TIME = np.arange(0.0, 2730.0, 2.0)


@pytest.fixture(scope="module")
def many() -> list[Tracer]:
    return [random_tracer(np.random.default_rng(seed)) for seed in range(300)]


def test_rates_are_possible(many: list[Tracer]) -> None:
    for tracer in many:
        assert set(tracer.tissue) == set(ORGANS) - {*BLOOD_POOLS, *URINE}
        assert set(tracer.urine) == set(URINE)
        K1, k2, k3, k4, vB = np.array(list(tracer.tissue.values())).T
        assert (np.concatenate([K1, k2, vB, list(tracer.urine.values())]) > 0.0).all()
        assert (np.concatenate([k3, k4]) >= 0.0).all()
        assert vB.max() <= 0.6


def test_plasma_is_positive_and_its_parent_fraction_falls(many: list[Tracer]) -> None:
    curves = np.array([tracer.plasma(TIME) for tracer in many])
    assert curves.min() > 0.0
    assert (np.diff(curves, axis=1) <= 0.0).all()
    assert ((curves[:, 0] >= 0.9) & (curves[:, 0] <= 1.7)).all()


def test_the_same_random_numbers_give_the_same_tracer(many: list[Tracer]) -> None:
    again = random_tracer(np.random.default_rng(3))
    assert (again.tissue, again.urine, again.plasma) == (many[3].tissue, many[3].urine, many[3].plasma)
    assert again.tissue != many[4].tissue


def test_many_tracers_are_of_every_kind(many: list[Tracer]) -> None:
    """Some are never trapped, some for good, some for a while; free tracer in tissue is below and above plasma."""
    k3, k4 = np.array([tracer.tissue["liver"][2:4] for tracer in many]).T
    assert (k3 == 0.0).mean() == pytest.approx(0.25, abs=0.08)
    assert ((k3 > 0.0) & (k4 == 0.0)).mean() == pytest.approx(0.22, abs=0.08)
    assert ((k3 > 0.0) & (k4 > 0.0)).mean() == pytest.approx(0.53, abs=0.1)
    assert not ((k3 == 0.0) & (k4 > 0.0)).any()
    space = np.array([tracer.tissue["muscle"][0] / tracer.tissue["muscle"][1] for tracer in many])
    assert np.quantile(space, 0.1) < 0.4
    assert np.quantile(space, 0.9) > 2.0


def test_radionuclides_have_their_half_lives(many: list[Tracer]) -> None:
    assert {tracer.radionuclide for tracer in many} == {"F18", "C11", "Ga68", "Cu64"}
    for tracer in (*many[:20], *TRACERS.values()):
        assert tracer.half_life == pytest.approx(half_life(tracer.radionuclide), rel=5e-3)


def test_a_population_takes_a_tracer_of_its_own(many: list[Tracer]) -> None:
    mouse, _, protocol = draw(0, replace(HELD_OUT, tracer=many[0], rate_variation=0.0))
    assert mouse.tracer is many[0]
    assert protocol.half_life == many[0].half_life
    for organ, rates in many[0].tissue.items():
        found = mouse.kinetics[organ]
        assert (found.K1, found.k2, found.k3, found.k4, found.vB) == pytest.approx(rates)


def test_a_tracer_by_name_is_the_same_as_by_itself() -> None:
    first, second = (draw(1, replace(HELD_OUT, tracer=tracer)) for tracer in ("FDG", FDG))
    assert first.mouse.kinetics == second.mouse.kinetics
    assert first.mouse.blood == second.mouse.blood


def test_psma_is_trapped_in_kidneys_and_tumours_and_nowhere_else() -> None:
    influx = {organ: K1 * k3 / (k2 + k3) for organ, (K1, k2, k3, _, _) in TRACERS["PSMA"].tissue.items()}
    assert min(influx["kidney"], influx["tumour"]) > 0.02
    assert {organ for organ, value in influx.items() if value > 0.0} == {"kidney", "tumour", "spleen"}


@pytest.mark.parametrize("number", range(4))
def test_no_activity_of_a_random_tracer_is_lost(many: list[Tracer], number: int) -> None:
    tracer = many[number]
    kinetics = draw_kinetics(np.random.default_rng(number), tracer=tracer)
    injection = Injection(30.0, 20.0, paravenous=0.1)
    blood = CirculatingBlood(injection, Circulation(), kinetics, 22.0, float(tracer.plasma(600.0)))
    np.testing.assert_allclose(blood.total(TIME), 22.0 * injection.delivered(TIME), atol=1e-8 * 22.0)
    for organ in ORGANS:
        assert blood.within(organ, TIME).min() >= -1e-9
