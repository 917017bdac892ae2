"""Input function by factor analysis: voxel curves as non-negative mixtures of a few curves, of which one is blood.

The factors start at the voxels whose curves are extreme, by successive projection (Araújo et al., Chemometr Intell Lab
2001;57:65) after truncation of the singular values; then both factors and shares are improved by hierarchical
alternating least squares (Cichocki & Phan, IEICE Trans Fundam 2009;E92-A:708). A non-negative factorisation is not
unique: many steps bring the residual down but let tissue creep into the blood factor, so that a few are taken. The
factor whose late activity is lowest for its peak is blood. A factor has no scale either; it comes from the voxels of
the blood pools that show the peak, corrected as in the image-derived method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.input_function.image_derived import ImageDerivedOptions, corrected_pool, curve_from_frames
from dlif_core.input_function.method import Method
from dlif_core.input_function.plasma import ImageOptions, image_plasma
from dlif_core.input_function.voxel_curves import voxel_curves
from dlif_core.scan import DynamicScan

Array = NDArray[np.float64]

_STEPS = 10
_TINY = 1e-9
# frames are weighted by 1/sqrt(activity/duration); activity at least this part of the highest mean
_LEAST = 0.02
# blood is late after this time, and its scale is fitted until so long after its peak [s]
_LATE, _BOLUS = 600.0, 60.0
_AMBIGUOUS = (
    "factors are not unique: the curve may lack or hold some tissue. Its scale is that of the peak in the image."
)


class FactorAnalysisOptions(ImageOptions):
    """Options of factor analysis.

    Attributes
    ----------
    factors
        Number of factors.
    """

    factors: Annotated[int, Field(ge=2, le=20)] = 7


@dataclass(frozen=True, eq=False)
class Factors:
    """A non-negative factorisation, curves ≈ shares @ curves of factors.

    Attributes
    ----------
    shares
        Shape (voxels, factors).
    curves
        Shape (factors, frames).
    """

    shares: Array
    curves: Array


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: FactorAnalysisOptions) -> InputFunction:
    """Input function by factor analysis; blood recordings serve plasma alone.

    Raises
    ------
    InputError
        If the scan has no image with voxel size, or it shows no bolus and no blood pool.
    """
    pool = corrected_pool(scan, (), ImageDerivedOptions())[1]
    curves = voxel_curves(scan, "factor analysis")
    factors = factorise(curves, scan.timing, options.factors)
    blood = blood_factor(factors.curves, scan.timing)
    scale = bolus_scale(factors.curves[blood], pool.averages, scan.timing)
    averages = scale * factors.curves[blood]
    time, whole_blood, misfit = curve_from_frames(scan.timing, averages)
    plasma = image_plasma(time, scan.acquisition, recordings, options)
    residual = np.linalg.norm(curves - factors.shares @ factors.curves) / np.linalg.norm(curves)
    return InputFunction(
        time=time,
        whole_blood=whole_blood,
        plasma=whole_blood * plasma.factor,
        method="factor-analysis",
        provenance={
            "options": options.deciding_settings(),
            "voxels": len(curves),
            "relative residual": round(float(residual), 4),
            "highest share of blood": round(float((factors.shares[:, blood] / scale).max()), 3),
            "scale from": pool.provenance,
            "frame averages [Bq/mL]": averages.tolist(),
            "misfit of frame averages to peak": misfit,
            **plasma.provenance,
        },
        with_metabolites=plasma.with_metabolites,
        warnings=(_AMBIGUOUS, *plasma.warnings),
    )


def factorise(curves: Array, timing: FrameTiming, number: int) -> Factors:
    """Non-negative factors of curves.

    Parameters
    ----------
    curves
        Shape (voxels, frames), not negative but for noise.
    timing
        Timing of the frames, from which their weights follow.
    number
        Number of factors, at most the number of frames.
    """
    mean = curves.mean(axis=0)
    weights = np.sqrt(timing.duration / np.maximum(mean, _LEAST * mean.max()))
    weighted = curves * (weights / weights.mean())
    start = _extreme_curves(weighted, min(number, len(timing)))
    shares, factors = _alternating(weighted, start)
    return Factors(shares, factors / (weights / weights.mean()))


def _extreme_curves(curves: Array, number: int) -> Array:
    """Curves of the purest voxels, by successive projection of their shapes; shape (number, frames)."""
    left, values, right = np.linalg.svd(curves, full_matrices=False)
    smooth = np.maximum((left[:, :number] * values[:number]) @ right[:number], _TINY)
    total = smooth.sum(axis=1, keepdims=True)
    remainder = smooth / (total + np.median(total))
    chosen = []
    for _ in range(number):
        chosen.append(int((remainder**2).sum(axis=1).argmax()))
        direction = remainder[chosen[-1]] / np.linalg.norm(remainder[chosen[-1]])
        remainder = remainder - np.outer(remainder @ direction, direction)
    return np.asarray(smooth[chosen])


def _alternating(curves: Array, factors: Array) -> tuple[Array, Array]:
    """Shares and factors after some steps of hierarchical alternating least squares."""
    factors = factors.copy()
    shares = np.maximum(curves @ np.linalg.pinv(factors), _TINY)
    for _ in range(_STEPS):
        _improve(shares.T, factors @ factors.T, factors @ curves.T)
        _improve(factors, shares.T @ shares, shares.T @ curves)
    return shares, factors


def _improve(rows: Array, gram: Array, moment: Array) -> None:
    """Replace each row in turn, in place, by its non-negative optimum given the others."""
    for k in range(len(rows)):
        rows[k] = np.maximum(rows[k] + (moment[k] - gram[k] @ rows) / max(gram[k, k], _TINY), _TINY)


def blood_factor(curves: Array, timing: FrameTiming) -> int:
    """Index of the curve, of shape (factors, frames), that has least late activity for its peak."""
    late = np.where(timing.mid > timing.begin + _LATE, timing.duration, 0.0)
    return int(np.argmin(curves @ late / np.sort(curves, axis=1)[:, -3:].mean(axis=1)))


def bolus_scale(curve: Array, blood: Array, timing: FrameTiming) -> float:
    """Factor by which a curve comes nearest to blood up to a minute after the peak of blood.

    Parameters
    ----------
    curve, blood
        Frame averages, shape (frames,).
    timing
        Timing of the frames.
    """
    bolus = timing.start <= timing.mid[int(blood.argmax())] + _BOLUS
    return float((curve @ np.where(bolus, blood, 0.0)) / (curve @ np.where(bolus, curve, 0.0)))


METHOD = Method("factor-analysis", "Factor analysis", FactorAnalysisOptions, estimate)
