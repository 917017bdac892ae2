"""The input function as a validated object, and its way through a dataset."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dlif_core.curve import InputFunction
from dlif_core.errors import CurveError
from dlif_core.frames import FrameTiming

values = st.floats(-1e9, 1e9)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@st.composite
def input_functions(draw: st.DrawFn) -> InputFunction:
    points = draw(st.integers(2, 12))
    steps = draw(arrays(float, points, elements=st.floats(1e-3, 1e3)))
    curve = arrays(float, points, elements=values)
    banded = draw(st.booleans())
    return InputFunction(
        time=np.cumsum(steps) + draw(st.floats(-1e3, 1e3)),
        whole_blood=draw(curve),
        plasma=draw(curve),
        method=draw(texts),
        lower=draw(curve) if banded else None,
        upper=draw(curve) if banded else None,
        samples=draw(arrays(float, (draw(st.integers(1, 4)), points), elements=values)) if banded else None,
        provenance=draw(st.dictionaries(texts, st.integers() | texts | st.booleans(), max_size=3)),
        warnings=tuple(draw(st.lists(texts, max_size=3))),
        with_metabolites=draw(st.booleans()),
    )


def assert_same(found: InputFunction, expected: InputFunction) -> None:
    for name in ("time", "whole_blood", "plasma", "lower", "upper", "samples"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.method, found.provenance, found.warnings, found.with_metabolites) == (
        expected.method,
        dict(expected.provenance),
        expected.warnings,
        expected.with_metabolites,
    )


@settings(deadline=None)
@given(input_functions())
def test_a_dataset_keeps_everything(curve: InputFunction) -> None:
    assert_same(InputFunction.from_dataset(curve.to_dataset()), curve)


def test_zarr_keeps_everything(tmp_path: Path) -> None:
    curve = InputFunction(
        [0, 1, 2], [1, 2, 3], [4, 5, 6], "arterial", provenance={"parent_fraction": "hill"}, warnings=("one", "two")
    )
    curve.to_dataset().to_zarr(tmp_path / "curve.zarr", zarr_format=3, consolidated=False)
    with xr.open_zarr(tmp_path / "curve.zarr", consolidated=False) as dataset:
        assert_same(InputFunction.from_dataset(dataset.load()), curve)


def test_every_variable_says_what_it_is() -> None:
    dataset = InputFunction([0, 1], [1, 2], [3, 4], "m", [0, 1], [2, 3], [[1, 2]]).to_dataset()
    for variable in dataset.variables.values():
        assert variable.attrs["units"] in ("Bq/mL", "s")
        assert variable.attrs["long_name"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"time": [0.0]}, "points"),
        ({"time": [0.0, 1, 1]}, "strictly increasing"),
        ({"time": [0.0, 2, 1]}, "strictly increasing"),
        ({"time": [0.0, 1, np.nan]}, "finite"),
        ({"whole_blood": [1.0, 2]}, "whole_blood has shape"),
        ({"plasma": [1.0, np.inf, 2]}, "plasma holds values that are not finite"),
        ({"lower": [1.0, np.nan, 2]}, "lower"),
        ({"plasma": ["low", "high", "low"]}, "plasma does not hold numbers"),
        ({"time": [[0.0], [1, 2]]}, "time does not hold numbers"),
        ({"time": 0.0}, "time has shape"),
        ({"samples": [1.0, 2, 3]}, "samples has shape"),
        ({"samples": [[1.0, 2]]}, "samples has shape"),
    ],
)
def test_unusable_curves(change: dict[str, list[float]], word: str) -> None:
    fields = {"time": [0.0, 1, 2], "whole_blood": [1.0, 2, 3], "plasma": [1.0, 2, 3], "method": "arterial"}
    with pytest.raises(CurveError, match=word) as caught:
        InputFunction(**(fields | change))
    assert caught.value.where == "arterial"


def test_one_point_is_no_curve() -> None:
    with pytest.raises(CurveError, match="at least two"):
        InputFunction([0], [1], [1], "m")


def test_values_can_not_be_changed() -> None:
    time = np.array([0.0, 1])
    curve = InputFunction(time, [1, 2], [3, 4], "m")
    time[0] = -5
    assert curve.time[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        curve.plasma[0] = 9


@settings(deadline=None)
@given(input_functions(), st.floats(-60, 60))
def test_a_shift_moves_the_curve_in_time(curve: InputFunction, delay: float) -> None:
    shifted = curve.shifted(delay)
    np.testing.assert_array_equal(shifted.time, curve.time + delay)
    np.testing.assert_array_equal(shifted.plasma, curve.plasma)
    assert shifted.provenance == curve.provenance


def test_frame_average_of_a_ramp() -> None:
    curve = InputFunction([0, 10, 20], [0, 10, 20], [0, 20, 40], "m")
    whole_blood, plasma = curve.frame_average(FrameTiming([0, 5, 20], [5, 15, 10]))
    np.testing.assert_allclose(whole_blood, [2.5, 12.5, 20])
    np.testing.assert_allclose(plasma, [5, 25, 40])
