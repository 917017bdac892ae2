"""Scan objects: validated once, with messages for the person who owns the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dlif_core.errors import CurveError, ImageError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves, voxel_size

TIMING = FrameTiming([0, 10], [10, 20])
ACQUISITION = Acquisition("FDG", 6586.2)
REGIONS = RegionCurves(("liver", "brain"), np.ones((2, 2)), np.array([1.0, np.nan]))


def test_suv_factor() -> None:
    mouse = Acquisition("FDG", 6586.2, injected_activity=10e6, body_weight=0.022)
    assert mouse.suv_factor == pytest.approx(2.2e-6)  # 22 g / 10 MBq


@pytest.mark.parametrize(("dose", "weight"), [(None, 1), (1, None), (0, 1), (1, 0)])
def test_no_suv_without_dose_and_weight(dose: float | None, weight: float | None) -> None:
    assert Acquisition("FDG", 1, dose, weight).suv_factor is None


@pytest.mark.parametrize("half_life", [0, -1, np.nan, None, "F18", True])
def test_a_half_life_is_above_zero(half_life: object) -> None:
    with pytest.raises(InputError, match="half_life") as caught:
        Acquisition("FDG", half_life)
    assert "seconds" in caught.value.hint


@pytest.mark.parametrize("value", [-1, np.nan, np.inf, "10 MBq"])
@pytest.mark.parametrize("name", ["injected_activity", "body_weight"])
def test_dose_and_weight_are_numbers(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        Acquisition("FDG", 6586.2, **{name: value})


@pytest.mark.parametrize("name", ["tracer", "species"])
def test_a_name_that_is_none_is_unknown_and_one_that_is_no_text_is_refused(name: str) -> None:
    given = {"tracer": "FDG", "half_life": 6586.2, "species": "mouse"}
    assert getattr(Acquisition(**given | {name: None}), name) == ""
    with pytest.raises(InputError, match=f"{name} is 3") as caught:
        Acquisition(**given | {name: 3})
    assert "None" in caught.value.hint


@pytest.mark.parametrize(
    ("names", "activity", "volume", "word"),
    [
        (("a", "a"), np.ones((2, 3)), np.ones(2), "not unique"),
        (("a",), np.ones((2, 3)), np.ones(2), "1 region names, but curves of shape"),
        ((), np.ones((0, 3)), np.ones(0), "there is no region"),
        (("a",), [["high", "low"]], np.ones(1), "activity does not hold numbers"),
        (("a", "b"), [[1.0, 2.0], [1.0]], np.ones(2), "activity does not hold numbers"),
        (("a", "b"), np.ones((2, 3)), np.ones(3), "2 region names"),
        (("a",), np.ones(3), np.ones(1), "shape"),
        (("a", "b"), np.array([[1, 2], [1, np.nan]]), np.ones(2), "region 'b' holds values that are not finite"),
    ],
)
def test_region_curves_that_do_not_fit(
    names: tuple[str, ...], activity: np.ndarray, volume: np.ndarray, word: str
) -> None:
    with pytest.raises(CurveError, match=word) as caught:
        RegionCurves(names, activity, volume, source="curves.tsv")
    assert caught.value.where == "curves.tsv"


def test_region_curves_are_copied() -> None:
    activity = np.ones((1, 2))
    regions = RegionCurves(("a",), activity, np.ones(1))
    activity[:] = 5
    np.testing.assert_array_equal(regions.activity, 1)


def test_a_scan_needs_no_image() -> None:
    assert DynamicScan(TIMING, ACQUISITION, REGIONS).activity is None


@pytest.mark.parametrize(
    ("image", "labels", "word"),
    [
        ((2, 3, 4), None, "four dimensions"),
        ((3, 3, 4, 5), None, "3 frames, its timing 2"),
        ((2, 3, 4, 5), (3, 4, 6), "label map"),
    ],
)
def test_images_that_do_not_fit(image: tuple[int, ...], labels: tuple[int, ...] | None, word: str) -> None:
    label_map = None if labels is None else np.zeros(labels, dtype=np.int32)
    with pytest.raises(ImageError, match=word):
        DynamicScan(TIMING, ACQUISITION, REGIONS, np.zeros(image), np.eye(4), label_map)


def test_region_curves_with_other_frames() -> None:
    with pytest.raises(CurveError, match="3 frames, the scan 2"):
        DynamicScan(TIMING, ACQUISITION, RegionCurves(("a",), np.ones((1, 3)), np.ones(1)))


@settings(deadline=None)
@given(st.tuples(*[st.floats(0.1, 10)] * 3), st.tuples(*[st.floats(-3, 3)] * 3), st.booleans())
def test_voxel_size_does_not_depend_on_orientation(
    edges: tuple[float, ...], angles: tuple[float, ...], flipped: bool
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix() @ np.diag(edges)
    affine[:3, 0] *= -1 if flipped else 1
    np.testing.assert_allclose(voxel_size(affine), edges[::-1])
    scan = DynamicScan(TIMING, ACQUISITION, REGIONS, np.zeros((2, 3, 4, 5)), affine)
    np.testing.assert_allclose(scan.voxel_size, edges[::-1])
