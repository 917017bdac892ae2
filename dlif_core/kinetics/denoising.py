"""HYPR-LR denoising of a dynamic image before voxelwise fits.

Johnson et al., Magn Reson Med 2008;59:456; for PET Christian et al., J Nucl Med 2010;51:1147. Every frame becomes

    C · (G ⊛ frame) / (G ⊛ C),

with C the composite, the duration-weighted mean of all frames, and G a Gaussian. The composite brings the spatial
detail, the smoothed frame the course in time. What lies outside the image counts as zero in both convolutions, so the
kernel is renormalised at the edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.errors import ConfigurationError, FrameTimingError, ImageError
from dlif_core.kinetics.context import as_numbers

Image = NDArray[np.float32]

_FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))
#: Standard deviations after which the Gaussian is cut off.
_REACH = 3.0
#: Largest standard deviation [voxels]; no image has as many along an edge.
_WIDEST = 2000.0


def halo(voxel_size: Sequence[float], fwhm: float) -> tuple[int, int, int]:
    """Voxels around a block on which its denoised values depend.

    Parameters
    ----------
    voxel_size
        Edge lengths along z, y, x [mm].
    fwhm
        Full width at half maximum of the Gaussian [mm].

    Raises
    ------
    ConfigurationError
        If the width or an edge of a voxel is not a positive number.
    """
    z, y, x = (math.ceil(_REACH * sigma) for sigma in _deviations(voxel_size, fwhm))
    return z, y, x


def hypr_lr(activity: Image, duration: ArrayLike, voxel_size: Sequence[float], fwhm: float) -> Image:
    """Denoise a dynamic image, or a block of it with as much around it as `halo` says, to be cut off afterwards.

    Beside the result it needs memory for a few frames. A voxel whose composite is not positive becomes zero.

    Parameters
    ----------
    activity
        Decay-corrected and finite, shape (frames, z, y, x) [Bq/mL].
    duration
        Durations of the frames, shape (frames,) [s].
    voxel_size
        Edge lengths along z, y, x [mm].
    fwhm
        Full width at half maximum of the Gaussian [mm].

    Returns
    -------
    float32, shape (frames, z, y, x) [Bq/mL].

    Raises
    ------
    ConfigurationError
        If the width or an edge of a voxel is not a positive number.
    ImageError
        If the image is not of four dimensions.
    FrameTimingError
        If there is not one positive duration for every frame.
    """
    from scipy.ndimage import gaussian_filter

    seconds = as_numbers(duration, "frame durations")
    _require_image(activity, seconds)
    sigma, radius = _deviations(voxel_size, fwhm), halo(voxel_size, fwhm)

    def smooth(image: Image) -> Image:
        return np.asarray(gaussian_filter(image, sigma, mode="constant", radius=radius), dtype=np.float32)

    composite = _composite(activity, seconds)
    smoothed = smooth(composite)
    gain = np.divide(composite, smoothed, out=np.zeros_like(composite), where=smoothed > 0)
    denoised = np.empty(activity.shape, np.float32)
    for frame, result in zip(activity, denoised, strict=True):
        np.multiply(smooth(frame), gain, out=result)
    return denoised


def _deviations(voxel_size: Sequence[float], fwhm: float) -> list[float]:
    """Standard deviations of the Gaussian [voxels]."""
    if not _is_length(fwhm):
        raise ConfigurationError(
            f"a Gaussian of {fwhm!r} mm is impossible.", where="denoising", hint="Give its width in mm, above zero."
        )
    if np.shape(voxel_size) != (3,) or not all(map(_is_length, voxel_size)):
        raise ConfigurationError(
            f"a voxel of {voxel_size!r} mm is impossible.",
            where="denoising",
            hint="Give three edges in mm, above zero.",
        )
    deviations = [fwhm / _FWHM / size for size in voxel_size]
    if max(deviations) > _WIDEST:
        raise ConfigurationError(
            f"a Gaussian of {fwhm:g} mm is wider than any image of voxels of {min(voxel_size):g} mm.",
            where="denoising",
            hint="Give width and voxel size in mm.",
        )
    return deviations


def _is_length(value: object) -> bool:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0  # type: ignore[arg-type, operator]


def _require_image(activity: Image, duration: NDArray[np.float64]) -> None:
    frames = len(activity) if np.ndim(activity) == 4 else 0
    if not frames or np.asarray(activity).dtype.kind not in "fiu":
        raise ImageError(
            f"expected numbers of shape (frames, z, y, x), got shape {np.shape(activity)}.", where="denoising"
        )
    if duration.shape != (frames,) or not (np.isfinite(duration) & (duration > 0)).all():
        raise FrameTimingError(f"expected {frames} positive durations, got {duration.tolist()}.", where="denoising")


def _composite(activity: Image, duration: NDArray[np.float64]) -> Image:
    """Duration-weighted mean of the frames, zero where it is negative, shape (z, y, x)."""
    total = np.zeros(activity.shape[1:])
    for frame, seconds in zip(activity, duration / duration.sum(), strict=True):
        total += seconds * frame
    return np.maximum(total, 0.0).astype(np.float32)
