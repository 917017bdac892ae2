"""Means of a parameter over regions of its maps, with intervals that know what all voxels have in common.

The noise of one voxel's fit counts as independent of the next one's; where voxels are smaller than the resolution, or
the image was denoised, that makes the part of the noise too small. The part of the input function is exact to first
order: the loading of a mean is the mean of the loadings, so it does not shrink with the number of voxels.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegionMeans:
    """Means over regions, in the order of their labels.

    Attributes
    ----------
    labels
        Shape (regions,).
    voxels
        How many have a value, shape (regions,).
    mean
        Shape (regions,), NaN where no voxel has a value.
    fit_se
        Standard error from the noise of the fits, shape (regions,).
    loadings
        Loadings of the mean on the common factors of the input function, shape (factors, regions).
    """

    labels: NDArray[np.int64]
    voxels: NDArray[np.int64]
    mean: Array
    fit_se: Array
    loadings: Array

    @property
    def input_se(self) -> Array:
        """Standard error from the input function, shape (regions,)."""
        return np.asarray(np.sqrt(np.square(self.loadings).sum(0)))

    @property
    def total_se(self) -> Array:
        """Standard error from both, shape (regions,)."""
        return np.hypot(self.fit_se, self.input_se)

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Lower and upper end of the normal interval from `total_se`, each of shape (regions,)."""
        half = NormalDist().inv_cdf(0.5 + 0.5 * level) * self.total_se
        return self.mean - half, self.mean + half

    def covariance(self) -> Array:
        """Covariance of the means, shape (regions, regions): regions share the factors, not the noise."""
        return np.asarray(self.loadings.T @ self.loadings + np.diag(self.fit_se**2))


def region_means(
    values: ArrayLike, errors: ArrayLike, labels: ArrayLike, loadings: ArrayLike | None = None
) -> RegionMeans:
    """Average a map over regions.

    Voxels without a value are left out. Those with a value and no standard error (a parameter that rests on a bound)
    count, with the mean variance of the others.

    Parameters
    ----------
    values, errors
        A parameter and its ``_se``, of one shape.
    labels
        A mask, or the number of the region of every voxel, zero for none; of the same shape.
    loadings
        The parameter's ``_input_factor``, with the factors along a dimension before those of the voxels; None if it has
        none.

    Raises
    ------
    InputError
        If shapes differ or no voxel is in a region.
    """
    values, errors, labels = np.asarray(values, float), np.asarray(errors, float), np.asarray(labels).astype(np.int64)
    loadings = np.empty((0, *values.shape)) if loadings is None else np.asarray(loadings, float)
    if not values.shape == errors.shape == labels.shape == loadings.shape[1:]:
        raise InputError("values, errors, labels and loadings have different shapes.", where="region means")
    present = np.unique(labels[labels > 0])
    if not len(present):
        raise InputError("no voxel is in a region.", where="region means", hint="Labels count from one.")
    regions = (labels == label for label in present)
    found = [_mean(*(part[..., region] for part in (values, errors, loadings))) for region in regions]
    voxels, mean, fit_se, loading = zip(*found, strict=True)
    return RegionMeans(present, np.array(voxels), np.array(mean), np.array(fit_se), np.stack(loading, axis=1))


def _mean(values: Array, errors: Array, loadings: Array) -> tuple[int, Any, Any, Array]:
    """Number, mean, its standard error and its loadings, of voxels along the last dimension."""
    known = np.isfinite(values)
    count = int(known.sum())
    if not count:
        return 0, np.nan, np.nan, np.full(len(loadings), np.nan)
    variance = np.square(errors[known])
    variance = variance[np.isfinite(variance)]
    fit_se = np.sqrt(variance.mean() / count) if len(variance) else np.nan
    return count, values[known].mean(), fit_se, loadings[:, known].mean(axis=1)
