"""Numbers that are not finite: refused where nobody said that they may be missing."""

import json
import math

import numpy as np
import pytest
import xarray as xr

from dlif_core.errors import NotFiniteError
from dlif_core.finite import nulled, require_finite, to_json


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_json_names_the_number_that_is_not_finite(value: float) -> None:
    with pytest.raises(NotFiniteError, match=r"^model\.json: 'scores\.band\.1' is -?(nan|inf)"):
        to_json({"name": "x", "scores": {"band": [1.0, value]}}, where="model.json")


def test_missing_numbers_become_null_in_output_and_the_rest_stays() -> None:
    content = {"Ki": math.nan, "rows": ({"VT": 1.5, "se": math.inf}, None, True, "nan")}
    expected = {"Ki": None, "rows": [{"VT": 1.5, "se": None}, None, True, "nan"]}
    assert json.loads(to_json(nulled(content), where="output")) == expected


class TestDataset:
    DATASET = xr.Dataset(
        {"Ki": ("region", [0.1, np.nan]), "Ki_se": ("region", [np.nan, np.nan]), "status": ("region", [0, 5])},
        coords={"region": ["brain", "liver"]},
    )

    def test_a_variable_that_may_miss_values_is_named(self) -> None:
        require_finite(self.DATASET, ("Ki", "*_se"), where="product")

    def test_any_other_is_refused(self) -> None:
        with pytest.raises(NotFiniteError, match="product: 1 of 2 values of Ki are not finite"):
            require_finite(self.DATASET, ("*_se",), where="product")

    def test_coordinates_and_attributes_are_checked_too(self) -> None:
        with pytest.raises(NotFiniteError, match="values of time"):
            require_finite(xr.Dataset(coords={"time": [0.0, np.inf]}), where="product")
        with pytest.raises(NotFiniteError, match="'half_life' is inf"):
            require_finite(xr.Dataset(attrs={"half_life": math.inf}), where="product")
