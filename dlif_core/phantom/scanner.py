"""Simulated scanner: voxel grid and acquisition protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ConfigurationError
from dlif_core.frames import FrameTiming
from dlif_core.separable import averaging_matrix

Array = NDArray[np.float64]
Triple = tuple[float, float, float]

#: Frames as (how many, of how many seconds each).
Schedule = tuple[tuple[int, float], ...]

#: Voxel of the scanner to which the noise level refers, along z, y, x [mm].
NATIVE_VOXEL: Triple = (0.597, 0.5, 0.5)

#: 42 frames in 45.5 min.
MOUSE_FRAMES: Schedule = ((1, 30.0), (24, 5.0), (9, 20.0), (8, 300.0))


@dataclass(frozen=True)
class Grid:
    """Voxel grid around the origin of the body.

    Attributes
    ----------
    shape
        Voxels along z (tail to head), y (back to belly), x (left to right).
    voxel_size
        Edge lengths along z, y, x [mm].
    finest_sample
        Organs are sampled at least this finely [mm].

    Raises
    ------
    ConfigurationError
        If a length is not positive.
    """

    shape: tuple[int, int, int]
    voxel_size: Triple = NATIVE_VOXEL
    finest_sample: float = 0.3

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or min(*self.voxel_size, self.finest_sample) <= 0:
            raise ConfigurationError(
                f"a grid of {self.shape} voxels of {self.voxel_size} mm is impossible.",
                hint="Give positive numbers along z, y, x.",
            )

    def resampled(self, voxel_size: Sequence[float]) -> Grid:
        """The same field of view, to the nearest whole voxel, with voxels of another size (z, y, x) [mm]."""
        z, y, x = (max(1, round(length / size)) for length, size in zip(self.extent, voxel_size, strict=True))
        return replace(self, shape=(z, y, x), voxel_size=(voxel_size[0], voxel_size[1], voxel_size[2]))

    def averaging_onto(self, coarse: Grid) -> list[Array]:
        """Matrices along z, y, x that average an image onto another grid with the same centre."""
        fine, large = zip(self.shape, self.voxel_size, strict=True), zip(coarse.shape, coarse.voxel_size, strict=True)
        return [averaging_matrix(*before, *after) for before, after in zip(fine, large, strict=True)]

    @property
    def extent(self) -> Array:
        """Field of view along z, y, x [mm]."""
        return np.multiply(self.shape, self.voxel_size)

    @property
    def affine(self) -> Array:
        """Voxel index (x, y, z) to mm, shape (4, 4), as in NIfTI."""
        size = np.array(self.voxel_size[::-1])
        affine = np.diag([*size, 1.0])
        affine[:3, 3] = -0.5 * (np.array(self.shape[::-1]) - 1) * size
        return affine

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel [mm³]."""
        return float(np.prod(self.voxel_size))

    @property
    def supersampling(self) -> int:
        """Samples along each voxel edge from which partial volumes are counted."""
        return max(2, int(np.ceil(max(self.voxel_size) / self.finest_sample)))


def centres(count: int, size: float) -> Array:
    """Centres of voxels along an axis through the origin [mm]."""
    return np.asarray((np.arange(count) - 0.5 * (count - 1)) * size, float)


#: The whole field of view of the scanner, and the crop around head, heart and abdomen.
FULL = Grid((128, 92, 92))
CROP = Grid((96, 48, 48))


def frame_timing(schedule: Schedule, end: float = np.inf) -> FrameTiming:
    """Frames without gaps from time zero, up to the last that is complete at `end` [s]."""
    duration = np.concatenate([np.full(count, seconds) for count, seconds in schedule])
    complete = np.cumsum(duration) <= end
    return FrameTiming((np.cumsum(duration) - duration)[complete], duration[complete])


@dataclass(frozen=True)
class Protocol:
    """Acquisition of a scan: frames, resolution, texture and motion.

    Attributes
    ----------
    timing
        Frames; by default 1×30, 24×5, 9×20 and 8×300 s.
    half_life
        Half-life of the radionuclide [s].
    blood_end
        End of the arterial record [s].
    resolution
        FWHM of the point spread function along z, y, x [mm].
    heart_resolution
        FWHM in the heart, which moves with heart beat and breathing [mm].
    texture
        Relative heterogeneity within organs, as seen through the point spread function.
    texture_width
        FWHM of that heterogeneity [mm].
    native_voxel
        Voxel to which the noise level refers, along z, y, x [mm]; noise is correlated over about one such voxel.
    motion
        Displacement of the body in each frame along z, y, x [mm]; empty for a body at rest.
    grain
        FWHM of the kernel that correlates the noise [native voxels].
    log_normal
        Whether noise is log-normal, as after reconstruction by expectation maximisation, or a clipped Gaussian.
    overshoot
        How much edges are enhanced, as by a reconstruction with resolution recovery: what a blur of the width of the
        resolution takes off is added again by so much.
    scatter
        Share of the activity that is seen spread over a wide range.
    calibration
        Factor on the image, as of a scanner that is calibrated wrongly.

    Raises
    ------
    ConfigurationError
        If there is motion, but not for every frame.
    """

    timing: FrameTiming = field(default_factory=lambda: frame_timing(MOUSE_FRAMES))
    half_life: float = 6586.2
    blood_end: float = 2430.0
    resolution: Triple = (0.99, 0.87, 0.86)
    heart_resolution: float = 2.0
    texture: float = 0.15
    texture_width: float = 3.0
    native_voxel: Triple = NATIVE_VOXEL
    motion: tuple[Triple, ...] = ()
    grain: float = 1.2
    log_normal: bool = False
    overshoot: float = 0.0
    scatter: float = 0.0
    calibration: float = 1.0

    def __post_init__(self) -> None:
        if self.motion and len(self.motion) != len(self.timing):
            raise ConfigurationError(
                f"expected {len(self.timing)} displacements of the body, one for each frame, got {len(self.motion)}.",
                hint="Give one displacement for each frame, or none.",
            )

    @property
    def counting_time(self) -> Array:
        """Frame durations weighted by the decay at their middle [s], shape (frames,)."""
        return self.timing.duration * np.exp2(-self.timing.mid / self.half_life)
