"""Images on other grids: averaged onto the grid of the networks, and displaced by parts of a voxel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Edge length of the networks' voxels [mm].
NETWORK_VOXEL = 1.0


def separable(image: torch.Tensor, matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    """Apply a matrix along each of the last three axes.

    Parameters
    ----------
    image
        Shape (n, z, y, x).
    matrices
        For z, y, x: each of shape (out, in), or (n, out, in) if every image has its own.
    """
    z, y, x = matrices
    out = image @ x.transpose(-1, -2).unsqueeze(-3) if x.dim() == 3 else image @ x.T
    out = (y.unsqueeze(-3) if y.dim() == 3 else y) @ out
    n, planes, rows, columns = out.shape
    return (z @ out.reshape(n, planes, rows * columns)).reshape(n, z.shape[-2], rows, columns)


def overlap_matrix(length: int, size: float, target: float = NETWORK_VOXEL) -> Array:
    """Matrix that averages samples of one edge length onto those of another with the same centre.

    Parameters
    ----------
    length
        Number of samples.
    size, target
        Edge length of a sample before and after [mm].

    Returns
    -------
    Shape (out, length), rows summing to 1: exact means of the piecewise constant image, over the part of each new
    sample that lies inside. The field of view stays the same to the nearest whole sample, at least one.
    """
    out = max(1, round(length * size / target))
    old = (np.arange(length + 1) - 0.5 * length) * size
    new = (np.arange(out + 1) - 0.5 * out) * target
    shared = np.minimum(old[1:], new[1:, None]) - np.maximum(old[:-1], new[:-1, None])
    shared = np.clip(shared, 0.0, None)
    return np.asarray(shared / shared.sum(axis=1, keepdims=True))


def to_network_grid(activity: torch.Tensor, voxel_size: Sequence[float]) -> torch.Tensor:
    """Average an image onto voxels of 1 mm.

    Parameters
    ----------
    activity
        Shape (n, z, y, x).
    voxel_size
        Along z, y, x [mm].
    """
    sizes = zip(activity.shape[1:], voxel_size, strict=True)
    return separable(activity, [torch.from_numpy(overlap_matrix(n, size)).to(activity) for n, size in sizes])


def network_affine(affine: Array, shape: Sequence[int]) -> Array:
    """Voxel index (x, y, z) of the networks' grid to mm, shape (4, 4).

    Parameters
    ----------
    affine
        Of the image.
    shape
        Voxels of the image along z, y, x.
    """
    size = np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0)
    before = np.asarray(shape, float)[::-1]
    after = np.maximum(1.0, np.round(before * size / NETWORK_VOXEL))
    step = np.diag([*(NETWORK_VOXEL / size), 1.0])
    step[:3, 3] = 0.5 * (before - 1.0) - 0.5 * (after - 1.0) * NETWORK_VOXEL / size
    return np.asarray(np.asarray(affine, float) @ step)


def displaced(
    images: torch.Tensor, displacement: torch.Tensor, zoom: Sequence[float] = (1.0, 1.0, 1.0)
) -> torch.Tensor:
    """Read images at displaced voxels, by cubic interpolation: out(v) = in(c + (v - c) / zoom + d), c the centre.

    Parameters
    ----------
    images
        Shape (n, z, y, x).
    displacement
        Shape (n, 3), along z, y, x [voxels]; the edge of the image goes on beyond it.
    zoom
        By which the image is stretched along z, y, x.
    """
    axes = zip(images.shape[1:], displacement.to(images).T, zoom, strict=True)
    return separable(images, [_cubic(n, shift, stretch) for n, shift, stretch in axes])


def _cubic(length: int, shift: torch.Tensor, zoom: float) -> torch.Tensor:
    """Matrices of Keys' cubic convolution (a = -1/2), shape (shifts, length, length)."""
    index = torch.arange(length, dtype=shift.dtype, device=shift.device)
    centre = 0.5 * (length - 1)
    at = (centre + (index - centre) / zoom + shift[:, None]).clamp(0.0, length - 1.0)
    away = (at[:, :, None] - index).abs()
    near = (1.5 * away - 2.5) * away**2 + 1.0
    far = ((-0.5 * away + 2.5) * away - 4.0) * away + 2.0
    weights = torch.where(away <= 1.0, near, torch.where(away < 2.0, far, torch.zeros_like(away)))
    return weights / weights.sum(dim=-1, keepdim=True)
