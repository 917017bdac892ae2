"""Labels brought onto the voxel grid of an image: as they are, reordered, or by nearest neighbour."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ImageError

Array = NDArray[np.float64]

#: How far apart two statements of one affine may be [mm].
_ROUNDING = 1e-2
#: Moves a centre that lies between two voxels to the next one, whatever the rounding of the affines.
_TIE = 1e-6


class ImageGrid(Protocol):
    """An image of which only its voxel grid counts."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, z, y, x)."""

    @property
    def affine(self) -> Array:
        """Shape (4, 4), voxel index (x, y, z) to mm."""


class PlacedLabels(NamedTuple):
    """Labels on the grid of an image.

    Attributes
    ----------
    values
        Shape (z, y, x) of the image; 0 outside the label image.
    covered
        Share of the image's voxels whose centres lie in the label image.
    resampled
        Whether the two grids differ in more than the order and direction of their axes.
    """

    values: NDArray[Any]
    covered: float
    resampled: bool


def on_grid(
    values: NDArray[Any], affine: Array, image: ImageGrid, where: str, *, resample: bool = False, cropped: bool = False
) -> PlacedLabels:
    """Bring labels onto the grid of an image.

    A label image whose voxels are those of the image in another order is reordered, which loses nothing.

    Parameters
    ----------
    values
        Labels, shape (z, y, x).
    affine
        Shape (4, 4), index (x, y, z) of the labels to mm.
    image
        The image.
    where
        The label image, for messages.
    resample
        Whether labels on another grid are resampled: each voxel of the image takes the label of the voxel that its
        centre lies in, and 0 outside.
    cropped
        Whether the labels may lack planes of the image that hold none.

    Raises
    ------
    ImageError
        If the labels are on another grid and are not to be resampled, or don't cover the image at all.
    """
    shape = image.shape[1:]
    step = np.linalg.inv(affine) @ image.affine
    same = np.round(step)
    is_aligned = _is_reordering(same) and np.allclose(affine @ same, image.affine, rtol=0, atol=_ROUNDING)
    if is_aligned and (cropped or _is_covered(same, values.shape, shape)):
        return PlacedLabels(*_sampled(values, same, shape), resampled=False)
    if not resample:
        raise ImageError(
            f"the label image is on another grid (z, y, x = {values.shape}) than the image {shape}, "
            "or placed differently.",
            where=where,
            hint="Set `resample_labels: true` in `data` (`--resample-labels`), or resample it to the PET image, with "
            "nearest neighbour.",
        )
    placed = PlacedLabels(*_sampled(values, step, shape), resampled=True)
    if not placed.covered:
        raise ImageError(
            "the label image does not cover the PET image at all.",
            where=where,
            hint="Register the label image, or what it was drawn on, with the PET image; correct its orientation.",
        )
    return placed


def _is_reordering(step: Array) -> bool:
    """Whether a step of one voxel is one of one voxel along some axis on the other grid, too."""
    steps = np.abs(step[:3, :3])
    return bool((steps.sum(axis=0) == 1).all() and (steps.sum(axis=1) == 1).all())


def _is_covered(step: Array, labelled: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether the first and last voxels of an image are those of the label image, in any direction."""
    ends = step @ np.array([[0, 0, 0, 1], [*(length - 1 for length in shape[::-1]), 1]], float).T
    found = np.sort(ends[:3], axis=1)
    return bool((found == np.array([[0, length - 1] for length in labelled[::-1]])).all())


def _sampled(values: NDArray[Any], step: Array, shape: tuple[int, ...]) -> tuple[NDArray[Any], float]:
    """The labels at the centres of an image's voxels, plane by plane, and the share of the centres inside."""
    result = np.zeros(shape, values.dtype)
    y, x = np.ogrid[: shape[1], : shape[2]]
    inside = 0
    for z in range(shape[0]):
        places = [row[0] * x + row[1] * y + row[2] * z + row[3] for row in step[:3]]
        index = [np.floor(place + (0.5 + _TIE)).astype(np.intp) for place in places]
        bounds = zip(index, values.shape[::-1], strict=True)
        within = np.logical_and.reduce([(at >= 0) & (at < length) for at, length in bounds])
        result[z][within] = values[tuple(at[within] for at in index[::-1])]
        inside += int(np.count_nonzero(within))
    return result, inside / result.size
