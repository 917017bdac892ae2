"""Multilinear methods: linear regression of C_T on integrals of the input and of the tissue curve itself.

* MA1, MA2: Ichise, Toyama, Innis & Carson, J Cereb Blood Flow Metab 2002;22:1271.
* MRTM, MRTM2: Ichise et al., J Cereb Blood Flow Metab 2003;23:1096.

Integrals are as in the Logan plot: of plasma from the true curve, of tissue and reference region from frame averages.
Volumes and binding potentials are ratios of coefficients. Where that of the tissue is not negative and that of the
input is positive, the tissue does not reach equilibrium; it has no volume, and the ratio is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.context import Array, FitContext
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.kinetics.linear.graphical import (
    frames_after_t_star,
    k2_prime_of,
    plasma_of,
    reference_of,
    tissue_integral,
)
from dlif_core.kinetics.linear.regression import BloodCorrection, CurveRegression, LinearEstimator
from dlif_core.kinetics.settings import FitSettings

_SECONDS_PER_MINUTE = 60.0


def ma1(context: FitContext, settings: FitSettings) -> LinearEstimator:
    """C_T = −(VT/b) ∫C_p + (1/b) ∫C_T after t*: VT and b.

    Raises
    ------
    ConfigurationError
        If there are not more frames from t* on than coefficients.
    """
    curve = plasma_of(context)
    integral = FrameConvolution(curve.time, curve.plasma, context.timing).running_integral
    regression = _regression(context, settings, [integral], [_integrator(context.timing)])
    return LinearEstimator(regression, _volume_and_intercept, lambda found: (-found[0] / found[1], 1 / found[1]))


def _volume_and_intercept(coefficients: Array) -> Sequence[Array]:
    plasma, tissue = coefficients
    tissue = _at_rest(plasma, tissue)
    return -plasma / tissue, 1 / tissue


def ma2(context: FitContext, settings: FitSettings) -> LinearEstimator:
    """C_T = K1(k3 + k4) ∫∫C_p + K1 ∫C_p − k2 k4 ∫∫C_T − (k2 + k3 + k4) ∫C_T: VT, K1, k2, k3, k4. Raises as `ma1`."""
    curve = plasma_of(context)
    integral = FrameConvolution(curve.time, curve.plasma, context.timing).running_integral
    shared = [double_integral(curve.time, curve.plasma, context.timing), integral]
    own = [_double_integrator(context.timing), _integrator(context.timing)]
    return LinearEstimator(_regression(context, settings, shared, own), _rate_constants, _of_rate_constants)


def _rate_constants(coefficients: Array) -> Sequence[Array]:
    double_plasma, influx, double_tissue, tissue = coefficients
    bound = double_plasma / influx  # k3 + k4
    k2 = -tissue - bound
    k4 = -double_tissue / k2
    return -double_plasma / _at_rest(double_plasma, double_tissue), influx, k2, bound - k4, k4


def _of_rate_constants(parameters: Array) -> Sequence[Array]:
    _, influx, k2, k3, k4 = parameters
    return influx * (k3 + k4), influx, -k2 * k4, -(k2 + k3 + k4)


def mrtm(context: FitContext, settings: FitSettings) -> LinearEstimator:
    """C_T = R1 C_ref + k2 ∫C_ref − k2/(1 + BPND) ∫C_T: BPND, R1, k2 and k2′ = k2/R1. Raises as `ma1`."""
    regression = _regression(context, settings, list(reference_of(context)), [_integrator(context.timing)])
    return LinearEstimator(regression, _binding_and_reference, _of_binding)


def _binding_and_reference(coefficients: Array) -> Sequence[Array]:
    delivery, k2, tissue = coefficients
    return -k2 / _at_rest(k2, tissue) - 1, delivery, k2, k2 / delivery


def _of_binding(parameters: Array) -> Sequence[Array]:
    binding, delivery, k2, _ = parameters
    return delivery, k2, -k2 / (1 + binding)


def mrtm2(context: FitContext, settings: FitSettings) -> LinearEstimator:
    """C_T = k2 (∫C_ref + C_ref/k2′) − k2/(1 + BPND) ∫C_T with k2′ known: BPND, R1 = k2/k2′ and k2. Raises as `ma1`."""
    k2_prime = k2_prime_of(settings)
    curve, integral = reference_of(context)
    regression = _regression(context, settings, [integral + curve / k2_prime], [_integrator(context.timing)])
    return LinearEstimator(
        regression,
        lambda found: (-found[0] / _at_rest(*found) - 1, found[0] / k2_prime, found[0]),
        lambda found: (found[2], -found[2] / (1 + found[0])),
    )


def fit_k2_prime(context: FitContext, curve: Array) -> float:
    """k2 of the reference region by MRTM over all frames of one curve, which should be one with specific binding.

    Parameters
    ----------
    context
        What curves share, with the curve of the reference region.
    curve
        The curve of the pilot region, shape (frames,) [Bq/mL].

    Returns
    -------
    k2′ [min⁻¹].

    Raises
    ------
    InputError
        If the curve does not determine it.
    """
    found = mrtm(context, FitSettings("mrtm", reference="reference")).fit(curve[:, None])
    k2_prime, error = float(found.values[3, 0]), float(found.errors[3, 0])
    if not (k2_prime > 0 and error < k2_prime):
        raise InputError(
            f"the pilot region does not determine k2′: {k2_prime:.3g} ± {error:.3g} min-1.",
            where="fit setting k2_prime",
            hint="Give k2_prime as a number, or name a pilot region with high specific binding.",
        )
    return k2_prime


def _regression(
    context: FitContext, settings: FitSettings, shared: Sequence[Array], own: Sequence[Array]
) -> CurveRegression:
    used = frames_after_t_star(context, settings, len(shared) + len(own))
    correction = BloodCorrection.fixed(context, settings)
    columns, matrices = np.stack(shared)[:, used], [matrix[used] for matrix in own]
    return CurveRegression(used, columns, matrices, context.weights, correction, context.device)


def _at_rest(inflow: Array, tissue: Array) -> Array:
    """The coefficient of the tissue where it comes to rest, else NaN."""
    return np.where((tissue.real < 0) | (inflow.real <= 0), tissue, np.nan)


def _integrator(timing: FrameTiming) -> Array:
    """The matrix that makes frame averages of ∫C_T of those of C_T."""
    return tissue_integral(timing, np.eye(len(timing)))


def _double_integrator(timing: FrameTiming) -> Array:
    """The matrix that makes frame averages of ∫∫C_T of those of C_T, with the curve straight as in `tissue_integral`.

    Within a frame of mean c, slope g and length d, ∫∫C_T is on average I₀ d/2 + c d²/6 − g d³/24 above that at its
    start, I₀ being ∫C_T there; across a gap of length s from c to c′ it rises by I₀ s + s² (c/3 + c′/6).
    """
    tissue, minutes = np.eye(len(timing)), timing.duration[:, None] / _SECONDS_PER_MINUTE
    average = tissue_integral(timing, tissue)
    slope = np.asarray(np.gradient(tissue, timing.mid, axis=0)) * _SECONDS_PER_MINUTE
    start = average - tissue * minutes / 2 + slope * minutes**2 / 12
    before = np.vstack([np.zeros_like(tissue[:1]), tissue[:-1]])
    end = np.vstack([np.zeros_like(tissue[:1]), (start + tissue * minutes)[:-1]])
    stop = np.append(0.0, timing.end[:-1])
    space = np.maximum(timing.start - stop, 0.0)[:, None] / _SECONDS_PER_MINUTE
    gap = space * end + space**2 * (before / 3 + tissue / 6)
    at_start = np.cumsum(gap, axis=0) + np.cumsum(average * minutes, axis=0) - average * minutes
    return np.asarray(at_start + start * minutes / 2 + tissue * minutes**2 / 6 - slope * minutes**3 / 24)


def double_integral(time: Array, values: Array, timing: FrameTiming) -> Array:
    """Exact frame averages of ∫∫C of a piecewise linear curve, zero before its first point and constant after its last.

    Parameters
    ----------
    time
        Shape (points,) [s].
    values
        Shape (points,) [Bq/mL].
    timing
        Frames.

    Returns
    -------
    Shape (frames,) [Bq/mL·min²].
    """
    edges = np.concatenate([timing.start, timing.end])
    nodes = np.union1d(time, edges[edges > time[0]])
    value, step = np.interp(nodes, time, values), np.diff(nodes) / _SECONDS_PER_MINUTE
    left, right = value[:-1], value[1:]
    single = _accumulated(step * (left + right) / 2)
    double = _accumulated(step * single[:-1] + step**2 * (left / 3 + right / 6))
    triple = _accumulated(step * double[:-1] + step**2 * single[:-1] / 2 + step**3 * (left / 8 + right / 24))
    at = np.interp(edges, nodes, triple).reshape(2, -1)
    return np.asarray((at[1] - at[0]) / (timing.duration / _SECONDS_PER_MINUTE))


def _accumulated(steps: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(steps)])
