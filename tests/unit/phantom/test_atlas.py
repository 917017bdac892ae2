"""Atlas mice: orientation, carved chambers, connected vessels, a camera that keeps activity, noise, laboratories."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import label

from dlif_core.phantom.anatomy import ORGANS
from dlif_core.phantom.atlas import Atlas, AtlasScan, atlas_site, draw_atlas_scan, load_atlas
from dlif_core.phantom.atlas.body import BodyPlan, paint_body
from dlif_core.phantom.atlas.camera import (
    Camera,
    Raster,
    label_names,
    part_weights,
    sample_body,
)
from dlif_core.phantom.atlas.deformation import Deformation, draw_deformation
from dlif_core.phantom.atlas.labels import CODE, LAYERS, PAINTED
from dlif_core.phantom.atlas.vessels import VesselRanges

pytestmark = pytest.mark.realdata

RASTER = Raster((62, 26, 30), (1.0, 1.0, 1.0), (0.0, -2.0, 0.3))
CHAMBERS = ("left_ventricle", "right_ventricle", "right_atrium", "left_atrium")
WEIGHTS = (19.0, 24.0, 28.0, 34.0)


@pytest.fixture(scope="module")
def atlas(real_data: Path) -> Atlas:
    """The labelled animal."""
    path = real_data / "digimouse" / "labels.nii.gz"
    if not path.is_file():
        pytest.skip(f"the label atlas is not at {path}; set DLIF_TEST_DATA to the folder of measured data")
    return load_atlas(path)


def painted(atlas: Atlas, seed: int) -> tuple[np.ndarray, Deformation]:
    """Codes of one animal, and its shape."""
    rng = np.random.default_rng(seed)
    weight = WEIGHTS[seed % len(WEIGHTS)]
    deformation = draw_deformation(rng, weight, (weight / 28.0) ** (-1 / 12))
    codes = paint_body(atlas, BodyPlan(VesselRanges().draw(rng), tumour=2.5), deformation, rng)
    return codes, deformation


def _in_atlas(atlas: Atlas, seed: int) -> tuple[np.ndarray, Atlas, Deformation]:
    codes, deformation = painted(atlas, seed)
    return codes, atlas, deformation


@pytest.fixture(scope="module")
def scan(atlas: Atlas) -> AtlasScan:
    """A whole fed mouse on large voxels, without noise and motion."""
    site = replace(atlas_site(4), voxel=(0.8, 0.8, 0.8), view=(-37.0, 36.0), fasted=False, motion=1e-6, habits=usual())
    return draw_atlas_scan(replace(site, camera=Camera((1.0, 1.0, 1.0))), 0, atlas, noise=False)


def usual() -> dict[str, np.ndarray]:
    return {name: np.ones(5) for name in label_names().values()}


def centre(atlas: Atlas, *names: str) -> np.ndarray:
    """Mean position of parts, z, y, x [mm]."""
    places = np.argwhere(np.isin(atlas.codes, [CODE[name] for name in names]))
    return (places.mean(axis=0) - atlas.heart) * atlas.spacing


def test_axes_point_to_head_belly_and_right(atlas: Atlas) -> None:
    assert centre(atlas, "brain")[0] > 15.0
    assert centre(atlas, "bladder", *LAYERS)[0] < -20.0
    assert centre(atlas, "kidney")[1] < centre(atlas, "myocardium")[1] < centre(atlas, "bladder", *LAYERS)[1]
    assert centre(atlas, "liver")[2] > 1.0
    assert centre(atlas, "stomach")[2] < -3.0
    assert centre(atlas, "spleen")[2] < -3.0


def test_labels_of_organs_are_those_of_the_ellipsoid_phantom() -> None:
    names = label_names()
    assert tuple(names[number] for number in range(1, len(ORGANS) + 1)) == ORGANS


@pytest.mark.parametrize("seed", range(4))
def test_chambers_have_the_volumes_of_a_mouse(atlas: Atlas, seed: int) -> None:
    """As the animal lies in the scanner; 35 µL are planned for its left ventricle."""
    raster = Raster((50, 50, 50), (0.4, 0.4, 0.4))
    samples = sample_body(*_in_atlas(atlas, seed), raster)
    volume = {name: (samples == CODE[name]).sum() * 0.4**3 / raster.steps**3 for name in CHAMBERS}
    assert volume["left_ventricle"] == pytest.approx(35.0, rel=0.12)
    assert 10.0 < volume["right_ventricle"] < 36.0
    assert 1.5 < volume["right_atrium"] < 15.0
    assert 1.5 < volume["left_atrium"] < 15.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("vessel", "chamber"),
    [("vena_cava", "right_atrium"), ("cranial_vena_cava", "right_atrium"), ("aorta", "left_ventricle")],
)
def test_vessels_reach_the_heart(atlas: Atlas, seed: int, vessel: str, chamber: str) -> None:
    """Nearly all of a vessel is one piece with its chamber, and reaches from there to the abdomen or the neck."""
    codes, _ = painted(atlas, seed)
    pieces, _ = label(np.isin(codes, [CODE[vessel], CODE[chamber]]), np.ones((3, 3, 3)))
    joined = pieces == np.bincount(pieces[codes == CODE[chamber]]).argmax()
    assert joined[codes == CODE[vessel]].mean() > 0.98
    z = atlas.position(0)[np.flatnonzero(joined.any(axis=(1, 2)))]
    assert z[-1] > 10.0 if vessel == "cranial_vena_cava" else z[0] < -25.0


def test_left_ventricle_lies_within_a_wall(atlas: Atlas) -> None:
    """Beyond the cavity comes myocardium, but for the aorta that leaves it."""
    codes, _ = painted(atlas, 2)
    cavity = codes == CODE["left_ventricle"]
    rim = np.zeros_like(cavity)
    for axis in range(3):
        for step in (-1, 1):
            rim |= np.roll(cavity, step, axis) & ~cavity
    assert np.isin(codes[rim], [CODE["myocardium"], CODE["aorta"]]).all()
    assert (codes[rim] == CODE["myocardium"]).mean() > 0.9


def test_tumour_and_brown_fat_are_there(atlas: Atlas) -> None:
    codes, _ = painted(atlas, 1)
    assert {CODE["tumour"], CODE["brown_fat"], CODE["gut"], CODE["renal_pelvis"]} <= set(np.unique(codes))


@pytest.mark.parametrize(
    "camera",
    [
        Camera((1.1, 1.0, 1.0), growth=0.3),
        Camera((1.1, 1.0, 1.0), growth=0.3, overshoot=0.1),
    ],
)
def test_the_camera_keeps_activity(atlas: Atlas, camera: Camera) -> None:
    """Of parts that lie within the image and far from its ends."""
    rng = np.random.default_rng(3)
    deformation = draw_deformation(rng, 24.0, 1.0)
    codes = paint_body(atlas, BodyPlan(VesselRanges().draw(rng)), deformation, rng)
    samples = sample_body(codes, atlas, deformation, RASTER)
    weights = part_weights(samples, RASTER, camera, rng).numpy()
    for name in ("brain", "left_ventricle", "myocardium", "liver", "kidney"):
        volume = (samples == CODE[name]).sum() / RASTER.steps**3
        assert weights[CODE[name] - 1].sum(dtype=float) == pytest.approx(volume, rel=0.03), name


def test_scatter_leaves_the_image_darker_and_its_surroundings_lighter(atlas: Atlas) -> None:
    rng = np.random.default_rng(3)
    deformation = draw_deformation(rng, 24.0, 1.0)
    samples = sample_body(atlas.codes, atlas, deformation, RASTER)
    clear, hazy = (
        part_weights(samples, RASTER, Camera((1.0, 1.0, 1.0), scatter=share), rng).numpy().sum(axis=0)
        for share in (0.0, 0.04)
    )
    outside = (
        samples[tuple(slice(n, -n) for n in RASTER.margins)][1 :: RASTER.steps, 1 :: RASTER.steps, 1 :: RASTER.steps]
        == 0
    )
    assert hazy[outside].mean() > clear[outside].mean()
    assert hazy.sum() == pytest.approx(clear.sum(), rel=0.04)


def test_the_same_seeds_give_the_same_scan(atlas: Atlas) -> None:
    site = replace(atlas_site(1), voxel=(1.4, 1.4, 1.4))
    first, again, other = (draw_atlas_scan(site, number, atlas) for number in (5, 5, 6))
    np.testing.assert_array_equal(first.scan.activity, again.scan.activity)
    np.testing.assert_array_equal(first.truth.input_function.whole_blood, again.truth.input_function.whole_blood)
    assert not np.array_equal(first.truth.input_function.whole_blood, other.truth.input_function.whole_blood)


def test_scan_states_what_it_is(scan: AtlasScan) -> None:
    image = scan.scan.activity
    assert isinstance(image, np.ndarray)
    assert image.dtype == np.float32
    assert (image >= 0.0).all()
    assert scan.scan.acquisition.tracer == "FDG"
    assert scan.scan.acquisition.species == "mouse"
    np.testing.assert_allclose(scan.scan.voxel_size, 0.8)
    np.testing.assert_allclose(np.diff(scan.truth.input_function.time), 1.0)
    assert scan.truth.input_function.time[-1] == scan.scan.timing.end[-1]


def test_labels_of_the_scan_lie_where_organs_do(scan: AtlasScan) -> None:
    assert scan.scan.labels is not None
    place = {
        name: np.argwhere(scan.scan.labels == number).mean(axis=0)
        for number, name in scan.scan.label_names.items()
        if (scan.scan.labels == number).any()
    }
    assert place["brain"][0] > place["left_ventricle"][0] > place["liver"][0] > place["bladder"][0]
    assert place["left_ventricle"][1] > place["kidney"][1]
    assert place["liver"][2] > place["stomach"][2]
    assert place["right_ventricle"][2] > place["left_ventricle"][2]


def test_uptake_at_forty_minutes_is_that_of_fdg(scan: AtlasScan) -> None:
    """Measured in one fed mouse: brain 1.6, myocardium 10.8, liver 0.76 SUV."""
    frame = int(np.argmin(np.abs(scan.scan.timing.mid - 2400.0)))
    suv = scan.scan.acquisition.suv_factor
    assert suv is not None
    seen = dict(zip(scan.scan.regions.names, suv * scan.scan.regions.activity[:, frame], strict=True))
    assert 0.8 < seen["brain"] < 3.0
    assert 3.0 < seen["myocardium"] < 18.0
    assert 0.3 < seen["liver"] < 1.6
    assert 0.1 < seen["muscle"] < 1.0
    assert seen["bladder"] > 10.0
    assert seen["bone"] < seen["brain"]


def test_veins_lead_and_the_heart_follows(atlas: Atlas) -> None:
    """After an injection into the tail vein the vena cava shows it before the left heart does."""
    site = replace(
        atlas_site(4), voxel=(0.8, 0.8, 0.8), vein="tail", infusion=5.0, injection=20.0, schedule=((60, 1.0), (4, 60.0))
    )
    scan = draw_atlas_scan(site, 1, atlas, noise=False).scan
    curves = dict(zip(scan.regions.names, scan.regions.activity, strict=True))
    assert curves["vena_cava"].argmax() < curves["left_ventricle"].argmax()
    assert curves["vena_cava"].max() > curves["left_ventricle"].max()


def test_no_part_is_left_without_label(scan: AtlasScan) -> None:
    assert set(np.unique(scan.truth.labels)) <= {0, *label_names()}
    assert len(PAINTED) == len(label_names()) + len(LAYERS)
