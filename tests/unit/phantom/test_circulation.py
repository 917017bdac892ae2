"""Circulation of a simulated mouse: mass balance, an ODE solver, transit times, and what real injections show."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dlif_core.errors import ConfigurationError
from dlif_core.phantom import TRAINING, CirculatingBlood, Circulation, CirculationRanges, Injection, Span, draw
from dlif_core.phantom.injection import InjectionRanges
from dlif_core.phantom.physiology import OrganKinetics, draw_kinetics, full_width_half_maximum

TIME = np.arange(0.0, 2730.0, 0.5)
WEIGHT = 22.0
USUAL = Circulation()


def blood(injection: Injection, circulation: Circulation = USUAL, *, inert: bool = False) -> CirculatingBlood:
    kinetics = draw_kinetics(np.random.default_rng(0), fasted_share=0.0, variation=1e-6)
    if inert:  # a tracer that stays in blood
        kinetics = {organ: OrganKinetics(vB=each.vB) for organ, each in kinetics.items()}
        circulation = replace(circulation, clearance=0.0)
    return CirculatingBlood(injection, circulation, kinetics, WEIGHT, 1.2)


def half_rise(curve: np.ndarray) -> float:
    return float(TIME[np.argmax(curve > 0.5 * curve.max())])


@pytest.mark.parametrize(
    "injection",
    [
        Injection(30.0, 5.0),
        Injection(30.0, 40.0, repeat=0.4, gap=90.0),
        Injection(-20.0, 20.0, paravenous=0.5),
        Injection(30.0, 20.0, vein="jugular"),
    ],
)
def test_no_activity_is_lost_and_none_is_made(injection: Injection) -> None:
    given = injection.delivered(TIME) * WEIGHT
    np.testing.assert_allclose(blood(injection).total(TIME), given, atol=1e-9 * WEIGHT)


def test_all_of_a_dose_is_delivered_in_the_end() -> None:
    for injection in (Injection(infusion=60.0), Injection(repeat=0.4), Injection(infusion=20.0, paravenous=0.8)):
        assert injection.delivered([-1.0, 30_000.0]) == pytest.approx([0.0, 1.0], abs=1e-9)


def test_a_depot_delivers_as_the_ode() -> None:
    injection = Injection(shift=10.0, infusion=40.0, paravenous=0.4, release=0.5)

    def flow(t: float, state: np.ndarray) -> list[float]:
        rate = (10.0 <= t < 50.0) / 40.0
        out = 0.5 / 60.0 * state[0]
        return [0.4 * rate - out, 0.6 * rate + out]

    solution = solve_ivp(flow, (0, 400), [0.0, 0.0], t_eval=[5, 30, 60, 200, 400], max_step=0.2, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(injection.delivered(solution.t), solution.y[1], atol=2e-4)


def test_an_inert_tracer_fills_the_blood_volume_evenly() -> None:
    found = blood(Injection(0.0, 10.0), inert=True)
    for organ in ("aorta", "vena_cava", "right_ventricle", "muscle", "liver", "lung"):
        assert found.within(organ, 1500.0) == pytest.approx(1.0 / 0.08, rel=1e-3)


def test_an_injection_into_a_tail_meets_the_flow_of_the_vena_cava_alone() -> None:
    """Before much returns, activity over flow is the concentration, and the heart sees it diluted by the rest."""
    found = blood(Injection(0.0, 60.0), Circulation(cardiac_output=15.0, caval_share=0.3), inert=True)
    cava, right = found.within("vena_cava", 4.0), found.within("right_ventricle", 4.0)
    assert cava == pytest.approx(WEIGHT / (0.3 * 15.0), rel=0.1)
    assert right == pytest.approx(WEIGHT / 15.0, rel=0.15)


def test_the_lungs_delay_by_their_transit_time() -> None:
    """Of all that passes the heart, the mean time in the left heart is that in the right and the transit."""
    delay = {}
    for transit in (1.0, 3.0):
        found = blood(Injection(0.0, 1.0), Circulation(lung_transit=transit), inert=True)
        right, left = (found.within(organ, TIME) for organ in ("right_ventricle", "left_ventricle"))
        # what the left heart lacks of the right one's area, once blood is mixed, has been on its way
        delay[transit] = np.trapezoid(right - left, TIME) / left[-1]
    assert delay[3.0] - delay[1.0] == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(
    ("infusion", "ratio", "lead"), [(5.0, (2.5, 4.6), 3.0), (15.0, (1.6, 3.3), 5.0), (30.0, (1.4, 2.4), 8.5)]
)
def test_the_vena_cava_peaks_higher_and_earlier(infusion: float, ratio: tuple[float, float], lead: float) -> None:
    ratios, leads, hearts, late = [], [], [], []
    population = replace(
        TRAINING,
        circulation=CirculationRanges(),
        injection=InjectionRanges(shift=Span((30.0, 30.0)), infusion=Span((infusion, infusion))),
    )
    for seed in range(12):
        found = draw(seed, population).mouse.blood
        artery, cava, right = (found.within(organ, TIME) for organ in ("aorta", "vena_cava", "right_ventricle"))
        ratios.append(cava.max() / artery.max())
        hearts.append(right.max() / artery.max())
        leads.append(half_rise(artery) - half_rise(cava))
        late.append(np.interp([240.0, 600.0, 2400.0], TIME, cava) / np.interp([240.0, 600.0, 2400.0], TIME, artery))
    assert ratio[0] < np.median(ratios) < ratio[1]
    assert np.median(leads) == pytest.approx(lead, abs=1.5)
    assert 1.0 < np.median(hearts) < 1.15
    assert (np.median(late, axis=0) > 0.94).all()
    assert (np.median(late, axis=0) < 1.0).all()


def test_the_arterial_curve_is_that_of_the_measured_mouse() -> None:
    """Nothing is fitted to it: 3.5, 2.2, 1.6, .96, .50 SUV at 2, 5, 10, 20, 40 min, peak 8, width 47 s (one animal)."""
    curve = blood(Injection(30.0, 30.0)).curve(TIME)
    found = np.interp(37.0 + 60.0 * np.array([2.0, 5.0, 10.0, 20.0, 40.0]), TIME, curve)
    np.testing.assert_allclose(found, [3.5, 2.2, 1.6, 0.96, 0.50], rtol=0.35)
    assert curve.max() == pytest.approx(8.0, rel=0.25)
    assert full_width_half_maximum(TIME, curve) == pytest.approx(47.0, rel=0.25)


def test_given_above_the_heart_the_abdominal_vein_shows_recirculated_blood_only() -> None:
    found = blood(Injection(30.0, 10.0, vein="jugular"))
    artery, abdomen, neck = (found.within(organ, TIME) for organ in ("aorta", "vena_cava", "cranial_vena_cava"))
    assert abdomen.max() < 0.9 * artery.max()
    assert half_rise(abdomen) > half_rise(artery)
    assert neck.max() > 1.2 * artery.max()


def test_the_liver_is_fed_by_its_portal_vein() -> None:
    found = blood(Injection(30.0, 5.0))
    liver, kidney = (found.supplying(organ, TIME) for organ in ("liver", "kidney"))
    assert liver.max() < 0.7 * kidney.max()
    assert half_rise(liver) > half_rise(kidney)


def test_impossible_circulation_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="circulation is impossible"):
        Circulation(cardiac_output=0.0)
