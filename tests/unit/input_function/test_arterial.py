"""The arterial input function on blood whose merge, parent fraction and tail are known."""

import json

import numpy as np
import pytest

from dlif_core.blood_samples import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError, InputError, UnitError
from dlif_core.frames import FrameTiming
from dlif_core.input_function import estimate
from dlif_core.input_function.arterial import ArterialOptions
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

END = 5400.0
FDG = Acquisition("FDG", 6586.2, 3e8, 70.0, species="human")
MC1 = Acquisition("MC1", 1220.0, 7e8, 70.0, species="human")
MOUSE = Acquisition("FDG", 6586.2, 8e6, 0.022, species="mouse")
SAMPLES = np.array([10.0, 20, 30, 40, 60, 90, 120, 300, 600, 1200, 1800, 3600, 5400])


def scan(acquisition: Acquisition = MC1, end: float = END) -> DynamicScan:
    timing = FrameTiming(np.arange(0, end, 60), np.full(int(end / 60), 60.0))
    return DynamicScan(timing, acquisition, RegionCurves(("brain",), np.zeros((1, len(timing))), np.ones(1)))


def blood(time: np.ndarray) -> np.ndarray:
    """A bolus with a mono-exponential tail of 0.01 per min."""
    return np.asarray(np.where(time < 30, 3e3 * time, 9e4 * np.exp(-(time - 30) / 40) + 1e4 * np.exp(-time / 6000)))


def parent(time: np.ndarray) -> np.ndarray:
    minutes = time / 60
    return np.asarray(1 - 0.7 * minutes**2 / (15**2 + minutes**2))


def manual(time: np.ndarray = SAMPLES, **columns: object) -> BloodRecording:
    values = {"whole_blood": blood(time), "plasma": 1.3 * blood(time), "parent_fraction": parent(time)} | columns
    return BloodRecording("manual", True, time, **values, source="sub-01_blood.tsv")


def at(curve: InputFunction, name: str, time: np.ndarray) -> np.ndarray:
    return np.interp(time, curve.time, getattr(curve, name))


def test_parent_plasma_is_total_plasma_times_the_parent_fraction() -> None:
    found = estimate("arterial", scan(), (manual(),))
    np.testing.assert_allclose(at(found, "whole_blood", SAMPLES), blood(SAMPLES), rtol=1e-9)
    np.testing.assert_allclose(at(found, "plasma", SAMPLES), 1.3 * blood(SAMPLES) * parent(SAMPLES), rtol=1e-4)
    between = np.linspace(0, END, 3001)
    line = np.interp(between, [0, *SAMPLES], [0, *1.3 * blood(SAMPLES)])  # activity is linear between samples
    np.testing.assert_allclose(at(found, "plasma", between), line * parent(between), rtol=1e-3, atol=1.0)
    assert found.warnings == ()
    assert found.time[0] == 0
    assert found.whole_blood[0] == 0
    assert found.time[-1] == END


def test_autosampler_whole_blood_becomes_plasma_by_the_measured_ratio() -> None:
    seconds = np.arange(0.0, 601.0)
    ratio = 1.2 + SAMPLES / 10000
    recordings = (
        BloodRecording("autosampler", True, seconds, blood(seconds)),
        manual(plasma=ratio * blood(SAMPLES), parent_fraction=None),
    )
    found = estimate("arterial", scan(FDG), recordings)
    expected = blood(seconds) * np.interp(seconds, SAMPLES, ratio)
    np.testing.assert_allclose(at(found, "plasma", seconds), expected, rtol=1e-9)
    assert found.provenance["total plasma"]["from"] == "whole blood times measured ratio (interpolation)"
    constant = estimate("arterial", scan(FDG), recordings, ArterialOptions(plasma_ratio="constant"))
    np.testing.assert_allclose(at(constant, "plasma", seconds), blood(seconds) * np.median(ratio), rtol=1e-9)


def test_venous_samples_change_nothing() -> None:
    venous = BloodRecording("venous", False, np.array([1.0, 5000.0]), np.array([1e9, 1e9]))
    with_venous, without = (estimate("arterial", scan(), r) for r in ((venous, manual()), (manual(),)))
    np.testing.assert_array_equal(with_venous.plasma, without.plasma)


@pytest.mark.parametrize(("last", "works"), [(4500.0, True), (4200.0, False)])
def test_extrapolation_is_recorded_and_limited(last: float, works: bool) -> None:
    time = np.append(SAMPLES[SAMPLES < 3600], [3000.0, 3600.0, 4000.0, last])
    recordings = (manual(time),)
    if not works:
        with pytest.raises(BloodError, match="the scan ends at 5400 s: 22% of the scan") as error:
            estimate("arterial", scan(), recordings)
        assert error.value.where == "sub-01_blood.tsv"
        assert "max_extrapolation" in error.value.hint
    found = estimate("arterial", scan(), recordings, ArterialOptions(max_extrapolation=0.25))
    beyond = np.array([4600.0, 5000.0, 5400.0])
    np.testing.assert_allclose(at(found, "whole_blood", beyond), 1e4 * np.exp(-beyond / 6000), rtol=1e-3)
    assert any(f"extrapolated log-linearly from {last:g} s" in warning for warning in found.warnings)
    assert found.provenance["whole blood"]["extrapolation"]["rate [1/min]"] == pytest.approx(0.01, rel=1e-3)


def test_delay_shifts_the_curve_and_still_reaches_the_scan_end() -> None:
    plain, late = (estimate("arterial", scan(), (manual(),), ArterialOptions(delay_s=delay)) for delay in (0.0, 12.0))
    time = np.linspace(20, 5000, 400)
    np.testing.assert_allclose(at(late, "whole_blood", time + 12), at(plain, "whole_blood", time), rtol=1e-9)
    assert late.time[-1] == END
    early = estimate("arterial", scan(), (manual(),), ArterialOptions(delay_s=-12.0))
    assert early.time[-1] == END


def test_mouse_fdg_whole_blood_alone_becomes_plasma_by_the_formula() -> None:
    found = estimate("arterial", scan(MOUSE), (manual(plasma=None, parent_fraction=None),))
    expected = found.whole_blood * (0.386 * np.exp(-0.191 * found.time / 60) + 1.165)
    np.testing.assert_allclose(found.plasma, expected, rtol=1e-12)
    assert found.warnings == ()


def test_what_was_not_measured_is_warned_of() -> None:
    found = estimate("arterial", scan(), (manual(plasma=None, parent_fraction=None),))
    np.testing.assert_array_equal(found.plasma, found.whole_blood)
    assert any("taken as equal" in warning for warning in found.warnings)
    assert any("no parent fraction was measured" in warning for warning in found.warnings)


def test_a_unit_mistake_between_the_columns_is_refused() -> None:
    recordings = (manual(whole_blood=1000 * blood(SAMPLES)),)
    with pytest.raises(UnitError, match="times mean whole blood"):
        estimate("arterial", scan(), recordings)
    found = estimate("arterial", scan(), recordings, accept=["tissue-to-blood"])
    assert any("check the units" in warning for warning in found.warnings)


def test_a_late_first_sample_is_warned_of() -> None:
    found = estimate("arterial", scan(), (manual(SAMPLES[2:]),))
    assert any("straight line from injection" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("recordings", "message"),
    [
        ((), "no blood was recorded"),
        ((manual(SAMPLES[:4]),), "4 arterial whole blood samples lie within the scan"),
        ((manual(SAMPLES + 40000),), "0 arterial whole blood samples lie within the scan.*from 40010"),
    ],
)
def test_blood_that_gives_no_curve_is_an_input_error(recordings: tuple[BloodRecording, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        estimate("arterial", scan(), recordings)


def test_a_curve_survives_its_dataset() -> None:
    found = estimate("arterial", scan(), (manual(),))
    again = InputFunction.from_dataset(found.to_dataset())
    np.testing.assert_array_equal(again.plasma, found.plasma)
    assert json.loads(json.dumps(again.provenance)) == found.provenance
