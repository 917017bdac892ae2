"""Noise of the simulated scanner: σ = α·√(C/(Δt·e^(−λt))), correlated over one or two native voxels, never below zero.

Clipping Gaussian noise at zero would raise the mean where counts are low, which emission tomography by expectation
maximisation does not: it keeps the counts. So the Gaussian is placed and scaled such that, once clipped, it has mean C
and standard deviation σ. Log-normal noise has both by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr

from dlif_core.phantom.scanner import Grid, Protocol
from dlif_core.separable import FWHM, blur_matrix, separable, unit_variance

Array = NDArray[np.float64]

# log-normal noise is no stronger than this, as a ratio of mean to standard deviation
_LOWEST_RATIO = 0.3

_LOWEST_POSITION = -2.0
_TABLE_END = 8.0
_TABLE_STEPS = 4096


def add_noise(image: torch.Tensor, grid: Grid, protocol: Protocol, level: float, generator: torch.Generator) -> None:
    """Add noise in place.

    Parameters
    ----------
    image
        Shape (frames, z, y, x) [SUV]; is overwritten.
    grid
        Voxels in which the scanner reconstructs.
    level
        α of a native voxel [SUV^½·s^½].
    generator
        Random numbers, on the device of `image`.
    """
    alpha = _alpha(level, grid, protocol)
    correlate = _correlation_kernels(grid, protocol)
    table = _clipped_gaussian()[:2].to(image)
    for frame, seconds in zip(image, protocol.counting_time, strict=True):
        normal = separable(torch.randn(grid.shape, generator=generator, device=generator.device), correlate)
        ratio = (frame * float(seconds)).sqrt() / alpha
        if protocol.log_normal:
            _multiply_into(frame, normal, ratio)
        else:
            _clip_into(frame, normal, ratio, table)


def add_averaged_noise(
    image: torch.Tensor, fine: Grid, coarse: Grid, protocol: Protocol, level: float, generator: torch.Generator
) -> None:
    """Add in place the noise of an image that was reconstructed on a fine grid and averaged onto a coarse one.

    Noise is drawn on the coarse grid alone, with the variances and correlations that averaging leaves. Clipping
    loosens the correlation of neighbours; the share of the variance in each Hermite order says by how much
    (correlation r becomes Σ share_k·r^k, Mehler's formula).

    Parameters
    ----------
    image
        Noise-free, on the coarse grid, shape (frames, z, y, x) [SUV]; is overwritten.
    fine, coarse
        Grids.
    level
        α of a native voxel [SUV^½·s^½].
    generator
        Random numbers, on the device of `image`.
    """
    alpha = _alpha(level, fine, protocol)
    averaged = _averaged_noise(fine, coarse, protocol)
    first, second, third = (variance.to(image) for variance in averaged.variances)
    table = _clipped_gaussian().to(image)
    for frame, seconds in zip(image, protocol.counting_time, strict=True):
        normal = separable(torch.randn(coarse.shape, generator=generator, device=generator.device), averaged.factors)
        ratio = (frame * float(seconds)).sqrt() / alpha
        if protocol.log_normal:
            _multiply_into(frame, normal, ratio / first.sqrt())
            continue
        linear, quadratic = _look_up(ratio, table[2:])
        variance = third + linear * (first - third) + quadratic * (second - third)
        _clip_into(frame, normal, ratio / variance.sqrt(), table[:2])


@dataclass(frozen=True, eq=False)
class _AveragedNoise:
    """Averaged noise of unit variance: factors of its correlation, and what averaging leaves of r, r² and r³."""

    factors: Sequence[Array]
    variances: Sequence[torch.Tensor]


def _averaged_noise(fine: Grid, coarse: Grid, protocol: Protocol) -> _AveragedNoise:
    factors, left = [], []
    for kernel, average in zip(_correlation_kernels(fine, protocol), fine.averaging_onto(coarse), strict=True):
        correlation = kernel @ kernel.T
        covariance = average @ correlation @ average.T
        left.append([np.einsum("ij,jk,ik->i", average, correlation**power, average) for power in (1, 2, 3)])
        # voxels much smaller than the correlation are nearly copies of each other
        jitter = 1e-9 * np.eye(len(covariance))
        factors.append(unit_variance(np.asarray(np.linalg.cholesky(covariance + jitter), float)))
    variances = [z[:, None, None] * y[:, None] * x for z, y, x in zip(*left, strict=True)]
    return _AveragedNoise(factors, [torch.from_numpy(variance) for variance in variances])


def _alpha(level: float, grid: Grid, protocol: Protocol) -> float:
    return float(level * np.sqrt(np.prod(protocol.native_voxel) / grid.voxel_volume))


def _correlation_kernels(grid: Grid, protocol: Protocol) -> list[Array]:
    widths = protocol.grain * np.divide(protocol.native_voxel, grid.voxel_size)
    return [unit_variance(blur_matrix(n, width / FWHM)) for n, width in zip(grid.shape, widths, strict=True)]


def _clip_into(frame: torch.Tensor, normal: torch.Tensor, ratio: torch.Tensor, table: torch.Tensor) -> None:
    """Replace a frame by itself with noise, given its ratio of mean to standard deviation."""
    position, scale = _look_up(ratio, table)
    beyond = ratio >= _TABLE_END  # where nothing is ever clipped
    position, scale = torch.where(beyond, ratio, position), torch.where(beyond, 1.0 / ratio, scale)
    frame.mul_((normal + position).clamp_(min=0.0).mul_(scale))


def _multiply_into(frame: torch.Tensor, normal: torch.Tensor, ratio: torch.Tensor) -> None:
    """Replace a frame by itself with log-normal noise of the same mean, given its ratio of mean to deviation."""
    spread = torch.log1p(ratio.clamp(min=_LOWEST_RATIO).square().reciprocal())
    frame.mul_(torch.exp(spread.sqrt() * normal - 0.5 * spread))


def _clipped_gaussian() -> torch.Tensor:
    """Table of moments of max(0, a + z), z standard normal, by its ratio of mean to standard deviation.

    Rows: position a, relative scale 1/E, and the shares of the variance in the first two Hermite orders.
    """
    a = np.linspace(_LOWEST_POSITION, _TABLE_END + 1, 20001)
    density, below = np.exp(-0.5 * a**2) / np.sqrt(2.0 * np.pi), ndtr(a)
    mean = density + a * below
    variance = (a**2 + 1.0) * below + a * density - mean**2
    position = np.interp(np.linspace(0.0, _TABLE_END, _TABLE_STEPS + 1), mean / np.sqrt(variance), a)
    rows = (mean, below**2 / variance, 0.5 * density**2 / variance)
    expected, linear, quadratic = (np.interp(position, a, row) for row in rows)
    return torch.from_numpy(np.stack([position, 1.0 / expected, linear, quadratic]))


def _look_up(ratio: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Rows of the table at each ratio of mean to standard deviation; above its end, its last column."""
    place = (ratio * (_TABLE_STEPS / _TABLE_END)).clamp(max=_TABLE_STEPS - 1e-3)
    left = place.long()
    return torch.lerp(table[:, left], table[:, left + 1], place - left)
