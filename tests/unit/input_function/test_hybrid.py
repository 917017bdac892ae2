"""Peak from the left ventricle and tail from the liver, on region curves whose blood is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.input_function import METHODS, estimate
from dlif_core.input_function.hybrid import HybridOptions, join
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

DURATION = np.repeat([5.0, 20.0, 60.0, 300.0], [24, 9, 5, 8])
TIMING = FrameTiming(np.cumsum(DURATION) - DURATION, DURATION)
MOUSE = Acquisition("FDG", 6586.2, 6e6, 0.020, species="mouse")
MID = TIMING.mid
BLOOD = 3e6 * np.where(MID > 10, 1.0, 0.0) * (4.0 * np.exp(-MID / 30.0) + 0.7 * np.exp(-MID / 900.0) + 0.3)
WALL = 3e6 * (1.0 + MID / 600.0)


def scan(names: tuple[str, ...] = ("left_ventricle", "myocardium", "liver"), liver: float = 0.8) -> DynamicScan:
    """A ventricle that is blood to .65 and a liver that is blood times a number, but lacks the peak."""
    curves = {
        "left_ventricle": 0.65 * BLOOD + 0.35 * WALL,
        "myocardium": WALL,
        "liver": liver * np.minimum(BLOOD, 3e6),
    }
    rows = np.stack([curves[name] for name in names])
    return DynamicScan(TIMING, MOUSE, RegionCurves(names, rows, np.ones(len(names))))


@pytest.mark.parametrize("liver", [0.5, 1.3])
def test_blood_is_found_whatever_the_scale_of_the_liver(liver: float) -> None:
    found = estimate("hybrid", scan(liver=liver), ())
    averages = np.array(found.provenance["frame averages [Bq/mL]"])
    np.testing.assert_allclose(averages, BLOOD, rtol=1e-6)
    assert found.provenance["blood over liver"] == pytest.approx(1.0 / liver, rel=1e-3)
    assert 120 <= found.provenance["liver from [s]"] <= 300
    assert np.sqrt(np.mean((found.frame_average(TIMING)[0] - BLOOD) ** 2)) < 0.05 * BLOOD.max()
    assert any("as far as the liver follows blood" in warning for warning in found.warnings)


def test_the_tail_is_the_livers() -> None:
    rising = np.linspace(1.0, 2.0, len(TIMING))
    joined = join(BLOOD, rising, TIMING, (120.0, 300.0))
    late = TIMING.start >= 300.0
    np.testing.assert_allclose(joined.averages[late], joined.scale * rising[late])
    np.testing.assert_array_equal(joined.averages[TIMING.end <= 120.0], BLOOD[TIMING.end <= 120.0])


def test_regions_may_have_other_names() -> None:
    named = scan()
    regions = replace(named.regions, names=("LV", "wall", "hepar"))
    options = HybridOptions(ventricle="LV", wall="wall", liver="hepar")
    found = estimate("hybrid", replace(named, regions=regions), (), options)
    np.testing.assert_array_equal(found.whole_blood, estimate("hybrid", named, ()).whole_blood)


def test_what_it_cannot_serve_is_refused() -> None:
    with pytest.raises(InputError, match="no region 'liver'"):
        estimate("hybrid", scan(("left_ventricle", "myocardium")), ())
    with pytest.raises(InputError, match="can't be joined: 0 frames between 50"):
        estimate("hybrid", scan(), (), HybridOptions(begin=3000.0, end=3600.0))
    with pytest.raises(InputError, match="no activity in them"):
        estimate("hybrid", scan(liver=0.0), ())
    with pytest.raises(ConfigurationError, match="recovery"):
        METHODS["hybrid"].parse({"recovery": 0.0})
