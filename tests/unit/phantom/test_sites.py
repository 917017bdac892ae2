"""Laboratories: the same by their numbers, narrow within and wide among them, with margins and with other tracers."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.networks.training.examples import make_example
from dlif_core.phantom import Population, Span, draw
from dlif_core.phantom.shapes import Tube
from dlif_core.phantom.sites import Sites
from dlif_core.phantom.tracers import Tracer

USUAL = Sites("laboratories", stream=202)
WIDE = Sites("laboratories", stream=202, margin=0.25, other_tracers=0.25)
MANY = 300


def spans(part: object, name: str = "") -> Iterator[tuple[str, Span]]:
    """Every span of a population, and where it stands."""
    if isinstance(part, Span):
        yield name, part
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from spans(value, f"{name}.{key}")
    elif is_dataclass(part) and not isinstance(part, Tracer):
        for one in fields(part):
            yield from spans(getattr(part, one.name), f"{name}.{one.name}")


def middles(laboratories: Sites, name: str) -> np.ndarray:
    """Middle of one span at many sites."""
    found = (dict(spans(laboratories.site(number)))[name] for number in range(MANY))
    return np.array([np.mean(span.intervals[0]) for span in found])


@pytest.fixture(scope="module")
def wide() -> list[Population]:
    return [WIDE.site(number) for number in range(MANY)]


def test_a_laboratory_is_the_same_whenever_it_is_asked_for() -> None:
    assert USUAL.site(3) == USUAL.site(3)
    assert USUAL.site(3) != USUAL.site(4)
    assert Sites("laboratories", stream=202, animals=8).of(31) == USUAL.site(3)


def test_no_margin_is_the_usual_ranges() -> None:
    assert Sites("laboratories", stream=202, margin=0.0).site(5) == USUAL.site(5)


def test_scans_of_laboratories_stay_what_they_were() -> None:
    """Networks are trained and calibrated on scans by their seeds; these numbers belong to seeds of theirs."""
    mouse = draw(12, USUAL).mouse
    found = [mouse.body_weight, mouse.kinetics["liver"].K1, mouse.anatomy[-1].bounds[0][0], len(mouse.anatomy)]
    assert found == pytest.approx([0.0227324703108, 0.5348403830877, -3.4777090491808, 67], rel=1e-9)


@pytest.mark.parametrize(
    ("name", "low", "high", "width"),
    [
        (".anatomy.wall", 0.7, 1.5, 0.8),
        (".circulation.cardiac_output", 8.0, 22.0, 14.0),
        (".acquisition.resolution", 0.7, 1.5, 0.8),
    ],
)
def test_a_margin_widens_ranges_on_both_sides(name: str, low: float, high: float, width: float) -> None:
    usual, wide = middles(USUAL, name), middles(WIDE, name)
    assert low <= usual.min() < low + 0.03 * width
    assert high - 0.03 * width < usual.max() <= high
    assert low - 0.25 * width <= wide.min() < low - 0.2 * width
    assert high + 0.2 * width < wide.max() <= high + 0.25 * width


def test_a_margin_leaves_shares_and_choices(wide: list[Population]) -> None:
    for number, site in enumerate(wide):
        usual = USUAL.site(number)
        assert site.injection.vein == usual.injection.vein
        assert site.fasted_share == usual.fasted_share
        assert site.acquisition.schedules == usual.acquisition.schedules
        assert site.acquisition.log_normal == usual.acquisition.log_normal
        for name in ("carotid", "right_wall", "atria", "bone", "cranial_vena_cava"):
            nothing = Span((0.0, 0.0))
            assert (getattr(site.anatomy, name) == nothing) == (getattr(usual.anatomy, name) == nothing)


def test_nothing_impossible_comes_of_a_margin(wide: list[Population]) -> None:
    for site in wide:
        assert site.rate_variation > 0.0
        for name, span in spans(site):
            assert all(low <= high for low, high in span.intervals), name
        assert min(low for low, _ in site.circulation.clearance.intervals) >= 0.0


def test_every_animal_of_wide_laboratories_can_be_drawn() -> None:
    for seed in range(MANY):
        mouse, grid, protocol = draw(seed, WIDE)
        for shape in mouse.anatomy:
            assert (shape.radius if isinstance(shape, Tube) else shape.semi_axes.min()) > 0.0
        for organ, rates in mouse.kinetics.items():
            assert min(rates.K1, rates.k2, rates.k3, rates.k4, rates.vB, rates.transfer) >= 0.0, organ
            assert rates.vB <= 1.0, organ
        assert min(*grid.voxel_size, *protocol.resolution) > 0.2
        assert min(grid.extent) > 19.0


@pytest.mark.parametrize("seed", [2, 17])
def test_animals_of_wide_laboratories_can_be_scanned(seed: int) -> None:
    example = make_example(seed, WIDE)
    assert example.scan.activity.isfinite().all()
    assert (example.scan.activity >= 0.0).all()
    assert 0.5 < example.whole_blood.max() < 60.0
    assert example.whole_blood.min() >= -1e-6


@pytest.mark.parametrize("margin", [-0.1, 0.3, float("nan")])
def test_impossible_margin_is_refused(margin: float) -> None:
    with pytest.raises(ConfigurationError, match="can't have a margin"):
        Sites("laboratories", stream=202, margin=margin)


def test_a_share_of_the_laboratories_uses_other_tracers(wide: list[Population]) -> None:
    others = [site.tracer for site in wide if isinstance(site.tracer, Tracer)]
    assert len(others) / MANY == pytest.approx(0.25, abs=0.08)
    assert {site.tracer for site in wide if isinstance(site.tracer, str)} == {"FDG"}
    assert others[0].tissue != others[1].tissue
    assert all(USUAL.site(number).tracer == "FDG" for number in range(20))


def test_another_tracer_changes_nothing_else() -> None:
    named, other = Sites("laboratories", stream=202), Sites("laboratories", stream=202, other_tracers=1.0)
    for number in range(5):
        first, second = named.site(number), other.site(number)
        assert isinstance(second.tracer, Tracer)
        assert list(spans(first)) == list(spans(second))


def test_named_tracer_of_laboratories() -> None:
    assert draw(0, Sites("laboratories", stream=202, tracer="PSMA")).mouse.tracer.radionuclide == "Ga68"
