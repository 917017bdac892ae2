"""Input function read from the image itself: blood pools are found without a mask.

Blood shows an early, high peak and washes out; tissue keeps or gains activity. Each voxel's score is its highest early
activity minus twice the higher of its activity after the bolus and at the end, so that perfused organs, which wash out
by half or less, score nothing. Of the connected groups of high scores the one with the most blood-like voxels is taken;
in a mouse it mostly lies in the vena cava, which is too thin to show the whole peak but shows the tail as it is.

In mice the left ventricle is sought as a second pool (`heart`): it shows the peak, but its wall spills in. The tail of
the first pool, or one late arterial sample, tells how much. The curve is the mean of both pools, as the error of the
first is mostly a low peak, and that of the second a high one. A vein through which the tracer was injected shows it
undiluted, before it has passed the heart; keep it out of the field of view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import scipy
from numpy.typing import NDArray
from pydantic import Field

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.input_function.heart import LateLevel, find_heart, mean_curve
from dlif_core.input_function.method import Method
from dlif_core.input_function.one_sample import sample_near
from dlif_core.input_function.plasma import ImageOptions, image_plasma
from dlif_core.scan import DynamicScan, ImageArray

Array = NDArray[np.float64]
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

# the bolus is sought up to here, washout is judged after it [s]
_EARLY_END, _AFTER_END = 300.0, 600.0
_EARLY_FRAMES = 4
# smoothing before the peak is read off: voxels in space, frames in time
_SPACE_SIGMA, _TIME_WINDOW = 0.8, 3
_HALO = 3
# a group of blood voxels is above this share of the highest score; its core above the second
_GROUP_SHARE, _CORE_SHARE = 0.5, 0.9
_FEWEST = 8
# weight of the later activity in the score; chosen on simulated mice, where 1 lets liver and kidney in
_WASHOUT = 2.0
_SLAB_BYTES = 64 * 2**20
# relative weight of the roughness of the curve against the frame averages
_ROUGHNESS = 0.03
# largest part of its surroundings by which a sample may change the curve of a pool
_MOST_SPILL = 0.1


class ImageDerivedOptions(ImageOptions):
    """Options of the image-derived input function.

    Attributes
    ----------
    core
        Share of the highest score above which voxels of the blood pool enter the mean.
    late_sample
        Time [s] of one late arterial sample, which then fixes the tail; None takes it from the image.
    """

    core: Annotated[float, Field(gt=0, lt=1)] = _CORE_SHARE
    late_sample: Annotated[float, Field(ge=300)] | None = None


@dataclass(frozen=True, eq=False)
class BloodPool:
    """Voxels that were taken for blood.

    Attributes
    ----------
    mask
        Shape (z, y, x).
    surroundings
        The voxels around them, shape (z, y, x).
    late
        Mean activity late in the scan, shape (z, y, x) [Bq/mL].
    """

    mask: Mask
    surroundings: Mask
    late: Map

    @property
    def late_surroundings(self) -> float:
        """Mean activity around the voxels late in the scan, as a multiple of theirs; well above 1 means spill-in."""
        inside = max(float(self.late[self.mask].mean()), 1e-6 * float(self.late.max()))
        return float(self.late[self.surroundings].mean()) / inside

    def centroid(self, affine: Array | None) -> list[float]:
        """Centre in mm (x, y, z), or in voxels (x, y, z) without affine."""
        centre = np.argwhere(self.mask).mean(axis=0)[::-1]
        placed = centre if affine is None else affine[:3, :3] @ centre + affine[:3, 3]
        return [round(float(value), 2) for value in placed]


@dataclass(frozen=True, eq=False)
class CorrectedCurve:
    """The curve of all pools.

    Attributes
    ----------
    averages
        Frame averages of whole blood, shape (frames,) [Bq/mL].
    provenance, warnings
        How it came about.
    """

    averages: Array
    provenance: dict[str, Any]
    warnings: tuple[str, ...]


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: ImageDerivedOptions) -> InputFunction:
    """Image-derived input function of a scan; blood recordings serve plasma and the option `late_sample`.

    Raises
    ------
    InputError
        If the scan has no image, its frames don't show the bolus, or no blood pool stands out.
    BloodError
        If the late sample is not there.
    """
    pool, corrected = corrected_pool(scan, recordings, options)
    time, whole_blood, misfit = curve_from_frames(scan.timing, corrected.averages)
    plasma = image_plasma(time, scan.acquisition, recordings, options)
    volume = float(abs(np.linalg.det(scan.affine[:3, :3]))) / 1000 if scan.affine is not None else None
    return InputFunction(
        time=time,
        whole_blood=whole_blood,
        plasma=whole_blood * plasma.factor,
        method="image-derived",
        provenance={
            "options": options.deciding_settings(),
            "voxels": int(pool.mask.sum()),
            "volume [mL]": None if volume is None else round(volume * int(pool.mask.sum()), 6),
            "centroid x, y, z": pool.centroid(scan.affine),
            "late activity of surroundings to blood pool": round(pool.late_surroundings, 3),
            **corrected.provenance,
            "frame averages [Bq/mL]": corrected.averages.tolist(),
            "misfit of frame averages to peak": misfit,
            **plasma.provenance,
        },
        with_metabolites=plasma.with_metabolites,
        warnings=corrected.warnings + plasma.warnings,
    )


def corrected_pool(
    scan: DynamicScan, recordings: Sequence[BloodRecording], options: ImageDerivedOptions
) -> tuple[BloodPool, CorrectedCurve]:
    """The blood pool and the curve, corrected as far as the image allows; errors are those of `estimate`."""
    if scan.activity is None:
        raise InputError(
            "the study has region curves alone; an image-derived input function needs the dynamic image.",
            hint="Use an arterial or population input function.",
        )
    pool = find_blood_pool(scan.activity, scan.timing, options.core)
    curve = mean_curve(scan.activity, pool.mask)
    level, provenance = _late_level(scan, curve, recordings, options.late_sample)
    if options.late_sample is not None:
        curve = _through_level(curve, mean_curve(scan.activity, pool.surroundings), level)
    mouse = scan.acquisition.species == "mouse" and scan.affine is not None
    other_pool = pool.mask if options.late_sample is None else None
    heart = find_heart(scan, curve, pool.late, level, other_pool) if mouse else None
    if heart is None:
        return pool, CorrectedCurve(curve, provenance, _uncorrected(pool, options.late_sample))
    provenance |= {
        "heart, voxels": int(heart.chamber.sum()),
        "heart, spill-over from its wall": round(1.0 - heart.recovery, 3),
    }
    source = "the late sample" if options.late_sample is not None else "the tail of the other pool"
    warning = (
        "the curve is the mean of two pools: one not corrected for partial volume, and the heart with "
        f"{1 - heart.recovery:.0%} spill-over from its wall taken off by {source}."
    )
    return pool, CorrectedCurve(0.5 * (curve + heart.blood), provenance, (warning,))


def _late_level(
    scan: DynamicScan, curve: Array, recordings: Sequence[BloodRecording], at: float | None
) -> tuple[LateLevel, dict[str, Any]]:
    """Level of blood late in the scan, from the pool or from a sample."""
    timing = scan.timing
    if at is None:
        weights = np.where(_late_frames(timing), timing.duration, 0.0)
        weights /= weights.sum()
        return LateLevel(weights, float(weights @ curve)), {}
    sample = sample_near(recordings, at, scan.acquisition, "late_sample")
    within = min(sample.time, float(timing.mid[-1]))
    weights = np.array([np.interp(within, timing.mid, frame) for frame in np.eye(len(timing))])
    return LateLevel(weights, sample.whole_blood), {"late sample": sample.provenance}


def _through_level(curve: Array, surroundings: Array, level: LateLevel) -> Array:
    """The curve with as much of its surroundings subtracted or added as brings it to a level."""
    share = float((curve - surroundings) @ level.weights)
    part = np.clip((level.value - curve @ level.weights) / share, -_MOST_SPILL, _MOST_SPILL) if share else 0.0
    return np.asarray(curve + part * (curve - surroundings))


def _uncorrected(pool: BloodPool, late_sample: float | None) -> tuple[str, ...]:
    missing = "the image-derived curve is not corrected for partial volume"
    if late_sample is not None:
        return (f"{missing}; spill-over is corrected by the late sample alone.",)
    if pool.late_surroundings <= 1.2:
        return (f"{missing} and spill-over.",)
    return (
        f"{missing} and spill-over.",
        f"late in the scan the surroundings of the blood pool are {pool.late_surroundings:.1f} times as active as "
        "it: activity spills in, and the tail of the curve is too high.",
    )


def find_blood_pool(activity: ImageArray, timing: FrameTiming, core: float = _CORE_SHARE) -> BloodPool:
    """Voxels of the blood pool, from a first pass over the image slab by slab.

    Parameters
    ----------
    activity
        Shape (frames, z, y, x) [Bq/mL], read by slicing along z.
    timing
        Timing of the frames.
    core
        Share of the highest score above which voxels of the chosen group are taken.

    Raises
    ------
    InputError
        If fewer than four frames begin in the first 5 min, or no group of voxels shows a bolus that washes out.
    """
    early = timing.start < _EARLY_END
    if early.sum() < _EARLY_FRAMES or early.all():
        raise InputError(
            f"{int(early.sum())} of {len(timing)} frames begin in the first {_EARLY_END / 60:g} min; "
            "the bolus and its washout can't be told apart.",
            hint="An image-derived input function needs short early frames and a later part.",
        )
    maps = [_score(slab, timing) for slab in _slabs(activity)]
    score, late = np.concatenate([score for score, _ in maps]), np.concatenate([late for _, late in maps])
    mask = _core(score, _best_group(score), core)
    shell = scipy.ndimage.binary_dilation(mask, iterations=4) & ~scipy.ndimage.binary_dilation(mask, iterations=1)
    return BloodPool(mask, shell, late)


def _slabs(activity: ImageArray) -> Iterator[tuple[Map, slice]]:
    """Slabs along z with a margin for smoothing, and the part of each that is not margin."""
    frames, planes, rows, columns = activity.shape
    thick = max(1, _SLAB_BYTES // (4 * frames * rows * columns))
    thick -= thick % 16 if thick > 16 else 0  # whole chunks of the scan store
    for first in range(0, planes, thick):
        start, stop = max(0, first - _HALO), min(planes, first + thick + _HALO)
        slab = np.asarray(activity[:, start:stop], dtype=np.float32)
        yield slab, slice(first - start, first - start + min(thick, planes - first))


def _score(part: tuple[Map, slice], timing: FrameTiming) -> tuple[Map, Map]:
    """Score and late activity of one slab, both of shape (z, y, x)."""
    slab, inner = part
    sigma = (0, _SPACE_SIGMA, _SPACE_SIGMA, _SPACE_SIGMA)
    smooth = scipy.ndimage.gaussian_filter(slab, sigma, mode="nearest")[:, inner]
    early = timing.start < _EARLY_END
    peak = scipy.ndimage.uniform_filter1d(smooth[early], _TIME_WINDOW, axis=0, mode="nearest").max(axis=0)
    after = ~early & (timing.start < _AFTER_END)
    late_mean = _mean_over(smooth, timing, _late_frames(timing))
    tissue = np.maximum(_mean_over(smooth, timing, after), late_mean) if after.any() else late_mean
    return np.asarray(peak - _WASHOUT * tissue, dtype=np.float32), late_mean


def _late_frames(timing: FrameTiming) -> Mask:
    return np.asarray(timing.end > timing.end[-1] - 0.25 * (timing.end[-1] - timing.start[0]))


def _mean_over(slab: Map, timing: FrameTiming, frames: Mask) -> Map:
    weight = np.where(frames, timing.duration, 0.0)
    return np.asarray(np.tensordot(weight / weight.sum(), slab, axes=1), dtype=np.float32)


def _best_group(score: Map) -> Mask:
    """The connected group of high scores whose best voxels score highest."""
    # a single hot voxel must not set the scale: the eighth best does
    scale = float(np.partition(score.ravel(), -_FEWEST)[-_FEWEST]) if score.size > _FEWEST else 0.0
    groups, number = scipy.ndimage.label(score > max(_GROUP_SHARE * scale, 0.0), np.ones((3, 3, 3)))
    sizes = np.bincount(groups.ravel(), minlength=number + 1)
    sizes[0] = 0
    large = np.flatnonzero(sizes >= _FEWEST)
    if scale <= 0 or not len(large):
        raise InputError(
            "no connected group of voxels shows a bolus that washes out.",
            hint="The blood pool may lie outside the field of view; use another input function.",
        )
    best = max(large, key=lambda group: _top_mean(score[groups == group]))
    return np.asarray(groups == best)


def _top_mean(scores: Map) -> float:
    return float(np.sort(scores)[-_FEWEST:].mean())


def _core(score: Map, group: Mask, share: float) -> Mask:
    """The most blood-like voxels of a group, eight at least."""
    scores = np.sort(score[group])
    limit = min(share * float(scores[-_FEWEST:].mean()), float(scores[-_FEWEST]))
    return np.asarray(group & (score >= limit))


def curve_from_frames(timing: FrameTiming, averages: Array) -> tuple[Array, Array, float]:
    """Piecewise linear curve whose frame averages are the given ones, as nearly as a smooth, non-negative curve can.

    Nodes lie at injection (zero), at mid-frames and at the end; their values solve a non-negative least-squares
    problem in which second differences are weighted lightly.

    Parameters
    ----------
    timing
        Timing of the frames.
    averages
        Shape (frames,) [Bq/mL].

    Returns
    -------
    Times [s] and values [Bq/mL] of the nodes, and the root mean square misfit of the frame averages as a share of
    the highest of them.
    """
    time = np.unique(np.concatenate([[0.0], timing.mid, timing.end[-1:]]))
    average = timing.average(time, np.eye(len(time))).T
    roughness = _ROUGHNESS * np.diff(np.eye(len(time)), n=2, axis=0)
    system = np.concatenate([average, roughness])[:, 1:]  # the node at injection is zero
    scale = float(np.max(averages))
    solved, _ = scipy.optimize.nnls(system, np.concatenate([averages / scale, np.zeros(len(roughness))]))
    values = np.append(0.0, solved)
    misfit = float(np.sqrt(np.mean((average @ values - averages / scale) ** 2)))
    return time, scale * values, misfit


METHOD = Method("image-derived", "Image-derived", ImageDerivedOptions, estimate)
