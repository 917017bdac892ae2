"""Population input functions: scale and availability."""

import numpy as np
import pytest

from dlif_core.blood_samples import BloodRecording
from dlif_core.errors import BloodError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.input_function import estimate
from dlif_core.input_function.population import FDG_SHAPES, PopulationOptions
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

TIMING = FrameTiming(np.arange(0, 2400, 60.0), np.full(40, 60.0))
MOUSE = Acquisition("[18F]FDG", 6586.2, 8e6, 0.020, species="mouse")
HUMAN = Acquisition("FDG", 6586.2, 2e8, 80.0, species="human")


def scan(acquisition: Acquisition) -> DynamicScan:
    return DynamicScan(TIMING, acquisition, RegionCurves(("a",), np.zeros((1, 40)), np.ones(1)))


def sample(time: float, **columns: float) -> BloodRecording:
    return BloodRecording("manual", True, np.array([time]), **{name: np.array([v]) for name, v in columns.items()})


def test_mouse_curve_has_the_measured_area_at_its_dose_and_weight() -> None:
    """51 SUV·min to 40 min; one SUV is 8 MBq / 20 g = 4e5 Bq/mL."""
    found = estimate("population", scan(MOUSE), ())
    assert np.trapezoid(found.whole_blood, found.time) / 60 == pytest.approx(51 * 4e5, rel=0.02)
    assert np.interp(600, found.time, found.whole_blood) == pytest.approx(1.6 * 4e5, rel=0.02)
    ratio = 0.386 * np.exp(-0.191 * found.time / 60) + 1.165
    np.testing.assert_allclose(found.plasma, found.whole_blood * ratio)
    assert any("a population's" in warning for warning in found.warnings)


@pytest.mark.parametrize("acquisition", [MOUSE, HUMAN])
@pytest.mark.parametrize("quantity", ["whole_blood", "plasma"])
def test_one_sample_scales_the_curve_through_itself(acquisition: Acquisition, quantity: str) -> None:
    found = estimate(
        "population", scan(acquisition), (sample(1210.0, **{quantity: 7e5}),), PopulationOptions(scale_sample=1200)
    )
    assert np.interp(1210, found.time, getattr(found, quantity)) == pytest.approx(7e5, rel=1e-3)
    shape = estimate("population", scan(acquisition), ())
    ratio = found.whole_blood[1:] / shape.whole_blood[1:].clip(1e-9)
    late = shape.whole_blood[1:] > 0
    np.testing.assert_allclose(ratio[late], ratio[-1])


@pytest.mark.parametrize(("acquisition", "taken"), [(MOUSE, "whole_blood"), (HUMAN, "plasma")])
def test_of_two_measured_quantities_the_one_that_the_population_describes_is_taken(
    acquisition: Acquisition, taken: str
) -> None:
    """Whole blood in mice, plasma in humans; the other of both does not agree with the population's ratio."""
    both = sample(1200.0, whole_blood=7e5, plasma=9e5)
    found = estimate("population", scan(acquisition), (both,), PopulationOptions(scale_sample=1200))
    measured = {"whole_blood": 7e5, "plasma": 9e5}[taken]
    assert np.interp(1200, found.time, getattr(found, taken)) == pytest.approx(measured, rel=1e-3)
    scaling = found.provenance["scaling"]
    assert (scaling["quantity"], scaling["time [s]"], scaling["Bq/mL"]) == (taken, 1200.0, measured)


def test_a_sample_before_the_bolus_of_the_population_gives_no_scale() -> None:
    """The mouse's bolus arrives 37 s after injection."""
    with pytest.raises(BloodError, match="the population curve is still zero at 30 s"):
        estimate("population", scan(MOUSE), (sample(30.0, whole_blood=3e5),), PopulationOptions(scale_sample=30))


def test_scaling_by_a_sample_needs_no_dose() -> None:
    without = Acquisition("FDG", 6586.2, species="mouse")
    estimate("population", scan(without), (sample(1200.0, whole_blood=3e5),), PopulationOptions(scale_sample=1200))
    with pytest.raises(InputError, match="injected activity or body weight is unknown"):
        estimate("population", scan(without), ())


@pytest.mark.parametrize("time", [300.0, 1500.0])
def test_a_sample_far_from_the_asked_time_is_refused(time: float) -> None:
    with pytest.raises(BloodError, match=f"near 1200 s; the nearest is at {time:g} s"):
        estimate("population", scan(MOUSE), (sample(time, whole_blood=3e5),), PopulationOptions(scale_sample=1200))


@pytest.mark.parametrize(("tracer", "species"), [("MC1", "human"), ("FDG", "pig"), ("FDG", "")])
def test_no_population_means_unavailable(tracer: str, species: str) -> None:
    with pytest.raises(InputError, match="no population curve for"):
        estimate("population", scan(Acquisition(tracer, 6586.2, 1e7, 0.02, species=species)), ())


@pytest.mark.parametrize("given", [0.0, 30.0, 75.0])
def test_the_curve_begins_when_activity_arrives(given: float) -> None:
    """The least that a region shows: it has no blood of its own, and keeps all that it takes up."""
    seconds = np.arange(0.0, 2700.0, 5.0)
    timing = FrameTiming(seconds, np.full(len(seconds), 5.0))
    uptake = 5e3 * np.cumsum(FDG_SHAPES["mouse"].feng.curve(timing.mid - given + 30.0))
    found = estimate("population", DynamicScan(timing, MOUSE, RegionCurves(("a",), uptake[None], np.ones(1))), ())
    rise = np.interp(
        0.5 * found.whole_blood.max(),
        found.whole_blood[: found.whole_blood.argmax()],
        found.time[: found.whole_blood.argmax()],
    )
    truth = FDG_SHAPES["mouse"].feng.curve(np.arange(0.0, 300.0, 0.5))
    expected = 0.5 * np.argmax(truth > 0.5 * truth.max()) - 30.0 + given
    assert rise == pytest.approx(expected, abs=15.0)
    assert found.provenance["arrival of the bolus [s]"] != "not seen, taken as in the source"


def test_an_arrival_that_is_not_seen_is_taken_as_in_the_source() -> None:
    found = estimate("population", scan(MOUSE), ())
    assert found.provenance["arrival of the bolus [s]"] == "not seen, taken as in the source"
