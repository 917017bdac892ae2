"""Scans simulated on a coarse grid, against scans at native resolution that are averaged onto it; faulty scans."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dlif_core.errors import ConfigurationError
from dlif_core.phantom import (
    FAULTS,
    HELD_OUT,
    HUMAN,
    TRAINING,
    Grid,
    Population,
    Protocol,
    Span,
    draw,
    draw_mouse,
    simulate,
    simulate_coarse,
    simulate_fault,
    simulate_fault_coarse,
)
from dlif_core.phantom.anatomy import ORGANS
from dlif_core.phantom.faults import draw_fault
from dlif_core.phantom.noise import add_averaged_noise, add_noise
from dlif_core.phantom.scanner import CROP, frame_timing
from dlif_core.phantom.shapes import Ellipsoid
from dlif_core.phantom.sites import Sites
from dlif_core.separable import averaging_matrix, separable, shift_matrices

SMALL = Grid((40, 24, 24))
COARSE = SMALL.resampled((1.0, 1.0, 1.0))
NO_MOTION = replace(HELD_OUT.acquisition, motion=Span((0.0, 0.0)))


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def averaged(image: torch.Tensor, grid: Grid, coarse: Grid) -> torch.Tensor:
    return separable(image, grid.averaging_onto(coarse))


def lag(values: np.ndarray) -> float:
    """Correlation of neighbours along x, over frames."""
    centred = values - values.mean(axis=0)
    return float((centred[..., :-1] * centred[..., 1:]).mean() / (centred**2).mean())


@pytest.mark.parametrize(
    ("length", "size", "coarse"), [(96, 0.597, 1.0), (48, 0.5, 1.0), (25, 0.9, 1.0), (9, 1.0, 1.0)]
)
def test_averaging_matrix_equals_brute_force(length: int, size: float, coarse: float) -> None:
    rng = np.random.default_rng(0)
    values, cells = rng.random(length), max(1, round(length * size / coarse))
    fine = (np.arange(200000) + 0.5) / 200000 * length * size - 0.5 * length * size
    sampled = values[np.floor((fine + 0.5 * length * size) / size).astype(int)]
    place = np.floor((fine + 0.5 * cells * coarse) / coarse).astype(int)
    inside = (place >= 0) & (place < cells)
    expected = np.bincount(place[inside], sampled[inside]) / np.bincount(place[inside])
    np.testing.assert_allclose(averaging_matrix(length, size, cells, coarse) @ values, expected, rtol=2e-3)


def test_shift_moves_a_smooth_profile() -> None:
    position = np.arange(60.0)
    shifts = np.array([0.0, 0.3, -1.6, 4.0])
    sigma = 0.865 / 0.5 / 2.355  # the scanner's resolution in its own voxels
    moved = shift_matrices(60, shifts) @ np.exp(-0.5 * ((position - 30) / sigma) ** 2)
    expected = np.exp(-0.5 * ((position - 30 - shifts[:, None]) / sigma) ** 2)
    np.testing.assert_allclose(moved, expected, atol=0.03)
    centre = (moved * position).sum(axis=1) / moved.sum(axis=1)
    np.testing.assert_allclose(centre, 30 + shifts, atol=0.02)


def brief(edge: float) -> Population:
    """Two minutes of scan, voxels of another size."""
    ranges = replace(HELD_OUT.acquisition, voxel_size=Span((edge, edge)), end=Span((120.0, 120.0)))
    return replace(HELD_OUT, acquisition=ranges)


@pytest.mark.parametrize(("edge", "tolerance"), [(0.4, 0.03), (0.5, 2e-3), (0.9, 2e-3)])
def test_noise_free_coarse_scan_is_the_average_of_the_native_one(edge: float, tolerance: float) -> None:
    """Almost exactly (undershoot of a moved image is cut off after averaging); small voxels are sampled otherwise."""
    mouse, grid, protocol = draw(4, brief(edge))
    protocol = replace(protocol, texture=0.0)
    native = torch.from_numpy(simulate(mouse, grid, protocol, noise=False).activity) / mouse.activity_per_suv
    coarse = simulate_coarse(mouse, grid, protocol, noise=False)
    expected = averaged(native, grid, coarse.grid)
    difference = (coarse.activity - expected)[10:].flatten(1).norm(dim=1) / expected[10:].flatten(1).norm(dim=1)
    assert float(difference.max()) < tolerance


@pytest.mark.parametrize(
    ("suv", "grid"), [(0.05, SMALL), (0.5, SMALL), (5.0, SMALL), (0.5, Grid((30, 16, 16), (0.8,) * 3))]
)
def test_coarse_noise_has_the_statistics_of_averaged_native_noise(suv: float, grid: Grid) -> None:
    """Mean, standard deviation (in every plane too) and correlation of neighbours, down to where most is clipped."""
    protocol = Protocol(timing=frame_timing(((200, 5.0),)), half_life=1e12)
    coarse = grid.resampled((1.0, 1.0, 1.0))
    fine = torch.full((200, *grid.shape), suv)
    add_noise(fine, grid, protocol, 1.5, generator())
    expected = averaged(fine, grid, coarse).double().numpy()
    image = torch.full((200, *coarse.shape), suv)
    add_averaged_noise(image, grid, coarse, protocol, 1.5, generator())
    found = image.double().numpy()
    assert found.min() >= 0
    error = expected.std() / np.sqrt(found.size / 30)
    assert abs(found.mean() - expected.mean()) < 5 * error
    assert found.std() == pytest.approx(expected.std(), rel=0.02)
    planes = (0, 2, 3)
    np.testing.assert_allclose(found.std(axis=planes), expected.std(axis=planes), rtol=0.05)
    assert lag(found) == pytest.approx(lag(expected), abs=0.04)


def test_organ_statistics_of_coarse_scans_are_those_of_native_ones() -> None:
    """Mean and in-region variation of organs at 1 mm, both ways, over mice."""
    ratios = []
    for seed in range(3):
        mouse, grid, protocol = draw(seed, replace(HELD_OUT, acquisition=NO_MOTION))
        native = torch.from_numpy(simulate(mouse, grid, protocol).activity) / mouse.activity_per_suv
        coarse = simulate_coarse(mouse, grid, protocol)
        both = averaged(native, grid, coarse.grid)[10:], coarse.activity[10:]
        for organ in ("liver", "muscle", "brain"):
            mask = coarse.fractions[ORGANS.index(organ) + 1] > 0.95
            (mean, spread), (other_mean, other_spread) = (
                (image[:, mask].mean(), (image[:, mask].std(dim=1) / image[:, mask].mean(dim=1)).mean())
                for image in both
            )
            ratios.append([float(other_mean / mean), float(other_spread / spread)])
    np.testing.assert_allclose(ratios, 1.0, rtol=0.05)


def test_coarse_scan_knows_its_truth() -> None:
    mouse, grid, protocol = draw(1, TRAINING)
    scan = simulate_coarse(mouse, grid, protocol)
    frames = len(protocol.timing)
    assert scan.activity.shape == (frames, *scan.grid.shape)
    assert scan.activity.dtype == torch.float32
    np.testing.assert_allclose(scan.grid.extent, grid.extent, atol=0.5)
    blood = scan.input_function.frame_average(protocol.timing)[0] / mouse.activity_per_suv
    np.testing.assert_allclose(scan.whole_blood, blood)
    np.testing.assert_allclose(scan.organ_curves[ORGANS.index("aorta")], blood, rtol=1e-9)
    np.testing.assert_allclose(scan.fractions.sum(dim=0).numpy(), 1.0, atol=1e-5)


def test_coarse_scan_is_reproducible_to_the_last_bit() -> None:
    first, second, other = (simulate_coarse(*draw(seed, TRAINING)) for seed in (8, 8, 9))
    assert first.activity.numpy().tobytes() == second.activity.numpy().tobytes()
    assert first.activity.shape != other.activity.shape or not torch.equal(first.activity, other.activity)


@pytest.mark.parametrize("run", [simulate, simulate_coarse])
def test_body_moves_as_told(run: Callable[..., Any]) -> None:
    """The centre of a lone organ follows the motion of each frame, and its activity is kept."""
    lone = Ellipsoid("brain", np.zeros(3), np.full(3, 3.0), np.eye(3))
    motion = ((0.0, 0.0, 0.0), (0.3, 0.0, -0.5), (-1.3, 2.0, 0.1))
    timing = frame_timing(((3, 900.0),))
    protocol = Protocol(timing=timing, texture=0.0, motion=motion)
    scan = run(replace(draw_mouse(0), anatomy=(lone,)), SMALL, protocol, noise=False)
    image = np.asarray(scan.activity, float)
    grid = scan.grid
    total = image.sum(axis=(1, 2, 3))
    for axis in range(3):
        profile = image.sum(axis=tuple({1, 2, 3} - {axis + 1})) / total[:, None]
        place = (np.arange(grid.shape[axis]) - 0.5 * (grid.shape[axis] - 1)) * grid.voxel_size[axis]
        np.testing.assert_allclose(profile @ place, [move[axis] for move in motion], atol=0.02)
    still = replace(protocol, motion=())
    unmoved = np.asarray(run(replace(draw_mouse(0), anatomy=(lone,)), SMALL, still, noise=False).activity, float)
    np.testing.assert_allclose(total, unmoved.sum(axis=(1, 2, 3)), rtol=5e-3)


def test_motion_needs_a_displacement_for_every_frame() -> None:
    with pytest.raises(ConfigurationError, match="expected 42 displacements"):
        Protocol(motion=((0.0, 0.0, 0.0),))


def test_human_scan_shows_brain_and_blood() -> None:
    ended = replace(HUMAN.acquisition, end=Span((300.0, 300.0)), voxel_size=Span((6.0, 6.0)))
    scan = simulate(*draw(2, replace(HUMAN, acquisition=ended)))
    assert scan.acquisition.species == "human"
    assert {"brain", "myocardium", "left_ventricle", "aorta", "lung", "liver", "muscle"} <= set(scan.scan.regions.names)
    curves = dict(zip(scan.scan.regions.names, scan.scan.regions.activity, strict=True))
    assert curves["left_ventricle"].max() > 3 * curves["brain"].max()


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_faults_are_named_and_reproducible(kind: str) -> None:
    first, second = (simulate_fault_coarse(3, HELD_OUT, kind) for _ in range(2))
    assert first[0] == second[0]
    assert first[0].startswith(kind)
    assert torch.equal(first[1].activity, second[1].activity)
    assert first[1].mouse.tracer.name == "FDG"


def test_wrong_units_and_axes_are_those_of_the_right_scan() -> None:
    population = brief(0.9)
    usual = simulate(*draw(3, population))
    name, scaled = simulate_fault(3, population, "units")
    factor = float(name.rsplit(" ", 1)[1])
    assert factor in (1e-3, 1e3)
    np.testing.assert_allclose(scaled.activity, factor * usual.activity, rtol=1e-6)
    name, swapped = simulate_fault(3, population, "axes")
    order = ["zyx".index(axis) for axis in name.rsplit(" ", 1)[1]]
    assert order != [0, 1, 2]
    assert np.array_equal(swapped.activity, usual.activity.transpose(0, *(1 + axis for axis in order)))
    assert swapped.truth.labels.shape == swapped.grid.shape == swapped.activity.shape[1:]
    assert swapped.grid.voxel_size == usual.grid.voxel_size


def test_wrong_injections_and_tracers_are_simulated() -> None:
    usual = draw(3, HELD_OUT)
    depot, _ = draw_fault(3, HELD_OUT, "paravenous")
    time = np.arange(0.0, 600.0)
    assert depot.mouse.blood.curve(time).max() < 0.7 * usual.mouse.blood.curve(time).max()
    names = {draw_fault(seed, HELD_OUT, "tracer")[1].name for seed in range(40)}
    assert names == {f"tracer: {name}" for name in ("raclopride", "water", "FLT", "FDOPA")}


def test_an_empty_image_and_a_wrong_dose() -> None:
    population = brief(0.9)
    usual = simulate(*draw(3, population))
    assert not simulate_fault(3, population, "empty")[1].activity.any()
    name, wrong = simulate_fault(3, population, "dose")
    factor = wrong.mouse.injected_activity / usual.mouse.injected_activity
    assert name == f"dose: x {factor:.3g}"
    assert not 0.5 < factor < 2.0
    assert np.array_equal(wrong.activity, usual.activity)
    assert np.array_equal(wrong.truth.input_function.whole_blood, usual.truth.input_function.whole_blood)
    right, coarse = simulate_coarse(*draw(3, population)), simulate_fault_coarse(3, population, "dose")[1]
    torch.testing.assert_close(factor * coarse.activity, right.activity)


def test_a_fault_in_a_scan_of_a_laboratory_is_one_of_that_laboratory() -> None:
    sites = Sites("sites", stream=4711, animals=8)
    drawn, fault = draw_fault(17, sites, "units")
    usual = draw(17, sites.site(2))
    assert (drawn.mouse.seed, drawn.mouse.body_weight, drawn.grid) == (
        usual.mouse.seed,
        usual.mouse.body_weight,
        usual.grid,
    )
    assert fault == draw_fault(17, sites.site(2), "units")[1]


def test_unknown_fault_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no fault"):
        draw_fault(0, HELD_OUT, "gremlins")


def test_default_crop_has_the_shape_that_networks_see() -> None:
    assert simulate_coarse(draw_mouse(0), CROP, noise=False).grid.shape == (57, 24, 24)
