"""Fits whose K1 or Ki no living tissue has are marked, values and all else stay; sound fits are not touched."""

from dataclasses import replace

import numpy as np
import pytest

from dlif_core.kinetics import FitSettings, FitStatus, VoxelFit, fit_regions, prepare
from dlif_core.kinetics.plausible import marked
from dlif_core.scan import Acquisition, DynamicScan
from tests.unit.kinetics.truth import F18, MOUSE, FilterColumns, many_regions, mouse_input, scan_of

BLOOD = mouse_input()
COLUMNS = FilterColumns(MOUSE, BLOOD)
PLASMA = MOUSE.average(BLOOD.time, BLOOD.plasma)
PATLAK = FitSettings("patlak", t_star=10.0)
SOUND, TOO_HIGH, BEYOND_ALL = FitStatus.CONVERGED, FitStatus.IMPLAUSIBLE, FitStatus.IMPLAUSIBLE


def scan(tracer: str, *influx: float) -> DynamicScan:
    """Region curves that are exact Patlak curves."""
    regions = many_regions(np.array([ki * COLUMNS.integral + 0.4 * PLASMA for ki in influx]))
    return replace(scan_of(regions), acquisition=Acquisition(tracer, F18))


@pytest.mark.parametrize(
    ("tracer", "expected"),
    [("[18F]FDG", [SOUND, SOUND, TOO_HIGH, BEYOND_ALL]), ("FLT", [SOUND, SOUND, SOUND, BEYOND_ALL])],
)
def test_influx_that_no_tissue_has_is_marked_in_regions_and_voxels(tracer: str, expected: list[FitStatus]) -> None:
    influx = (0.025, 0.9, 3.68, 25.0)
    given = scan(tracer, *influx)
    regions = fit_regions(given, BLOOD, PATLAK)
    voxels = VoxelFit(prepare(given, BLOOD, PATLAK)).fit(given.regions.activity.T)
    for found in (regions["status"].to_numpy(), voxels["status"]):
        assert found.tolist() == expected
    for values in (regions["Ki"], voxels["Ki"]):
        np.testing.assert_allclose(values, influx, rtol=1e-6)


def test_blood_in_the_wrong_unit_makes_k1_implausible() -> None:
    """Blood that is 100 times too low gives K1 of 30 in place of .3, the value that the curve was made with."""
    curve = 0.3 * COLUMNS.exponential(0.2)
    given = replace(scan_of(many_regions(curve[None])), acquisition=Acquisition("water", F18))
    low = replace(BLOOD, whole_blood=BLOOD.whole_blood / 100, plasma=BLOOD.plasma / 100)
    settings = FitSettings("1tcm", blood_volume=0.0)
    right, wrong = (fit_regions(given, blood, settings).isel(region=0) for blood in (BLOOD, low))
    assert float(right["K1"]) == pytest.approx(0.3, rel=1e-3)
    assert int(right["status"]) == FitStatus.CONVERGED
    assert float(wrong["K1"]) == pytest.approx(30, rel=1e-3)
    assert int(wrong["status"]) == FitStatus.IMPLAUSIBLE


def test_only_fits_that_ended_at_an_optimum_are_marked() -> None:
    status = np.array(list(FitStatus), np.uint8)
    values = {"Ki": np.full(len(status), -30.0), "vB": np.full(len(status), 99.0)}
    found = marked(status, values, {"Ki": 20.0})
    assert found.tolist() == [6, 6, 6, 3, 4, 5, 6]
    assert found.dtype == np.uint8
    assert marked(status, values | {"Ki": np.full(len(status), np.nan)}, {"Ki": 20.0}).tolist() == status.tolist()
