"""The learned input function of an image in memory and in dask, by the shipped model."""

import dask.array as da
import numpy as np
import pytest

import dlif_core as dlif
from dlif_core.phantom import TRAINING, draw, simulate

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore::dlif_core.errors.DlifWarning")
def test_of_a_simulated_mouse_is_near_the_truth() -> None:
    mouse = simulate(*draw(5, TRAINING))
    given = {"units": "Bq/mL", "acquisition": mouse.acquisition, "affine": mouse.grid.affine}
    timing = mouse.protocol.timing
    curve = dlif.estimate_input_function(dlif.from_arrays(mouse.activity, timing, **given), "learned")
    lazy = da.from_array(mouse.activity, chunks=(7, 16, 16, 16))
    other = dlif.estimate_input_function(dlif.from_arrays(lazy, timing, **given), "learned")
    np.testing.assert_allclose(other.whole_blood, curve.whole_blood, rtol=1e-4)
    area, true = (np.trapezoid(blood.whole_blood, blood.time) for blood in (curve, mouse.truth.input_function))
    assert area == pytest.approx(true, rel=0.2)
    assert curve.lower is not None
