"""What of atlas mice needs no atlas: edges, noise, labels of voxels, laboratories, files that are refused."""

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.phantom.atlas import atlas_site, load_atlas
from dlif_core.phantom.atlas.camera import Camera, Raster, part_weights, voxel_labels
from dlif_core.phantom.atlas.grain import NATIVE_VOLUME, Grain, Law, noisy
from dlif_core.phantom.atlas.labels import CODE
from dlif_core.phantom.atlas.sites import ATLAS_SCHEDULES
from dlif_core.phantom.population import SCHEDULES


def empty(raster: Raster) -> np.ndarray:
    """Samples outside any body."""
    counts = zip(raster.shape, raster.margins, strict=True)
    return np.zeros([count * raster.steps + 2 * margin for count, margin in counts], np.uint8)


@pytest.mark.parametrize("overshoot", [0.0, 0.05, 0.15])
def test_edges_shoot_over_as_stated(overshoot: float) -> None:
    raster = Raster((60, 30, 30), (0.4, 0.4, 0.4))
    samples = empty(raster)
    samples[: len(samples) // 2] = CODE["bladder"]
    camera = Camera((1.2, 1.2, 1.2), growth=0.0, overshoot=overshoot)
    shown = part_weights(samples, raster, camera, np.random.default_rng(0))[CODE["bladder"] - 1, 15:, 15, 15]
    assert float(shown.max()) == pytest.approx(1.0 + overshoot, abs=0.015)


@pytest.mark.parametrize("law", ["log-normal", "gamma"])
def test_noise_keeps_the_mean_and_has_the_stated_deviation(law: Law) -> None:
    """Tested on even images, where counts are few and where they are many."""
    raster, grain = Raster((48, 48, 48), (0.597, 0.5, 0.5)), Grain(2.0, 0.05, width=1.6, loss=0.0, law=law)
    seconds = np.array([5.0, 60.0])
    mean = np.broadcast_to(np.array([4.0, 1.0], np.float32)[:, None, None, None], (2, *raster.shape))
    seen = np.stack([noisy(mean, seconds, raster, grain, np.random.default_rng(k)) for k in range(12)])
    stated = np.sqrt(2.0**2 * np.array([4.0, 1.0]) / seconds + (0.05 * np.array([4.0, 1.0])) ** 2)
    np.testing.assert_allclose(seen.mean(axis=(0, 2, 3, 4)), [4.0, 1.0], rtol=0.01)
    np.testing.assert_allclose(seen.std(axis=(0, 2, 3, 4)), stated, rtol=0.02)


def test_noise_is_coarse_and_grows_towards_the_ends() -> None:
    raster, grain = Raster((60, 60, 60), (0.5, 0.5, 0.5)), Grain(0.5, width=2.0, loss=0.5, reach=15.0)
    seen = noisy(np.ones((1, *raster.shape), np.float32), np.array([60.0]), raster, grain, np.random.default_rng(0))[0]
    assert np.std(seen[:6]) / np.std(seen[27:33]) == pytest.approx(np.sqrt(1 / 0.55), rel=0.1)
    assert np.std(seen[27:33]) == pytest.approx(0.5 * np.sqrt(NATIVE_VOLUME / 0.125 / 60), rel=0.1)
    middle = seen[20:40] - seen[20:40].mean()
    neighbours = (middle[:, :, 1:] * middle[:, :, :-1]).mean() / middle.var()
    sigma = 2.0 / 2.3548
    assert neighbours == pytest.approx(np.exp(-1 / (4 * sigma**2)), abs=0.05)


def test_laboratories_differ_and_stay_within_their_ranges() -> None:
    sites = [atlas_site(number) for number in range(40)]
    assert len({site.voxel for site in sites}) == len(sites)
    assert {site.schedule for site in sites} == set(ATLAS_SCHEDULES)
    assert not set(ATLAS_SCHEDULES) & set(SCHEDULES)
    assert all(28 <= sum(count for count, _ in schedule) <= 50 for schedule in ATLAS_SCHEDULES)
    assert all(2400 <= sum(count * seconds for count, seconds in schedule) <= 3600 for schedule in ATLAS_SCHEDULES)
    for site in sites:
        assert all(0.8 <= width <= 1.6 for width in site.camera.resolution)
        assert 1.3 <= site.camera.heart <= 2.8
        assert 1.2 <= site.grain.level <= 2.5
        assert 1.3 <= site.grain.width <= 2.4
        assert 0.4 <= site.voxel[1] <= 0.9
    with pytest.raises(ConfigurationError, match="no site -1"):
        atlas_site(-1)


def test_labels_of_voxels_are_those_of_most_samples() -> None:
    raster = Raster((2, 1, 1), (1.0, 1.0, 1.0))
    samples, z = empty(raster), raster.margins[0]
    samples[z : z + raster.steps - 1] = CODE["liver"]
    samples[z + raster.steps :] = CODE["bladder_3"]
    assert voxel_labels(samples, raster).ravel().tolist() == [CODE["liver"], CODE["bladder"]]


@pytest.mark.parametrize("fault", ["missing", "shape", "labels", "no image"])
def test_a_file_that_is_no_atlas_is_refused(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "labels.nii.gz"
    shape = (4, 4, 4) if fault == "shape" else (190, 496, 104)
    if fault == "no image":
        path.write_bytes(b"nothing")
    elif fault != "missing":
        nib.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)).to_filename(path)
    with pytest.raises(ConfigurationError, match=re.escape("labels.nii.gz")):
        load_atlas(path)
