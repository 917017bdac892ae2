"""The constructor of an input function from blood samples."""

import numpy as np
import pytest

import dlif_core as dlif
from dlif_core.errors import BloodError, UnitError
from tests.unit.api.tables import BLOOD
from tests.unit.kinetics.truth import MOUSE

END = float(MOUSE.end[-1])
TIME = np.array([10.0, 20, 30, 60, 120, 300, 600, 1200, 2400])
#: 100 e^(-t/1000 s) once the tracer is there, so that the tail is known in closed form [kBq/mL].
ACTIVITY = 100 * np.exp(-TIME / 1000)


def curve(**changes: object) -> dlif.InputFunction:
    given = {"units": "kBq/mL", "scan_end": 2700.0, "plasma": ACTIVITY} | changes
    return dlif.blood(TIME, ACTIVITY, **given)


@pytest.mark.filterwarnings("ignore::dlif_core.errors.DlifWarning")
class TestCurve:
    def test_starts_at_injection_with_zero_and_reaches_the_end(self) -> None:
        found = curve()
        assert (found.time[0], found.time[-1]) == (0.0, 2700.0)
        assert found.whole_blood[0] == found.plasma[0] == 0.0
        np.testing.assert_allclose(np.interp(5.0, found.time, found.whole_blood), 0.5e3 * ACTIVITY[0])

    def test_runs_through_the_samples(self) -> None:
        found = curve(plasma=1.2 * ACTIVITY)
        np.testing.assert_allclose(np.interp(TIME, found.time, found.whole_blood), 1e3 * ACTIVITY)
        np.testing.assert_allclose(np.interp(TIME, found.time, found.plasma), 1.2e3 * ACTIVITY)

    def test_follows_the_log_linear_tail(self) -> None:
        late = np.linspace(2450.0, 2700.0, 6)
        found = curve()
        np.testing.assert_allclose(
            np.interp(late, found.time, found.whole_blood), 1e5 * np.exp(-late / 1000), rtol=1e-3
        )
        assert found.provenance["whole blood"]["extrapolation"]["rate [1/min]"] == pytest.approx(0.06)

    def test_of_plasma_holds_unchanged_tracer_only(self) -> None:
        found = curve(parent_fraction=np.full(len(TIME), 0.4), parent_fraction_model="constant")
        np.testing.assert_allclose(np.interp(TIME, found.time, found.plasma), 0.4e3 * ACTIVITY, rtol=1e-6)

    def test_does_not_depend_on_units(self) -> None:
        other = dlif.blood(
            TIME / 60, 1e3 * ACTIVITY, 1e3 * ACTIVITY, units="Bq/mL", time_unit="min", scan_end=45, tracer="FDG"
        )
        np.testing.assert_allclose(other.plasma, curve().plasma, rtol=1e-9)

    def test_of_a_study_is_the_same(self) -> None:
        """Knots of a known curve give it back."""
        found = dlif.blood(BLOOD.time, BLOOD.whole_blood, BLOOD.plasma, units="Bq/mL", scan_end=END, tracer="FDG")
        np.testing.assert_allclose(found.frame_average(MOUSE)[1], BLOOD.frame_average(MOUSE)[1], rtol=1e-9)
        assert found.warnings == ()


def test_what_was_assumed_is_warned_of() -> None:
    with pytest.warns(dlif.DlifWarning) as caught:
        found = curve(tracer="MC1", plasma=None)
    texts = [str(warning.message) for warning in caught]
    assert texts == list(found.warnings)
    assert "whole blood is extrapolated log-linearly from 2400 s to 2700 s (11% of the scan)." in texts
    assert any("not both measured" in text for text in texts)
    assert any("no parent fraction was measured" in text for text in texts)
    assert {warning.filename for warning in caught} == {__file__}


def test_samples_that_end_early_are_refused() -> None:
    with pytest.raises(BloodError, match="the last arterial whole blood sample is at 2400 s, the scan ends at 5400 s"):
        curve(scan_end=5400)
    with pytest.warns(dlif.DlifWarning, match="extrapolated"):
        assert curve(scan_end=5400, max_extrapolation=0.6, tracer="FDG").time[-1] == 5400


@pytest.mark.parametrize(
    ("changes", "kind", "word"),
    [
        ({"units": None}, UnitError, "dlif.blood, units: no unit is given"),
        ({"units": "counts"}, UnitError, "'counts' is not a known unit"),
        ({"time_unit": "fortnight"}, UnitError, "'fortnight' is not a known unit of time"),
        ({"scan_end": None}, dlif.ConfigurationError, "scan_end is None"),
        ({"scan_end": np.inf}, dlif.ConfigurationError, "scan_end is inf"),
        ({"scan_end": -5}, dlif.ConfigurationError, "scan_end is -5"),
        ({"plasma": ACTIVITY[:-1]}, BloodError, "column plasma has 8 values for 9 times"),
        ({"plasma": ["much"] * 9}, BloodError, "column plasma does not hold numbers"),
        ({"parent_fraction": np.full(9, 40.0)}, BloodError, "They look like percent"),
        ({"plasma": -ACTIVITY}, BloodError, "plasma is negative"),
        ({"parent_fraction_model": "wish"}, dlif.ConfigurationError, "parent_fraction"),
        ({"max_extrapolatoin": 0.5}, dlif.ConfigurationError, "Did you mean 'max_extrapolation'"),
    ],
)
def test_what_can_not_be_is_refused(changes: dict[str, object], kind: type[Exception], word: str) -> None:
    with pytest.raises(kind, match=word):
        curve(**changes)


@pytest.mark.parametrize("time", [[], [1.0], 5.0, [[1, 2], [3, 4]]])
def test_too_few_samples_are_refused(time: object) -> None:
    with pytest.raises(BloodError):
        dlif.blood(time, time, units="kBq/mL", scan_end=60)
