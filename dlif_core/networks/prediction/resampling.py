"""Images on other grids: averaged onto the grid of the networks, and displaced by parts of a voxel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.separable import averaging_matrix, separable

Array = NDArray[np.float64]

#: Edge length of the networks' voxels for mice [mm].
NETWORK_VOXEL = 1.0


def to_network_grid(
    activity: torch.Tensor, voxel_size: Sequence[float], network_voxel: float = NETWORK_VOXEL
) -> torch.Tensor:
    """Average an image onto the networks' voxels.

    Parameters
    ----------
    activity
        Images, shape (n, z, y, x).
    voxel_size
        Edge lengths of the voxels along z, y, x [mm].
    network_voxel
        Edge length of the networks' voxels [mm].
    """
    fine = list(zip(activity.shape[1:], voxel_size, strict=True))
    return separable(
        activity,
        [averaging_matrix(*axis, _network_length(*axis, network_voxel), network_voxel) for axis in fine],
    )


def _network_length(length: int, size: float, network_voxel: float) -> int:
    """Number of voxels of an axis on the networks' grid: its field of view to the nearest whole voxel, at least one."""
    return max(1, round(length * size / network_voxel))


def network_affine(affine: Array, shape: Sequence[int], network_voxel: float = NETWORK_VOXEL) -> Array:
    """Affine of the networks' grid: voxel index (x, y, z) to mm, shape (4, 4).

    Parameters
    ----------
    affine
        Voxel index (x, y, z) of the image to mm, shape (4, 4).
    shape
        Number of voxels of the image along z, y, x.
    network_voxel
        Edge length of the networks' voxels [mm].
    """
    size = np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0)
    before = np.asarray(shape, float)[::-1]
    after = np.array([_network_length(*axis, network_voxel) for axis in zip(before, size, strict=True)], float)
    step = np.diag([*(network_voxel / size), 1.0])
    step[:3, 3] = 0.5 * (before - 1.0) - 0.5 * (after - 1.0) * network_voxel / size
    return np.asarray(np.asarray(affine, float) @ step)


def displaced(
    images: torch.Tensor, displacement: torch.Tensor, zoom: Sequence[float] = (1.0, 1.0, 1.0)
) -> torch.Tensor:
    """Read images at displaced voxels, by cubic interpolation: out(v) = in(c + (v - c) / zoom + d), c the centre.

    Parameters
    ----------
    images
        Images, shape (n, z, y, x).
    displacement
        Displacement along z, y, x, shape (n, 3) [voxels]; beyond its edge an image continues with the edge's value.
    zoom
        Factors by which the images are stretched along z, y, x.
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
