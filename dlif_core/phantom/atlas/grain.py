"""Noise of images that were reconstructed by expectation maximisation: never negative, skewed, coarse, mean kept.

The standard deviation of a voxel is σ = √(α²·C/(Δt·e^(−λt))·s + (b·C)²), s being the voxel's sensitivity loss towards
the ends of the field of view; neighbours are correlated through a Gaussian field that is turned into a log-normal or
gamma variable with mean C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.special import gammaincinv, ndtr

from dlif_core.phantom.atlas.camera import Raster
from dlif_core.separable import FWHM, separable

Array = NDArray[np.float64]
Image = NDArray[np.float32]

#: Distribution of a voxel's noise.
Law = Literal["log-normal", "gamma"]

#: Volume of the voxel to which the noise level refers [mm³].
NATIVE_VOLUME = 0.597 * 0.5 * 0.5

#: Largest squared coefficient of variation; where fewer counts are, reconstructions are smooth.
LARGEST_VARIATION = 8.0

_LEAST_MEAN = 1e-4  # [SUV]
_TABLE_VARIATIONS = np.geomspace(1e-3, LARGEST_VARIATION, 96)
_TABLE_NORMALS = np.linspace(-5.0, 5.0, 201)


@dataclass(frozen=True)
class Grain:
    """Noise of a camera and its reconstruction.

    Attributes
    ----------
    level
        α of a voxel of 0.597×0.5×0.5 mm [SUV^½·s^½].
    proportional
        b, the part of the standard deviation that grows with the mean.
    width
        FWHM of the Gaussian that correlates neighbours [voxels].
    loss
        Part of the sensitivity that is lost at the ends of the field of view.
    reach
        Half the field of view of the camera along the body [mm].
    law
        Distribution.
    """

    level: float
    proportional: float = 0.0
    width: float = 1.8
    loss: float = 0.5
    reach: float = 45.0
    law: Law = "log-normal"


def noisy(mean: Image, counting_time: Array, raster: Raster, grain: Grain, rng: np.random.Generator) -> Image:
    """An image with noise.

    Parameters
    ----------
    mean
        Shape (frames, z, y, x), not negative [SUV].
    counting_time
        Durations of the frames times decay [s], shape (frames,).
    raster
        Voxels.
    grain
        Noise.
    rng
        Source of randomness.
    """
    correlate = [_correlation(count, grain.width / FWHM) for count in raster.shape]
    scale, turn = _frame_scale(raster, grain), _LAWS[grain.law]
    result = np.empty_like(mean)
    for number, (frame, seconds) in enumerate(zip(mean, counting_time, strict=True)):
        normal = torch.from_numpy(rng.standard_normal(raster.shape, dtype=np.float32))
        variation = scale / (np.float32(seconds) * np.maximum(frame, _LEAST_MEAN)) + np.float32(grain.proportional**2)
        field = separable(normal, correlate).numpy()
        result[number] = frame * turn(np.minimum(variation, np.float32(LARGEST_VARIATION)), field)
    return result


def _frame_scale(raster: Raster, grain: Grain) -> Image:
    """α² of every plane, for voxels of this size, shape (z, 1, 1)."""
    count, edge = raster.shape[0], raster.voxel[0]
    place = (np.arange(count) - 0.5 * (count - 1)) * edge / grain.reach
    sensitivity = 1.0 - grain.loss * np.minimum(np.abs(place), 1.0)
    alpha = grain.level**2 * NATIVE_VOLUME / float(np.prod(raster.voxel))
    return np.asarray((alpha / sensitivity)[:, None, None], np.float32)


def _correlation(count: int, sigma: float) -> Array:
    """Gaussian blur of independent numbers that keeps their variance."""
    distance = np.arange(count)[:, None] - np.arange(count)
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(kernel / np.linalg.norm(kernel, axis=1, keepdims=True))


def _log_normal(variation: Image, normal: Image) -> Image:
    """Log-normal numbers of mean 1 and given squared coefficient of variation."""
    variance = np.log1p(variation)
    return np.asarray(np.exp(np.sqrt(variance) * normal - 0.5 * variance))


def _gamma(variation: Image, normal: Image) -> Image:
    """Gamma numbers of mean 1 and given squared coefficient of variation."""
    log_step = np.log(_TABLE_VARIATIONS[1] / _TABLE_VARIATIONS[0])
    row = np.log(np.maximum(variation, _TABLE_VARIATIONS[0]) / _TABLE_VARIATIONS[0]) / log_step
    column = (normal - _TABLE_NORMALS[0]) / (_TABLE_NORMALS[1] - _TABLE_NORMALS[0])
    return np.asarray(map_coordinates(_GAMMA_TABLE, [row, column], order=1, mode="nearest", output=np.float32))


def _gamma_table() -> Array:
    """Quantiles of gamma distributions with mean 1, by variation and normal quantile."""
    shape = 1.0 / _TABLE_VARIATIONS[:, None]
    return np.asarray(gammaincinv(shape, ndtr(_TABLE_NORMALS)) / shape)


_GAMMA_TABLE = _gamma_table()
_LAWS: dict[Law, Callable[[Image, Image], Image]] = {"log-normal": _log_normal, "gamma": _gamma}
