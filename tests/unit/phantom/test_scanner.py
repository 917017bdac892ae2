"""Anatomy on the grid, resolution and noise of the simulated scanner, against closed forms and measured figures."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from dlif_core.errors import ConfigurationError
from dlif_core.phantom import Grid, Protocol, draw_mouse, simulate
from dlif_core.phantom.anatomy import ORGANS, organ_volume
from dlif_core.phantom.noise import add_noise
from dlif_core.phantom.painting import organ_fractions, organ_weights, paint
from dlif_core.phantom.scanner import CROP
from dlif_core.phantom.shapes import Ellipsoid, Shape
from dlif_core.separable import FWHM

CPU = torch.device("cpu")
COARSE = CROP.resampled((1.0, 1.0, 1.0))
BLOCK = np.zeros(3), np.full(3, 100.0), np.eye(3)
WHOLE_BODY = Grid((90, 32, 32), (1.0, 1.0, 1.0))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def fractions(shapes: Sequence[Shape], grid: Grid) -> dict[str, torch.Tensor]:
    return dict(zip(("outside", *ORGANS), organ_fractions(paint(shapes, grid, CPU)), strict=True))


def weights(shapes: Sequence[Shape], grid: Grid, protocol: Protocol) -> dict[str, torch.Tensor]:
    found = organ_weights(paint(shapes, grid, CPU), protocol, generator())
    return dict(zip(ORGANS, found.double(), strict=True))


@pytest.mark.parametrize("organ", ["left_ventricle", "brain", "tumour", "bladder", "myocardium"])
def test_volume_is_that_of_the_shape(organ: str) -> None:
    shapes = draw_mouse(1).anatomy
    hollow = organ_volume(shapes, "left_ventricle") if organ == "myocardium" else 0.0
    found = float(fractions(shapes, WHOLE_BODY)[organ].sum()) * WHOLE_BODY.voxel_volume
    # the Harderian glands may cover a little of the brain; sampling at 0.25 mm costs the rest
    assert found == pytest.approx(organ_volume(shapes, organ) - hollow, rel=0.02)


def test_coarse_and_native_voxels_hold_the_same_mouse() -> None:
    shapes = draw_mouse(2).anatomy
    native, coarse = (
        np.array([float(part.sum()) for part in fractions(shapes, grid).values()]) * grid.voxel_volume
        for grid in (CROP, CROP.resampled((1.194, 1.0, 1.0)))
    )
    np.testing.assert_allclose(coarse, native, rtol=0.05)


def test_weights_of_a_voxel_sum_to_one_also_where_the_heart_moves() -> None:
    shapes = draw_mouse(0).anatomy
    total = sum(weights(shapes, COARSE, Protocol(texture=0.0)).values())
    assert isinstance(total, torch.Tensor)
    within = 1.0 - fractions(shapes, COARSE)["outside"]
    deep = torch.nn.functional.avg_pool3d(within[None], 5, 1, 2, count_include_pad=False)[0] == 1.0
    assert deep[fractions(shapes, COARSE)["myocardium"] > 0].all()
    np.testing.assert_allclose(total[deep].numpy(), 1.0, atol=1e-5)


@pytest.mark.parametrize(("organ", "expected"), [("brain", (0.99, 0.87, 0.86)), ("left_ventricle", (2.0, 2.0, 2.0))])
def test_width_of_a_point(organ: str, expected: tuple[float, ...]) -> None:
    """By the second moment and, as on scanners, at half height; voxels of 0.25 mm widen a point by their own size."""
    grid = Grid((41, 41, 41), (0.25, 0.25, 0.25))
    around = Ellipsoid("right_ventricle" if organ == "left_ventricle" else "muscle", *BLOCK)
    point = Ellipsoid(organ, np.zeros(3), np.full(3, 0.15), np.eye(3))
    image = weights([around, point], grid, Protocol(texture=0.0))[organ].numpy()
    position = 0.25 * (np.arange(41) - 20)
    for axis, width in enumerate(expected):
        profile = image.sum(axis=tuple({0, 1, 2} - {axis}))
        profile /= profile.max()
        variance = (profile * position**2).sum() / profile.sum()
        widened = np.hypot(width, FWHM * 0.25 / np.sqrt(12))
        assert FWHM * np.sqrt(variance) == pytest.approx(widened, rel=0.05)
        right = np.interp(-0.5, -profile[20:], position[20:])
        assert 2 * right == pytest.approx(widened, rel=0.05)


@pytest.mark.parametrize(("suv", "seconds"), [(0.2, 5.0), (1.5, 5.0), (1.5, 300.0), (10.0, 20.0)])
def test_noise_law_without_bias(suv: float, seconds: float) -> None:
    protocol = Protocol()
    frame = int(np.argmax(protocol.timing.duration == seconds))
    grid = Grid((48, 48, 48))
    image = torch.full((len(protocol.timing), *grid.shape), suv)
    add_noise(image, grid, protocol, 1.5, generator())
    values = image[frame].double().numpy()
    decay = 0.5 ** ((protocol.timing.start[frame] + seconds / 2) / protocol.half_life)
    sigma = 1.5 * np.sqrt(suv / (seconds * decay))
    independent = values.size / 4  # neighbours share noise
    assert values.min() >= 0
    assert values.mean() == pytest.approx(suv, abs=4 * sigma / np.sqrt(independent))
    assert values.std() == pytest.approx(sigma, rel=0.02)


def test_noise_is_correlated_over_about_one_voxel() -> None:
    protocol, grid = Protocol(), Grid((48, 48, 48))
    image = torch.full((len(protocol.timing), *grid.shape), 10.0)
    add_noise(image, grid, protocol, 1.0, generator())
    values = image[-1].double().numpy()
    lag = [np.corrcoef(values[:, :, :-step].ravel(), values[:, :, step:].ravel())[0, 1] for step in (1, 3)]
    assert 0.15 < lag[0] < 0.35
    assert abs(lag[1]) < 0.02


def test_noise_scales_with_voxel_volume() -> None:
    protocol, deviation = Protocol(), []
    for grid in (Grid((40, 40, 40)), Grid((40, 40, 40), (1.194, 1.0, 1.0))):
        image = torch.full((len(protocol.timing), *grid.shape), 5.0)
        add_noise(image, grid, protocol, 1.0, generator())
        deviation.append(float(image[-1].std()))
    assert deviation[0] / deviation[1] == pytest.approx(np.sqrt(8), rel=0.03)


def test_texture_within_an_organ() -> None:
    """15 % as seen through the point spread function, wherever an organ fills the surroundings of a voxel."""
    block = Ellipsoid("liver", *BLOCK)
    found = weights([block], Grid((60, 60, 60)), Protocol())["liver"]
    assert float(found.mean()) == pytest.approx(1.0, abs=0.03)
    assert float(found.std()) == pytest.approx(0.15, abs=0.02)


def test_blood_has_no_texture() -> None:
    block = Ellipsoid("vena_cava", *BLOCK)
    found = weights([block], Grid((20, 20, 20)), Protocol())["vena_cava"]
    np.testing.assert_allclose(found.numpy(), 1.0, atol=1e-5)


def test_coefficient_of_variation_in_regions() -> None:
    """Measured in-region CV of frames of 5, 20 and 300 s in a mouse: brain, liver, left ventricle.

    One noise level serves all organs here, while the measured figures by themselves ask for 1.3 (left ventricle) to
    2.0 (brain), and the ventricle's includes the gradient towards the wall: hence a factor of 1.4 either way.
    """
    measured = {"brain": (0.72, 0.36, 0.18), "liver": (0.41, 0.30, 0.17), "left_ventricle": (0.26, 0.20, 0.18)}
    scans = [simulate(replace(draw_mouse(seed), noise_level=1.6), CROP) for seed in range(3)]
    after_arrival = slice(7, 25), slice(25, 34), slice(34, 42)
    for organ, expected in measured.items():
        variation = []
        for scan in scans:
            values = scan.activity[:, scan.truth.labels == ORGANS.index(organ) + 1].astype(float)
            curve = values.mean(axis=1)
            variation.append([(values[f].std(axis=1) / curve[f]).mean() for f in after_arrival])
        ratio = np.median(variation, axis=0) / expected
        assert (np.abs(np.log(ratio)) < np.log(1.4)).all(), (organ, ratio)


def test_impossible_grid_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="impossible"):
        Grid((4, 4, 4), (0.0, 1.0, 1.0))


def test_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="device"):
        simulate(draw_mouse(0), COARSE, device="nowhere")
