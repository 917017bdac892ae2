"""Linear maps of images, one small matrix an axis: blurring, averaging onto another grid, shifting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Full width at half maximum of a Gaussian of unit standard deviation.
FWHM = float(2.0 * np.sqrt(2.0 * np.log(2.0)))

_LANCZOS_REACH = 3


def separable(image: torch.Tensor, matrices: Sequence[Array | torch.Tensor]) -> torch.Tensor:
    """Apply a matrix along each of the last three axes.

    Parameters
    ----------
    image
        Shape (..., z, y, x).
    matrices
        Matrices for z, y, x, each of shape (out, in), or (n, out, in) for n images if each image has its own matrix.
    """
    z, y, x = (torch.as_tensor(matrix).to(image) for matrix in matrices)
    across = image @ (x.mT.unsqueeze(-3) if x.dim() == 3 else x.T)
    across = (y.unsqueeze(-3) if y.dim() == 3 else y) @ across
    result: torch.Tensor = z @ across.flatten(-2)
    return result.reshape(*result.shape[:-1], *across.shape[-2:])


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


def unit_variance(matrix: Array) -> Array:
    """Rows scaled such that independent noise keeps its variance, at the edges too."""
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


def averaging_matrix(length: int, size: float, coarse_length: int, coarse_size: float) -> Array:
    """Mean over larger voxels of an axis with the same centre, by exact overlap.

    Parameters
    ----------
    length, size
        Voxels of the image and their edge length.
    coarse_length, coarse_size
        Voxels of the result and their edge length. Where it reaches beyond the image, the mean is over the part
        within.

    Returns
    -------
    Shape (coarse_length, length); rows sum to 1.
    """
    edges = size * (np.arange(length + 1) - 0.5 * length)
    coarse = coarse_size * (np.arange(coarse_length + 1) - 0.5 * coarse_length)
    upper = np.minimum(edges[1:], coarse[1:, None])
    overlap = np.clip(upper - np.maximum(edges[:-1], coarse[:-1, None]), 0.0, None)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True))


def shift_matrices(length: int, shifts: Array) -> Array:
    """Translation of a sampled axis by Lanczos interpolation; edge samples are repeated outwards.

    Parameters
    ----------
    length
        Samples along the axis.
    shifts
        How far the content moves, shape (frames,) [samples].

    Returns
    -------
    Shape (frames, length, length); rows sum to 1.
    """
    position = np.arange(length) - np.asarray(shifts, float)[:, None]
    first = np.floor(position).astype(int) - _LANCZOS_REACH + 1
    taps = first[..., None] + np.arange(2 * _LANCZOS_REACH)
    distance = position[..., None] - taps
    kernel = np.sinc(distance) * np.sinc(distance / _LANCZOS_REACH)
    matrices = np.zeros((len(position), length, length))
    frame, row = (index[..., None] for index in np.indices(position.shape))
    np.add.at(matrices, (frame, row, np.clip(taps, 0, length - 1)), kernel / kernel.sum(axis=-1, keepdims=True))
    return matrices
