"""Region means of an image in one pass over slabs; the same pass finds values that are not finite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import ImageSummary
from dlif_core.errors import ImageError
from dlif_core.scan import WHOLE_IMAGE, ImageArray, RegionCurves

__all__ = ["WHOLE_IMAGE", "LabelMeans", "label_means", "region_curves", "summary_of"]

Array = NDArray[np.float64]

#: More labels than any atlas has; an image of intensities taken for labels has as many.
_MOST_LABELS = 10_000

#: Numbers in one slab over all frames, 4 MB of float32; at least one plane is read.
_SLAB_VALUES = 1 << 20


@dataclass(frozen=True, eq=False)
class LabelMeans:
    """Mean curve of every label in an image.

    Attributes
    ----------
    labels
        Labels that occur, shape (labels,), increasing.
    voxels
        Voxels of each, shape (labels,).
    activity
        Mean curves, shape (labels, frames), in the image's unit.
    image
        The whole image in a few numbers for each frame.
    """

    labels: NDArray[np.int32]
    voxels: NDArray[np.intp]
    activity: Array
    image: ImageSummary


def label_means(image: ImageArray, labels: NDArray[np.int32], voxel_volume: float, where: str) -> LabelMeans:
    """Average the image over each label, frame by frame.

    Parameters
    ----------
    image
        Shape (frames, z, y, x); read in slabs of planes.
    labels
        Shape (z, y, x).
    voxel_volume
        Volume of a voxel [mm³].
    where
        The image file, for the error message.

    Raises
    ------
    ImageError
        If any value of the image, inside a label or not, is not finite; it says in which frames and how many. If there
        are more labels than an atlas can have.
    """
    values = _values(labels, image.shape, where)
    voxels = np.zeros(len(values), dtype=np.intp)
    total = np.zeros((image.shape[0], len(values)))
    not_finite = np.zeros(image.shape[0], dtype=int)
    square, lowest, highest = np.zeros((3, image.shape[0]))
    for planes in _slabs(image.shape):
        slab = np.asarray(image[:, planes])
        index = np.searchsorted(values, labels[planes]).ravel()
        voxels += np.bincount(index, minlength=len(values))
        for frame, volume in enumerate(slab):
            not_finite[frame] += volume.size - np.count_nonzero(np.isfinite(volume))
            square[frame] += np.square(volume, dtype=float).sum()
            total[frame] += np.bincount(index, weights=volume.ravel(), minlength=len(values))
        lowest = np.minimum(lowest, slab.min(axis=(1, 2, 3)))
        highest = np.maximum(highest, slab.max(axis=(1, 2, 3)))
    _require_finite(not_finite, where)
    count = int(voxels.sum())
    summary = ImageSummary(count, voxel_volume, total.sum(axis=1) / count, square / count, lowest, highest)
    return LabelMeans(values, voxels, (total / voxels).T, summary)


def summary_of(image: ImageArray, voxel_volume: float, where: str) -> ImageSummary:
    """An image in a few numbers for each frame, read once in slabs; parameters and errors as of `label_means`."""
    return label_means(image, np.broadcast_to(np.int32(1), image.shape[1:]), voxel_volume, where).image


def _values(labels: NDArray[np.int32], shape: tuple[int, ...], where: str) -> NDArray[np.int32]:
    values = np.unique(np.concatenate([np.unique(labels[planes]) for planes in _slabs(shape)]))
    if len(values) > _MOST_LABELS:
        raise ImageError(
            f"its label image holds {len(values)} different labels, more than {_MOST_LABELS}.",
            where=where,
            hint="Give an image of region labels, not one of intensities.",
        )
    return values


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    frames, planes, rows, columns = shape
    depth = max(1, _SLAB_VALUES // (frames * rows * columns))
    return (slice(first, min(first + depth, planes)) for first in range(0, planes, depth))


def _require_finite(not_finite: NDArray[np.int_], where: str) -> None:
    if not not_finite.any():
        return
    frames = np.flatnonzero(not_finite)
    listed = ", ".join(f"{not_finite[i]} in frame {i + 1}" for i in frames[:5])
    more = f" and more in {len(frames) - 5} further frames" if len(frames) > 5 else ""
    raise ImageError(
        f"voxels are not finite (NaN or infinite): {listed}{more}.",
        where=where,
        hint="Reconstruct or convert the image again; outside the field of view write 0.",
    )


def region_curves(
    means: LabelMeans, names: Mapping[int, str], voxel_volume: float, source: str
) -> tuple[RegionCurves, tuple[str, ...]]:
    """Make region curves of all labels but the background 0.

    Parameters
    ----------
    means
        Mean curve of every label [Bq/mL].
    names
        Region name of each label; labels without name are called ``label-<number>``, with a warning.
    voxel_volume
        Volume of a voxel [mm³].
    source
        The label image.

    Raises
    ------
    ImageError
        If there is no label but the background.
    """
    inside = np.flatnonzero(means.labels)
    if len(inside) == 0:
        raise ImageError("the label image is all zero.", where=source, hint="Give the image of region labels.")
    unnamed = [int(label) for label in means.labels[inside] if int(label) not in names]
    warnings = (f"Labels without a name: {', '.join(map(str, unnamed))}.",) if unnamed else ()
    return (
        RegionCurves(
            names=tuple(names.get(int(label), f"label-{label}") for label in means.labels[inside]),
            activity=means.activity[inside],
            volume=np.asarray(means.voxels[inside] * voxel_volume, dtype=float),
            source=source,
        ),
        warnings,
    )
