"""Simulated scanner: voxel grid, acquisition protocol, resolution and noise. The heavy part runs in torch.

Kinetics are linear, so the image is Σ weight(organ, voxel)·curve(organ, frame): organs are blurred once, and one matrix
product gives all frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.phantom.anatomy import BLOOD_POOLS, HEART, ORGANS, Shape

Array = NDArray[np.float64]
Triple = tuple[float, float, float]

#: Full width at half maximum of a Gaussian of unit standard deviation.
FWHM = float(2.0 * np.sqrt(2.0 * np.log(2.0)))

#: Voxel of the scanner to which the noise level refers, along z, y, x [mm].
NATIVE_VOXEL: Triple = (0.597, 0.5, 0.5)

_FINEST_SAMPLE = 0.3  # organs are sampled at least this finely [mm]
_NOISE_WIDTH = tuple(1.2 * size for size in NATIVE_VOXEL)  # FWHM of the kernel that correlates the noise [mm]
_TEXTURE_WIDTH = 3.0  # FWHM of the heterogeneity within organs [mm]


@dataclass(frozen=True)
class Grid:
    """Voxel grid around the origin of the mouse.

    Attributes
    ----------
    shape
        Voxels along z (tail to head), y (back to belly), x (left to right).
    voxel_size
        Edge lengths along z, y, x [mm].

    Raises
    ------
    ConfigurationError
        If a length is not positive.
    """

    shape: tuple[int, int, int]
    voxel_size: Triple = NATIVE_VOXEL

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or min(self.voxel_size) <= 0:
            raise ConfigurationError(
                f"a grid of {self.shape} voxels of {self.voxel_size} mm is impossible.",
                hint="Give positive numbers along z, y, x.",
            )

    def resampled(self, voxel_size: Sequence[float]) -> Grid:
        """The same field of view, to the nearest whole voxel, with voxels of another size (z, y, x) [mm]."""
        extent = np.multiply(self.shape, self.voxel_size)
        z, y, x = (max(1, round(length / size)) for length, size in zip(extent, voxel_size, strict=True))
        return Grid((z, y, x), (voxel_size[0], voxel_size[1], voxel_size[2]))

    @property
    def affine(self) -> Array:
        """Voxel index (x, y, z) to mm, shape (4, 4), as in NIfTI."""
        size = np.array(self.voxel_size[::-1])
        affine = np.diag([*size, 1.0])
        affine[:3, 3] = -0.5 * (np.array(self.shape[::-1]) - 1) * size
        return affine

    @property
    def voxel_volume(self) -> float:
        """[mm³]."""
        return float(np.prod(self.voxel_size))

    @property
    def supersampling(self) -> int:
        """Samples along each voxel edge from which partial volumes are counted."""
        return max(2, int(np.ceil(max(self.voxel_size) / _FINEST_SAMPLE)))


#: The whole field of view of the scanner, and the crop around head, heart and abdomen.
FULL = Grid((128, 92, 92))
CROP = Grid((96, 48, 48))


def _mouse_frames() -> FrameTiming:
    duration = np.repeat([30.0, 5.0, 20.0, 300.0], [1, 24, 9, 8])
    return FrameTiming(np.cumsum(duration) - duration, duration)


@dataclass(frozen=True)
class Protocol:
    """How the scan is acquired.

    Attributes
    ----------
    timing
        Frames; by default 1×30, 24×5, 9×20 and 8×300 s.
    half_life
        Of the radionuclide [s].
    blood_end
        End of the arterial record [s].
    resolution
        FWHM of the point spread function along z, y, x [mm].
    heart_resolution
        FWHM in the heart, which moves [mm].
    texture
        Relative heterogeneity within organs, as seen through the point spread function.
    """

    timing: FrameTiming = field(default_factory=_mouse_frames)
    half_life: float = 6586.2
    blood_end: float = 2430.0
    resolution: Triple = (0.99, 0.87, 0.86)
    heart_resolution: float = 2.0
    texture: float = 0.15

    @property
    def counting_time(self) -> Array:
        """Frame durations weighted by the decay at their middle [s], shape (frames,)."""
        return self.timing.duration * np.exp2(-self.timing.mid / self.half_life)


def paint(shapes: Sequence[Shape], grid: Grid, device: torch.device) -> torch.Tensor:
    """Label of every sample of the supersampled grid.

    Parameters
    ----------
    shapes
        In painting order.
    grid
        Sampled `grid.supersampling` times along each voxel edge.
    device
        On which to compute.

    Returns
    -------
    uint8 of shape `grid.shape` times `grid.supersampling`; labels as in `anatomy.ORGANS`, 0 outside the body.
    """
    steps = grid.supersampling
    axes = [
        torch.from_numpy((np.arange(n * steps) - 0.5 * (n * steps - 1)) * size / steps)
        for n, size in zip(grid.shape, grid.voxel_size, strict=True)
    ]
    labels = torch.zeros([len(axis) for axis in axes], dtype=torch.uint8, device=device)
    for shape in shapes:
        lower, upper = (corner[::-1] for corner in shape.bounds)
        box = tuple(
            slice(*torch.searchsorted(axis, torch.tensor([low, high], dtype=torch.float64)).tolist())
            for axis, low, high in zip(axes, lower, upper, strict=True)
        )
        z, y, x = (axis[part].to(device, torch.float32) for axis, part in zip(axes, box, strict=True))
        inside = shape.contains(x, y[:, None], z[:, None, None])
        labels[box].masked_fill_(inside, ORGANS.index(shape.organ) + 1)
    return labels


def organ_fractions(painted: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Fraction of every voxel that each organ fills.

    Returns
    -------
    Shape (1 + organs, z, y, x); the first is what lies outside the body. Sums to 1 over the first axis.
    """
    steps = grid.supersampling
    blocks = painted.reshape(*(n for length in grid.shape for n in (length, steps)))
    counts = [(blocks == label).sum(dim=(1, 3, 5), dtype=torch.float32) for label in range(len(ORGANS) + 1)]
    return torch.stack(counts) / steps**3


def organ_weights(painted: torch.Tensor, grid: Grid, protocol: Protocol, generator: torch.Generator) -> torch.Tensor:
    """How much of each organ's curve every voxel shows.

    Everything is seen through the point spread function and averaged over the voxel; in and around the heart the
    function is wider. Tissue (not blood, which is well mixed) carries the texture; without texture the weights of a
    voxel sum to the part of it that lies in the body.

    Parameters
    ----------
    painted
        From `paint`.
    generator
        On the device of `painted`; draws the texture.

    Returns
    -------
    Shape (organs, z, y, x).
    """
    texture = 1.0 + protocol.texture * _texture(grid, protocol, generator)
    texture.clamp_(min=0.3)
    still = _blur_matrices(grid, protocol.resolution, grid.supersampling)
    beating = _blur_matrices(grid, [protocol.heart_resolution] * 3, grid.supersampling)
    heart = torch.isin(painted, painted.new_tensor([ORGANS.index(organ) + 1 for organ in HEART]))
    # what the heart touches moves with it, so no voxel is counted twice or left empty
    moving = (100.0 * separable(heart.to(texture), beating)).clamp_(max=1.0)
    near = _box(moving > 0)
    weights = torch.zeros(len(ORGANS), *grid.shape, device=painted.device)
    for organ, weight, label in zip(ORGANS, weights, range(1, len(ORGANS) + 1), strict=True):
        inside = painted == label
        box = _box(inside)
        mask = inside[box].to(texture)
        seen = mask if organ in BLOOD_POOLS else mask * texture[box]
        weight.copy_(separable(seen, _windows(still, _EVERYWHERE, box)))
        weight[near] = torch.lerp(weight[near], separable(seen, _windows(beating, near, box)), moving[near])
    return weights


Box = tuple[slice, slice, slice]

_EVERYWHERE: Box = (slice(None), slice(None), slice(None))


def _box(mask: torch.Tensor) -> Box:
    """The smallest box around what is true; empty if nothing is."""
    ends = []
    for first, second in ((1, 2), (0, 2), (0, 1)):
        hits = mask.any(dim=second).any(dim=first).nonzero().flatten().tolist() or [0, -1]
        ends.append(slice(hits[0], hits[-1] + 1))
    return ends[0], ends[1], ends[2]


def _windows(matrices: Sequence[Array], rows: Box, columns: Box) -> list[Array]:
    """The matrices from a box of samples to a box of voxels."""
    return [matrix[r, c] for matrix, r, c in zip(matrices, rows, columns, strict=True)]


def _texture(grid: Grid, protocol: Protocol, generator: torch.Generator) -> torch.Tensor:
    """A smooth random field on the supersampled grid, of unit variance as the scanner sees it."""
    steps = grid.supersampling
    fine = grid.resampled([size / steps for size in grid.voxel_size])
    smooth = _blur_matrices(fine, [_TEXTURE_WIDTH] * 3)
    seen = _blur_matrices(grid, protocol.resolution, steps)
    # share of the standard deviation that survives the scanner, in the middle of each axis
    middles = [((p @ s)[len(p) // 2], s[len(s) // 2]) for s, p in zip(smooth, seen, strict=True)]
    kept = [np.linalg.norm(after) / np.linalg.norm(before) for after, before in middles]
    matrices = [_unit_variance(s) / share for s, share in zip(smooth, kept, strict=True)]
    return separable(torch.randn(fine.shape, generator=generator, device=generator.device), matrices)


def _unit_variance(matrix: Array) -> Array:
    """Rows scaled such that independent noise keeps its variance, at the edges too."""
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


def separable(image: torch.Tensor, matrices: Sequence[Array]) -> torch.Tensor:
    """Apply one matrix along each axis (z, y, x) of an image."""
    z, y, x = (torch.from_numpy(m).to(image) for m in matrices)
    image = y @ (image @ x.T)
    return (z @ image.flatten(-2)).reshape(len(z), *image.shape[1:])


def _blur_matrices(grid: Grid, width: Sequence[float], steps: int = 1) -> list[Array]:
    """Along z, y, x: Gaussian blur of FWHM `width` [mm] of samples, `steps` a voxel, and their mean over each voxel."""
    return [
        blur_matrix(n * steps, w * steps / size / FWHM).reshape(n, steps, -1).mean(axis=1)
        for n, size, w in zip(grid.shape, grid.voxel_size, width, strict=True)
    ]


def blur_matrix(length: int, sigma: float) -> Array:
    """Gaussian blur along one axis as a matrix, shape (length, length); edge samples are repeated outwards.

    Parameters
    ----------
    length
        Samples along the axis.
    sigma
        Standard deviation [samples].
    """
    reach = int(np.ceil(5.0 * sigma))
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix = np.zeros((length, length))
    rows = np.arange(length)[:, None]
    np.add.at(matrix, (rows, np.clip(rows + offsets, 0, length - 1)), kernel / kernel.sum())
    return matrix


def add_noise(image: torch.Tensor, grid: Grid, protocol: Protocol, level: float, generator: torch.Generator) -> None:
    """Add noise in place: σ = α·√(C/(Δt·e^(−λt))), correlated over about one native voxel, never below zero.

    Clipping Gaussian noise at zero would raise the mean where counts are low, which emission tomography by
    expectation maximisation does not: it keeps the counts. So the Gaussian is placed and scaled such that, once
    clipped, it has mean C and standard deviation σ.

    Parameters
    ----------
    image
        Shape (frames, z, y, x) [SUV]; is overwritten.
    level
        α of a native voxel [SUV^½·s^½].
    generator
        On the device of `image`.
    """
    alpha = level * np.sqrt(np.prod(NATIVE_VOXEL) / grid.voxel_volume)
    correlate = [_unit_variance(m) for m in _blur_matrices(grid, _NOISE_WIDTH)]
    table = _clipped_gaussian().to(image)
    for frame, seconds in zip(image, protocol.counting_time, strict=True):
        normal = separable(torch.randn(grid.shape, generator=generator, device=generator.device), correlate)
        position, scale = _clipped_parameters((frame * float(seconds)).sqrt() / alpha, table)
        frame.mul_((normal + position).clamp_(min=0.0).mul_(scale))


_LOWEST_POSITION = -2.0
_TABLE_END = 8.0
_TABLE_STEPS = 4096


def _clipped_gaussian() -> torch.Tensor:
    """Position a and relative scale 1/E of max(0, a + z), tabulated by its ratio of mean to standard deviation."""
    a = np.linspace(_LOWEST_POSITION, _TABLE_END + 1, 20001)
    density, below = np.exp(-0.5 * a**2) / np.sqrt(2.0 * np.pi), ndtr(a)
    mean = density + a * below
    deviation = np.sqrt((a**2 + 1.0) * below + a * density - mean**2)
    position = np.interp(np.linspace(0.0, _TABLE_END, _TABLE_STEPS + 1), mean / deviation, a)
    return torch.from_numpy(np.stack([position, 1.0 / np.interp(position, a, mean)]))


def _clipped_parameters(ratio: torch.Tensor, table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Position and scale for each ratio of mean to standard deviation; above the table nothing is ever clipped."""
    place = (ratio * (_TABLE_STEPS / _TABLE_END)).clamp(max=_TABLE_STEPS - 1e-3)
    left = place.long()
    position, scale = torch.lerp(table[:, left], table[:, left + 1], place - left)
    beyond = ratio >= _TABLE_END
    return torch.where(beyond, ratio, position), torch.where(beyond, 1.0 / ratio, scale)
