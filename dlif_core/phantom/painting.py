"""Organs on the voxel grid, as the simulated scanner sees them. The heavy part runs in torch.

Kinetics are linear, so the image is Σ weight(organ, voxel)·curve(organ, frame): organs are blurred once, and one matrix
product gives all frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.phantom.anatomy import BLOOD_POOLS, HEART, ORGANS
from dlif_core.phantom.bending import Bending
from dlif_core.phantom.scanner import Grid, Protocol, centres
from dlif_core.phantom.shapes import Shape
from dlif_core.separable import FWHM, blur_matrix, separable, unit_variance

Array = NDArray[np.float64]
Box = tuple[slice, slice, slice]

_SCATTER_WIDTH = 18.0  # FWHM of what scattered photons show [mm]
_TEXTURE_SPACING = 1 / 3  # distance of the random numbers that make the texture, relative to its width


@dataclass(frozen=True, eq=False)
class Painted:
    """Labels of the samples of a supersampled grid.

    Attributes
    ----------
    grid
        Sampled `grid.supersampling` times along each voxel edge.
    labels
        uint8, shape `grid.shape` times `grid.supersampling`; as in `anatomy.ORGANS`, 0 outside the body.
    boxes
        Whole voxels that enclose each organ, as slices of voxels; organs beyond the grid are absent.
    """

    grid: Grid
    labels: torch.Tensor
    boxes: Mapping[str, Box]

    def mask(self, organ: str) -> torch.Tensor:
        """Samples of its box that an organ fills: 1 inside, 0 outside, as float."""
        inside = self.labels[self.samples(self.boxes[organ])] == ORGANS.index(organ) + 1
        return inside.to(torch.float32)

    def samples(self, box: Box) -> Box:
        """The samples of a box of voxels."""
        steps = self.grid.supersampling
        z, y, x = (slice(part.start * steps, part.stop * steps) for part in box)
        return z, y, x


def paint(shapes: Sequence[Shape], grid: Grid, device: torch.device, deformation: Bending | None = None) -> Painted:
    """Sample an anatomy.

    Parameters
    ----------
    shapes
        Shapes in painting order.
    grid
        Sampled `grid.supersampling` times along each voxel edge.
    device
        Device that computes.
    deformation
        How the body is bent; None for a straight one.
    """
    steps = grid.supersampling
    axes = [
        torch.from_numpy(centres(n * steps, size / steps)) for n, size in zip(grid.shape, grid.voxel_size, strict=True)
    ]
    labels = torch.zeros([len(axis) for axis in axes], dtype=torch.uint8, device=device)
    boxes: dict[str, Box] = {}
    for shape in shapes:
        box = _enclosing(shape, axes, np.zeros(3) if deformation is None else deformation.reach)
        z, y, x = (axis[part].to(device, torch.float32) for axis, part in zip(axes, box, strict=True))
        if min(len(z), len(y), len(x)) == 0:
            continue
        place = (x, y[:, None], z[:, None, None])
        inside = shape.contains(*(place if deformation is None else deformation.straightened(*place)))
        labels[box].masked_fill_(inside, ORGANS.index(shape.organ) + 1)
        voxels = _voxels(box, steps)
        boxes[shape.organ] = _union(boxes.get(shape.organ, voxels), voxels)
    return Painted(grid, labels, boxes)


def organ_fractions(painted: Painted) -> torch.Tensor:
    """Fraction of every voxel that each organ fills.

    Returns
    -------
    Shape (1 + organs, z, y, x); the first is the part outside the body. Sums to 1 over the first axis.
    """
    steps = painted.grid.supersampling
    fractions = torch.zeros(1 + len(ORGANS), *painted.grid.shape, device=painted.labels.device)
    for organ, box in painted.boxes.items():
        mask = painted.mask(organ)
        mean = torch.nn.functional.avg_pool3d(mask[None], steps)[0]
        fractions[(ORGANS.index(organ) + 1, *box)] = mean
    fractions[0] = 1.0 - fractions[1:].sum(dim=0)
    return fractions


def organ_weights(painted: Painted, protocol: Protocol, generator: torch.Generator) -> torch.Tensor:
    """Contribution of each organ's curve to every voxel.

    Everything is seen through the point spread function and averaged over the voxel; in and around the heart the
    function is wider. Tissue (not blood, which is well mixed) carries the texture; without texture the weights of a
    voxel sum to the part of it that is in the body.

    Parameters
    ----------
    painted
        Result of `paint`.
    generator
        Random numbers of the texture, on the device of `painted`.

    Returns
    -------
    Shape (organs, z, y, x).
    """
    grid = painted.grid
    texture = 1.0 + protocol.texture * _texture(grid, protocol, generator)
    texture.clamp_(min=0.3)
    still = _blur_matrices(grid, protocol.resolution, grid.supersampling)
    beating = _blur_matrices(grid, [protocol.heart_resolution] * 3, grid.supersampling)
    near, moving = _moving(painted, beating)
    weights = torch.zeros(len(ORGANS), *grid.shape, device=painted.labels.device)
    for organ, box in painted.boxes.items():
        weight, columns = weights[ORGANS.index(organ)], painted.samples(box)
        mask = painted.mask(organ)
        seen = mask if organ in BLOOD_POOLS else mask * texture[columns]
        rows = _reached(still, columns)
        weight[rows] = separable(seen, _windows(still, rows, columns))
        if moving.numel():
            weight[near] = torch.lerp(weight[near], separable(seen, _windows(beating, near, columns)), moving)
    return weights


def reconstructed(weights: torch.Tensor, protocol: Protocol, grid: Grid) -> torch.Tensor:
    """The weights as a reconstruction leaves them: with scatter, enhanced edges and a calibration of its own."""
    if protocol.scatter:
        wide = _blur_matrices(grid, [_SCATTER_WIDTH] * 3)
        weights = torch.lerp(weights, separable(weights, wide), protocol.scatter)
    if protocol.overshoot:
        weights = weights + protocol.overshoot * (
            weights - separable(weights, _blur_matrices(grid, protocol.resolution))
        )
    return weights if protocol.calibration == 1.0 else protocol.calibration * weights


def _moving(painted: Painted, beating: Sequence[Array]) -> tuple[Box, torch.Tensor]:
    """Region of the heart's wider blur, and its weight there; neighbours of the heart move with it."""
    parts = [painted.boxes[organ] for organ in HEART if organ in painted.boxes]
    if not parts:
        return (slice(0), slice(0), slice(0)), torch.zeros(0, device=painted.labels.device)
    box = parts[0]
    for part in parts[1:]:
        box = _union(box, part)
    columns = painted.samples(box)
    labels = painted.labels[columns]
    heart = torch.isin(labels, labels.new_tensor([ORGANS.index(organ) + 1 for organ in HEART])).to(torch.float32)
    near = _reached(beating, columns)
    return near, (100.0 * separable(heart, _windows(beating, near, columns))).clamp_(max=1.0)


def _enclosing(shape: Shape, axes: Sequence[torch.Tensor], reach: Array) -> Box:
    """The samples within the box around a shape, and so far around it [mm]."""
    lower, upper = (corner[::-1] for corner in (shape.bounds[0] - reach, shape.bounds[1] + reach))
    z, y, x = (
        slice(*torch.searchsorted(axis, torch.tensor([low, high], dtype=torch.float64)).tolist())
        for axis, low, high in zip(axes, lower, upper, strict=True)
    )
    return z, y, x


def _voxels(box: Box, steps: int) -> Box:
    z, y, x = (slice(part.start // steps, -(-part.stop // steps)) for part in box)
    return z, y, x


def _union(first: Box, second: Box) -> Box:
    z, y, x = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return z, y, x


def _reached(matrices: Sequence[Array], columns: Box) -> Box:
    """The voxels in which something of a box of samples is seen."""
    ends = [np.flatnonzero(m[:, part].any(axis=1)) for m, part in zip(matrices, columns, strict=True)]
    z, y, x = (slice(int(rows[0]), int(rows[-1]) + 1) for rows in ends)
    return z, y, x


def _windows(matrices: Sequence[Array], rows: Box, columns: Box) -> list[Array]:
    """The matrices from a box of samples to a box of voxels."""
    return [matrix[r, c] for matrix, r, c in zip(matrices, rows, columns, strict=True)]


def _texture(grid: Grid, protocol: Protocol, generator: torch.Generator) -> torch.Tensor:
    """A smooth random field on the supersampled grid, of unit variance as the scanner sees it."""
    width = protocol.texture_width
    nodes = grid.resampled([width * _TEXTURE_SPACING] * 3)
    smooth = [
        _kernels(centres(n * grid.supersampling, size / grid.supersampling), centres(m, spacing), width / FWHM)
        for n, size, m, spacing in zip(grid.shape, grid.voxel_size, nodes.shape, nodes.voxel_size, strict=True)
    ]
    seen = _blur_matrices(grid, protocol.resolution, grid.supersampling)
    # share of the standard deviation that survives the scanner, in the middle of each axis
    middles = [((p @ s)[len(p) // 2], s[len(s) // 2]) for s, p in zip(smooth, seen, strict=True)]
    kept = [np.linalg.norm(after) / np.linalg.norm(before) for after, before in middles]
    matrices = [unit_variance(s) / share for s, share in zip(smooth, kept, strict=True)]
    return separable(torch.randn(nodes.shape, generator=generator, device=generator.device), matrices)


def _kernels(at: Array, nodes: Array, sigma: float) -> Array:
    """Gaussians around nodes [mm], shape (points, nodes)."""
    return np.asarray(np.exp(-0.5 * ((at[:, None] - nodes) / sigma) ** 2))


def _blur_matrices(grid: Grid, width: Sequence[float], steps: int = 1) -> list[Array]:
    """Matrices along z, y, x: Gaussian blur of FWHM `width` [mm] of samples, `steps` per voxel, then the voxel mean."""
    return [
        blur_matrix(n * steps, w * steps / size / FWHM).reshape(n, steps, -1).mean(axis=1)
        for n, size, w in zip(grid.shape, grid.voxel_size, width, strict=True)
    ]
