"""Laboratories with humans: chest and aorta in view, blood of human volume and flow, injected into an arm."""

import numpy as np
import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.networks.training.examples import load_example, make_example, save_example
from dlif_core.phantom import draw, simulate_coarse
from dlif_core.phantom.anatomy import ORGANS
from dlif_core.phantom.coarse import CoarseScan
from dlif_core.phantom.sites import Sites

HUMANS = Sites("humans", stream=990, species="human")
VOXEL = 10.0


@pytest.fixture(scope="module")
def scans() -> list[CoarseScan]:
    return [simulate_coarse(*draw(seed, HUMANS), voxel_size=(VOXEL,) * 3, noise=False) for seed in (0, 1)]


def millilitres(scan: CoarseScan, organ: str) -> float:
    return float(scan.fractions[1 + ORGANS.index(organ)].sum()) * VOXEL**3 / 1000.0


def test_a_laboratory_is_the_same_whenever_it_is_asked_for() -> None:
    assert HUMANS.site(3) == HUMANS.site(3)
    assert HUMANS.site(3) != HUMANS.site(4)


def test_laboratories_of_an_unknown_species_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no laboratories of species 'pig'"):
        Sites("pigs", stream=1, species="pig")


def test_every_laboratory_states_humans_and_their_tracer() -> None:
    for number in range(50):
        site = HUMANS.site(number)
        assert (site.species, site.tracer, site.injection.vein) == ("human", "human FDG", "arm")
        assert 40.0 < site.body_weight.intervals[0][0] < site.body_weight.intervals[0][1] < 115.0
        assert min(span.intervals[0][0] for span in site.acquisition.field_of_view) > 185.0


def test_heart_and_arch_of_the_aorta_are_in_view(scans: list[CoarseScan]) -> None:
    for scan in scans:
        assert 30.0 < millilitres(scan, "left_ventricle") < 350.0
        assert millilitres(scan, "myocardium") > 50.0
        assert millilitres(scan, "aorta") > 50.0


def test_the_right_heart_shows_the_bolus_before_the_aorta_does(scans: list[CoarseScan]) -> None:
    for scan in scans:
        blood = scan.mouse.blood
        time = np.arange(0.0, 240.0, 0.5)
        reached = [
            time[np.argmax(curve > 0.5 * curve.max())]
            for curve in (blood.within(pool, time) for pool in ("cranial_vena_cava", "right_ventricle", "aorta"))
        ]
        assert reached[0] < reached[1] < reached[2] - 3.0


def test_no_activity_is_lost_in_a_human(scans: list[CoarseScan]) -> None:
    for scan in scans:
        given = 1000.0 * scan.mouse.body_weight
        injection = scan.mouse.blood.injection
        time = injection.shift + injection.infusion + injection.gap + np.array([600.0, 3000.0])
        expected = given * injection.delivered(time)
        np.testing.assert_allclose(scan.mouse.blood.total(time), expected, rtol=1e-6)


def test_blood_falls_as_in_humans(scans: list[CoarseScan]) -> None:
    for scan in scans:
        shift = scan.mouse.blood.injection.shift
        ten, forty = scan.mouse.blood.curve(shift + np.array([600.0, 2400.0]))
        assert 1.5 < ten < 6.0
        assert 0.5 < forty < 3.5


def test_a_kept_example_knows_its_species(tmp_path) -> None:
    made = make_example(2, HUMANS)
    save_example(tmp_path / "one.npz", made)
    kept = load_example(tmp_path / "one.npz")
    assert kept.scan.subject == made.scan.subject
    assert kept.scan.subject.species == "human"
    assert min(kept.scan.activity.shape[1:]) >= 18
