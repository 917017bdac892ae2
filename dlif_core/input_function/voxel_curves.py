"""Curves of the body on a coarse grid, for methods that need many curves and little noise."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from dlif_core.errors import InputError
from dlif_core.scan import DynamicScan, ImageArray

Array = NDArray[np.float64]

#: The field of view is divided into about so many cubes: edges of 1 mm for a mouse.
_CUBES = 60_000
_SMOOTHING = 0.5  # [cubes]
# the body is what is above this part of the mean of the image
_BODY = 0.3
_FEWEST = 200


def voxel_curves(scan: DynamicScan, method: str) -> Array:
    """Curves of the cubes that lie in the body.

    Parameters
    ----------
    scan
        A scan with image and affine.
    method
        Method that needs them, for messages.

    Returns
    -------
    Shape (cubes, frames) [Bq/mL].

    Raises
    ------
    InputError
        If there is no image or voxel size, or hardly any body in it.
    """
    if scan.activity is None or scan.affine is None:
        raise InputError(
            f"{method} needs the dynamic image with its voxel size.",
            hint="Use an arterial or population input function.",
        )
    blocks = _blocks(scan.activity, scan.voxel_size)
    coarse = [_averaged(np.asarray(scan.activity[i], np.float32), blocks) for i in range(len(scan.timing))]
    curves = np.stack(
        [scipy.ndimage.gaussian_filter(frame, _SMOOTHING, mode="nearest").ravel() for frame in coarse], axis=1
    )
    mean = curves @ (scan.timing.duration / scan.timing.duration.sum())
    inside = mean > _BODY * float(mean.mean())
    if mean.max() <= 0 or inside.sum() < _FEWEST:
        raise InputError(f"the image shows too little activity for {method}.", hint="Check units and field of view.")
    return np.asarray(curves[inside], float)


def _blocks(activity: ImageArray, voxel_size: Array) -> list[int]:
    """Voxels along each edge of a cube, for z, y, x."""
    volume = float(np.prod(voxel_size)) * float(np.prod(activity.shape[1:]))
    edge = np.cbrt(volume / _CUBES)
    lengths = zip(voxel_size, activity.shape[1:], strict=True)
    return [min(max(1, round(edge / size)), length) for size, length in lengths]


def _averaged(frame: NDArray[np.float32], blocks: list[int]) -> NDArray[np.float32]:
    """Means over blocks; what doesn't fill a block at the far edge is left out."""
    whole = [length // block for length, block in zip(frame.shape, blocks, strict=True)]
    cut = frame[tuple(slice(number * block) for number, block in zip(whole, blocks, strict=True))]
    shape = [part for pair in zip(whole, blocks, strict=True) for part in pair]
    return np.asarray(cut.reshape(shape).mean(axis=(1, 3, 5)))
