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
from scipy.special import ive, ndtr

from dlif_core.frames import FrameTiming
from dlif_core.phantom.anatomy import BLOOD_POOLS, HEART, ORGANS, Shape

Array = NDArray[np.float64]
Triple = tuple[float, float, float]

#: Full width at half maximum of a Gaussian of unit standard deviation.
FWHM = float(2.0 * np.sqrt(2.0 * np.log(2.0)))

#: Voxel of the scanner to which the noise level refers, along z, y, x [mm].
NATIVE_VOXEL: Triple = (0.597, 0.5, 0.5)

_FINEST_SAMPLE = 0.3  # organs are sampled at least this finely [mm] to get partial volumes
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
    """

    shape: tuple[int, int, int]
    voxel_size: Triple = NATIVE_VOXEL

    def resampled(self, voxel_size: Triple) -> Grid:
        """The same field of view, to the nearest whole voxel, with voxels of another size (z, y, x) [mm]."""
        extent = np.multiply(self.shape, self.voxel_size)
        z, y, x = (max(1, round(length / size)) for length, size in zip(extent, voxel_size, strict=True))
        return Grid((z, y, x), voxel_size)

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


def organ_fractions(shapes: Sequence[Shape], grid: Grid, device: torch.device) -> torch.Tensor:
    """Fraction of every voxel that each organ fills.

    Returns
    -------
    Shape (1 + organs, z, y, x), float32; the first is what lies outside the body. Sums to 1 over the first axis.
    """
    fine = _paint(shapes, grid, device)
    steps = grid.supersampling
    blocks = fine.reshape(*(n for length in grid.shape for n in (length, steps)))
    return torch.stack(
        [(blocks == label).sum(dim=(1, 3, 5), dtype=torch.float32) / steps**3 for label in range(len(ORGANS) + 1)]
    )


def _paint(shapes: Sequence[Shape], grid: Grid, device: torch.device) -> torch.Tensor:
    """Label of every sample of the supersampled grid."""
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


def gaussian_matrix(length: int, sigma: float) -> Array:
    """Gaussian blur along one axis as a matrix, shape (length, length).

    The kernel is the discrete Gaussian e^(−σ²)·I_n(σ²) (Lindeberg, IEEE PAMI 1990;12:234-254): its variance is σ²
    and two blurs add in variance, exactly, also where σ is smaller than a voxel. Edge voxels are repeated outwards.

    Parameters
    ----------
    length
        Voxels along the axis.
    sigma
        Standard deviation [voxels].
    """
    reach = int(np.ceil(6.0 * sigma)) + 2
    offsets = np.arange(-reach, reach + 1)
    kernel = ive(np.abs(offsets), sigma**2)
    kernel /= kernel.sum()
    matrix = np.zeros((length, length))
    target = np.clip(np.arange(length)[:, None] + offsets, 0, length - 1)
    np.add.at(matrix, (np.arange(length)[:, None], target), kernel)
    return matrix


def separable(image: torch.Tensor, matrices: Sequence[Array]) -> torch.Tensor:
    """Apply one matrix along each of the last three axes (z, y, x)."""
    z, y, x = (torch.from_numpy(m).to(image) for m in matrices)
    image = image @ x.T
    image = y @ image
    return (z @ image.flatten(-2)).reshape(image.shape)


def blur_matrices(grid: Grid, width: Sequence[float]) -> list[Array]:
    """Gaussian blur of FWHM `width` [mm] along z, y, x."""
    return [gaussian_matrix(n, w / size / FWHM) for n, size, w in zip(grid.shape, grid.voxel_size, width, strict=True)]


def organ_weights(fractions: torch.Tensor, grid: Grid, protocol: Protocol, generator: torch.Generator) -> torch.Tensor:
    """How much of each organ's curve every voxel shows.

    The heart and what lies against it are blurred by the heart's motion, everything by the point spread function, and
    tissue (not blood, which is well mixed) carries the texture. Without texture the weights of a voxel sum to 1.

    Parameters
    ----------
    fractions
        From `organ_fractions`, shape (1 + organs, z, y, x).
    generator
        On the device of `fractions`; draws the texture.

    Returns
    -------
    Shape (1 + organs, z, y, x).
    """
    texture = (1.0 + protocol.texture * _texture(grid, protocol, generator)).clamp(min=0.3)
    tissue = torch.tensor([organ not in BLOOD_POOLS for organ in ("", *ORGANS)], device=fractions.device)
    textured = torch.where(tissue[:, None, None, None], fractions * texture, fractions)
    excess = [np.sqrt(protocol.heart_resolution**2 - width**2) for width in protocol.resolution]
    motion = blur_matrices(grid, excess)
    heart = fractions[[ORGANS.index(organ) + 1 for organ in HEART]].sum(dim=0)
    # the neighbourhood moves with the heart, so no voxel is counted twice or left empty
    moving = (100.0 * separable(heart, motion)).clamp(max=1.0)
    mixed = torch.lerp(textured, separable(textured, motion), moving)
    return separable(mixed, blur_matrices(grid, protocol.resolution))


def _texture(grid: Grid, protocol: Protocol, generator: torch.Generator) -> torch.Tensor:
    """A smooth random field with unit variance after the point spread function."""
    smooth = blur_matrices(grid, [_TEXTURE_WIDTH] * 3)
    seen = blur_matrices(grid, protocol.resolution)
    matrices = [s / np.linalg.norm(p @ s, axis=1, keepdims=True) for s, p in zip(smooth, seen, strict=True)]
    return separable(torch.randn(grid.shape, generator=generator, device=generator.device), matrices)


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
    correlate = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in blur_matrices(grid, NATIVE_VOXEL)]
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
