"""Scans averaged onto a coarse grid, simulated there directly: quick enough to be drawn while a network trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dlif_core.curve import InputFunction
from dlif_core.phantom.mouse import Mouse
from dlif_core.phantom.noise import add_averaged_noise
from dlif_core.phantom.painting import organ_fractions, organ_weights, paint, reconstructed
from dlif_core.phantom.scanner import CROP, Array, Grid, Protocol, Triple
from dlif_core.phantom.simulation import noise_free, true_curves, usable_device
from dlif_core.separable import separable

#: Voxel of the coarse grid along z, y, x [mm].
COARSE_VOXEL: Triple = (1.0, 1.0, 1.0)

# Voxels smaller than this part of the coarse ones show nothing more once averaged, but take their time
_WORKING_PART = 0.5


@dataclass(frozen=True, eq=False)
class CoarseScan:
    """A simulated scan on a coarse grid, with the truth that a network learns and is checked against.

    Attributes
    ----------
    mouse, protocol
        What was scanned and how; body weight, dose, tracer and frames are theirs.
    grid
        The coarse grid.
    activity
        Shape (frames, z, y, x), float32 on the device [SUV], decay-corrected.
    fractions
        Part of each voxel that is outside the body (first) and in each of `anatomy.ORGANS`, the body at rest, shape
        (1 + organs, z, y, x).
    weights
        How much of each organ's curve every voxel shows, the body at rest, shape (organs, z, y, x); see
        `painting.organ_weights`.
    whole_blood
        Exact frame averages of arterial whole blood, shape (frames,) [SUV].
    organ_curves
        Exact frame averages of every organ, shape (organs, frames) [SUV].
    input_function
        Whole blood and plasma at 1 s sampling [Bq/mL].
    """

    mouse: Mouse
    protocol: Protocol
    grid: Grid
    activity: torch.Tensor
    fractions: torch.Tensor
    weights: torch.Tensor
    whole_blood: Array
    organ_curves: Array
    input_function: InputFunction


def simulate_coarse(
    mouse: Mouse,
    grid: Grid = CROP,
    protocol: Protocol | None = None,
    *,
    voxel_size: Triple = COARSE_VOXEL,
    device: str = "cpu",
    noise: bool = True,
) -> CoarseScan:
    """Scan a mouse and average the image onto a coarse grid.

    The statistics are those of `simulate` followed by averaging, but noise is drawn on the coarse grid: the same seed
    gives another realisation of the noise than `simulate`.

    Parameters
    ----------
    mouse
        Result of `draw_mouse` or `population.draw`; texture and noise are drawn from its seed.
    grid, protocol
        Voxels in which the scanner reconstructs, and acquisition.
    voxel_size
        Voxel size of the coarse grid along z, y, x, not smaller than the scanner's [mm]; the grid has the same field of
        view to the nearest whole voxel, and the same centre.
    device
        Torch device that computes.
    noise
        False leaves the image as the scanner blurs it.

    Raises
    ------
    ConfigurationError
        If there is no such device.
    """
    protocol = protocol or Protocol()
    where = usable_device(device)
    generator = torch.Generator(where).manual_seed(mouse.seed)
    coarse = grid.resampled(voxel_size)
    working = grid.resampled(
        [max(edge, _WORKING_PART * size) for edge, size in zip(grid.voxel_size, voxel_size, strict=True)]
    )
    painted = paint(mouse.anatomy, working, where, mouse.deformation)
    weights = organ_weights(painted, protocol, generator)
    curve, curves = true_curves(mouse, protocol)
    image = noise_free(reconstructed(weights, protocol, working), curves, protocol, working, coarse)
    if noise:
        add_averaged_noise(image, grid, coarse, protocol, mouse.noise_level, generator)
    averages = working.averaging_onto(coarse)
    return CoarseScan(
        mouse=mouse,
        protocol=protocol,
        grid=coarse,
        activity=image,
        fractions=separable(organ_fractions(painted), averages),
        weights=separable(weights, averages),
        whole_blood=curve.frame_average(protocol.timing)[0] / mouse.activity_per_suv,
        organ_curves=curves,
        input_function=curve,
    )
