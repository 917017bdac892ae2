"""Simultaneous estimation: one parametric input function that explains the curves of several tissues together.

The Feng model (`dlif_core.blood_samples.feng`) is the input of irreversible two-tissue compartments in every cluster of
voxels or region. Given the input, each tissue is linear in all but one rate (variable projection: Golub & Pereyra, SIAM
J Numer Anal 1973;10:413), so that only the shape of the input is searched. The idea is that of Feng et al. (IEEE Trans
Inf Technol Biomed 1997;1:243). Tissue curves don't determine the scale; one arterial sample, the peak in the image, or
the population's area under the curve does. A weak prior holds what the tissues leave open to the population's shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import scipy
from numpy.typing import NDArray
from pydantic import Field

from dlif_core.blood_samples.feng import FengInput
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.blood_samples.series import time_grid
from dlif_core.curve import InputFunction
from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.input_function.factor_analysis import bolus_scale
from dlif_core.input_function.image_derived import ImageDerivedOptions, corrected_pool
from dlif_core.input_function.method import Method
from dlif_core.input_function.one_sample import sample_near
from dlif_core.input_function.plasma import ImageOptions, image_plasma
from dlif_core.input_function.population import population_shape
from dlif_core.input_function.voxel_curves import voxel_curves
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.scan import DynamicScan

Array = NDArray[np.float64]

#: k2 + k3 among which each tissue's is sought [1/min].
_RATES = np.geomspace(0.05, 6.0, 14)
_CLUSTERS, _SEED, _FEWEST = 8, 1, 3
# standard deviations of the prior: delay [min], logarithms of the other parameters
_DELAY_SPREAD, _SPREAD = 0.5, 0.4
# error of a tissue's curve: this part of its root mean square
_ERROR = 0.05
# relative step of the numerical derivatives
_STEP = 1e-3
_SECONDS = 60.0


class SimultaneousOptions(ImageOptions):
    """Options of simultaneous estimation.

    Attributes
    ----------
    scale_sample
        Time [s] of the arterial sample that scales the curve; None scales it by the peak in the image or, without
        image, by dose and weight.
    """

    scale_sample: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True, eq=False)
class JointFit:
    """Shape of the input function and the tissues that it explains.

    Attributes
    ----------
    feng
        The input function with A1 as in the start.
    fitted
        Curves of the tissues, shape (tissues, frames).
    """

    feng: FengInput
    fitted: Array


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: SimultaneousOptions) -> InputFunction:
    """Input function by simultaneous estimation, from image clusters or, without image, from three regions or more.

    Raises
    ------
    InputError
        If there is no population for this species and tracer, too few curves, or nothing that gives a scale.
    BloodError
        If the scaling sample is not there.
    """
    start = population_shape(scan.acquisition).feng
    curves, source = _tissue_curves(scan)
    time = time_grid(float(scan.timing.end[-1]))
    plasma = image_plasma(time, scan.acquisition, recordings, options)
    ratio = plasma.factor
    fit = fit_jointly(curves, scan.timing, replace(start, delay=_arrival(curves, scan.timing)), time, ratio)
    shape = fit.feng.curve(time)
    scale, scaling = _scale(scan, recordings, options, time, shape)
    residual = np.linalg.norm(curves - fit.fitted) / np.linalg.norm(curves)
    return InputFunction(
        time=time,
        whole_blood=scale * shape,
        plasma=scale * shape * ratio,
        method="simultaneous",
        provenance={
            "options": options.deciding_settings(),
            "curves from": source,
            "curves": len(curves),
            "relative residual": round(float(residual), 4),
            "shape": vars(fit.feng),
            "scaling": scaling,
            **plasma.provenance,
        },
        with_metabolites=plasma.with_metabolites,
        warnings=(
            "the shape is a model's, fitted to tissue curves; what they leave open is a population's.",
            *plasma.warnings,
        ),
    )


def _tissue_curves(scan: DynamicScan) -> tuple[Array, str]:
    """Curves to fit, shape (tissues, frames) [Bq/mL], and where they come from."""
    if scan.activity is not None and scan.affine is not None:
        curves = voxel_curves(scan, "simultaneous estimation")
        return cluster_curves(curves, scan.timing), "image clusters"
    curves = scan.regions.activity[scan.regions.activity.any(axis=1)]
    if len(curves) < _FEWEST:
        raise InputError(
            f"simultaneous estimation needs an image or {_FEWEST} region curves; there are {len(curves)}.",
            hint="Add regions of different tissues, or use another input function.",
        )
    return curves, "regions"


def cluster_curves(curves: Array, timing: FrameTiming) -> Array:
    """Mean curves of clusters of voxels with curves of a like shape.

    Parameters
    ----------
    curves
        Shape (voxels, frames).
    timing
        Timing of the frames.

    Returns
    -------
    Shape (clusters, frames); clusters that stayed empty are left out.
    """
    weighted = curves * np.sqrt(timing.duration)
    shapes = weighted / np.linalg.norm(weighted, axis=1, keepdims=True).clip(1e-12)
    _, labels = scipy.cluster.vq.kmeans2(shapes, _CLUSTERS, minit="++", rng=np.random.default_rng(_SEED))
    return np.stack([curves[labels == k].mean(axis=0) for k in np.unique(labels)])


def _arrival(curves: Array, timing: FrameTiming) -> float:
    """When the sum of the curves reaches a fifth of its early peak [min]."""
    total = curves.sum(axis=0)
    early = total[timing.mid < timing.begin + 5 * _SECONDS].max()
    return float(timing.mid[int(np.argmax(total > 0.2 * early))]) / _SECONDS


def fit_jointly(curves: Array, timing: FrameTiming, start: FengInput, time: Array, ratio: Array) -> JointFit:
    """The Feng input with which all tissues are explained best.

    Parameters
    ----------
    curves
        Shape (tissues, frames).
    timing
        Timing of the frames.
    start
        First guess and centre of the prior; its A1 stays.
    time
        Times at which the input is evaluated [s].
    ratio
        Plasma to whole blood at these times.
    """
    weights = np.sqrt(timing.duration / timing.duration.mean())
    errors = _ERROR * np.sqrt((weights**2 * curves**2).mean(axis=1, keepdims=True))

    def residuals(shape: Array) -> Array:
        blood = _feng(shape, start).curve(time)
        misfit = weights * (_project(curves, timing, time, blood, ratio, weights) - curves) / errors
        prior = (shape - _parameters(start)) / _spreads()
        return np.concatenate([misfit.ravel() / np.sqrt(len(timing)), prior])

    found = scipy.optimize.least_squares(
        residuals, _parameters(start), loss="soft_l1", diff_step=[_STEP] * 7, max_nfev=40
    )
    feng = _feng(found.x, start)
    return JointFit(feng, _project(curves, timing, time, feng.curve(time), ratio, weights))


def _parameters(feng: FengInput) -> Array:
    """Delay [min] and logarithms of A2, A3, −λ1, −λ2, −λ3 and the dispersion."""
    positive = [feng.a2, feng.a3, -feng.lambda1, -feng.lambda2, -feng.lambda3, max(feng.dispersion, 0.01)]
    return np.concatenate([[feng.delay], np.log(positive)])


def _feng(parameters: Array, start: FengInput) -> FengInput:
    a2, a3, lambda1, lambda2, lambda3, dispersion = (float(value) for value in np.exp(parameters[1:]))
    return FengInput(float(parameters[0]), start.a1, a2, a3, -lambda1, -lambda2, -lambda3, dispersion)


def _spreads() -> Array:
    return np.array([_DELAY_SPREAD] + [_SPREAD] * 6)


def _project(curves: Array, timing: FrameTiming, time: Array, blood: Array, ratio: Array, weights: Array) -> Array:
    """Each tissue's best fit given the input, shape (tissues, frames)."""
    convolution = FrameConvolution(time, blood * ratio, timing)
    responses = convolution.exponential(_RATES)
    columns = [convolution.running_integral, timing.average(time, blood)]
    designs = [np.stack([response, *columns], axis=1) for response in responses]
    return np.stack([_best(designs, curve, weights) for curve in curves])


def _best(designs: Sequence[Array], curve: Array, weights: Array) -> Array:
    """The non-negative fit of least residual among the designs."""
    fits = [scipy.optimize.nnls(design * weights[:, None], curve * weights) for design in designs]
    best = int(np.argmin([residual for _, residual in fits]))
    return np.asarray(designs[best] @ fits[best][0])


def _scale(
    scan: DynamicScan, recordings: Sequence[BloodRecording], options: SimultaneousOptions, time: Array, shape: Array
) -> tuple[float, dict[str, Any]]:
    """Bq/mL per unit of the shape, and what gives this scale."""
    if options.scale_sample is not None:
        sample = sample_near(recordings, options.scale_sample, scan.acquisition, "scale_sample")
        scale = sample.whole_blood / max(float(np.interp(sample.time, time, shape)), 1e-9)
        return scale, {"by": "one arterial sample", **sample.provenance}
    if scan.activity is not None:
        pool = corrected_pool(scan, (), ImageDerivedOptions())[1]
        return bolus_scale(scan.timing.average(time, shape), pool.averages, scan.timing), {
            "by": "the peak in the image",
            **pool.provenance,
        }
    return _population_scale(scan, time, shape)


def _population_scale(scan: DynamicScan, time: Array, shape: Array) -> tuple[float, dict[str, Any]]:
    """Scale at which the area under the curve is the population's."""
    factor = scan.acquisition.suv_factor
    if factor is None:
        raise InputError(
            "injected activity or body weight is unknown, so that the curve has no scale.",
            hint="State both, or scale by one arterial sample with the option scale_sample.",
        )
    population = population_shape(scan.acquisition).feng.curve(time)
    area = float(np.trapezoid(population, time) / np.trapezoid(shape, time))
    return area / factor, {"by": "the population's area under the curve, dose and weight"}


METHOD = Method("simultaneous", "Simultaneous estimation", SimultaneousOptions, estimate)
