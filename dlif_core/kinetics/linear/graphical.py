"""Patlak and Logan plots with plasma or with a reference region, and the start t* of their linear phase.

All are written in frame averages, in which the operational equations hold exactly (all are linear in the curves):

* Patlak: C_T / C_p = Ki (∫C_p) / C_p + intercept
  (Patlak, Blasberg & Fenstermacher, J Cereb Blood Flow Metab 1983;3:1).
* Logan: (∫C_T) / C_T = VT (∫C_p) / C_T + intercept
  (Logan et al., J Cereb Blood Flow Metab 1990;10:740).

∫C_p runs from the first point of the true plasma curve. ∫C_T runs from t = 0: the frames before count in full,
the curve is straight within a frame and across a gap, and rises in a straight line from t = 0 to a first frame that
starts later. Frame weights are those of the points in the plot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError, CurveError, FrameTimingError, InputError
from dlif_core.frames import FrameTiming, integral_at
from dlif_core.kinetics.context import Array, Estimates, FitContext, require_frames
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.kinetics.linear.backend import Backend
from dlif_core.kinetics.linear.equation_error import Lines, PlotError
from dlif_core.kinetics.linear.regression import (
    BloodCorrection,
    CurveRegression,
    LinearEstimator,
    estimates,
    largest_deviation,
)
from dlif_core.kinetics.settings import FitSettings

_SECONDS_PER_MINUTE = 60.0
#: Points beyond the coefficients that a search for t* leaves at least.
_SPARE_FRAMES = 3


def frames_after_t_star(context: FitContext, settings: FitSettings, coefficients: int) -> NDArray[np.bool_]:
    """Which frames start at or after t* (all without one) and have a weight; shape (frames,).

    Raises
    ------
    FrameTimingError
        If there are not more of them than coefficients.
    """
    t_star, weighted = float(settings.t_star or 0.0), context.weights > 0
    start = context.timing.start / _SECONDS_PER_MINUTE
    used = np.asarray((start >= t_star - 1e-6) & weighted)
    needed = coefficients + 1
    if used.sum() < needed:
        latest = start[weighted][-min(needed, int(weighted.sum()))]
        raise FrameTimingError(
            f"only {used.sum()} frames start at or after t* = {t_star:g} min.",
            where="fit setting t_star",
            hint=f"At least {needed} are needed: use t_star ≤ {latest:g}.",
        )
    return used


def tissue_integral(timing: FrameTiming, tissue: Array) -> Array:
    """Frame averages of ∫C_T from t = 0, shape (frames, voxels) [Bq/mL·min]; for two frames or more."""
    require_frames(timing)
    before = 0.5 * np.concatenate([tissue[:1], tissue[:-1] + tissue[1:]])
    space = np.diff(timing.start, prepend=0.0) - np.concatenate([[0.0], timing.duration[:-1]])
    gaps = np.cumsum(before * np.maximum(space, 0.0)[:, None], axis=0)
    duration = timing.duration[:, None]
    areas = tissue * duration
    within = 0.5 * areas - np.gradient(tissue, timing.mid, axis=0) * duration**2 / 12
    return np.asarray((gaps + np.cumsum(areas, axis=0) - areas + within) / _SECONDS_PER_MINUTE)


def plasma_of(context: FitContext) -> InputFunction:
    """The input function, which a model with plasma has."""
    if context.input_function is None:
        raise InputError("there is no input function.", where="kinetic fit")
    return context.input_function


def reference_of(context: FitContext) -> tuple[Array, Array]:
    """Frame averages of the reference curve [Bq/mL] and of its integral from t = 0 [Bq/mL·min]."""
    if context.reference is None:
        raise InputError("there is no curve of a reference region.", where="kinetic fit")
    return context.reference, tissue_integral(context.timing, context.reference[:, None])[:, 0]


def patlak(context: FitContext, settings: FitSettings) -> LinearEstimator:
    """Patlak plot with plasma: Ki and intercept.

    Raises
    ------
    FrameTimingError
        If fewer than three frames start at or after t*.
    CurveError
        If the plasma curve is not positive in a frame that is used.
    """
    curve = plasma_of(context)
    integral = FrameConvolution(curve.time, curve.plasma, context.timing).running_integral
    return _patlak(context, settings, curve.frame_average(context.timing)[1], integral, curve.method)


def relative_patlak(context: FitContext, settings: FitSettings) -> LinearEstimator:
    """Patlak plot whose integral of plasma starts at t*, so that no earlier input is needed.

    (Zuo, Qi & Wang, Phys Med Biol 2018;63:165004.) Raises as `patlak` does.
    """
    curve = plasma_of(context)
    start = float(settings.t_star or 0.0) * _SECONDS_PER_MINUTE
    before = integral_at(curve.time, curve.plasma, start) / _SECONDS_PER_MINUTE
    integral = FrameConvolution(curve.time, curve.plasma, context.timing).running_integral - before
    return _patlak(context, settings, curve.frame_average(context.timing)[1], integral, curve.method)


def reference_patlak(context: FitContext, settings: FitSettings) -> LinearEstimator:
    """Patlak plot with a reference region: Ki′ and intercept.

    (Patlak & Blasberg, J Cereb Blood Flow Metab 1985;5:584.) Raises as `patlak` does.
    """
    return _patlak(context, settings, *reference_of(context), "reference region")


def _patlak(context: FitContext, settings: FitSettings, curve: Array, integral: Array, where: str) -> LinearEstimator:
    """A regression of C_T itself: divided by the curve as the plot is, only the weights change."""
    used = frames_after_t_star(context, settings, 2)
    _require_positive(curve[used], where)
    weights = np.zeros(len(used))
    weights[used] = context.weights[used] / curve[used] ** 2
    shared = np.stack([integral, curve])[:, used]
    correction = BloodCorrection.fixed(context, settings)
    return LinearEstimator(CurveRegression(used, shared, (), weights, correction, context.device))


def logan(context: FitContext, settings: FitSettings) -> LoganPlot:
    """Logan plot with plasma: VT and intercept.

    Raises
    ------
    FrameTimingError
        If fewer than three frames start at or after t*.
    CurveError
        If the integral of the plasma curve is not positive in a frame that is used.
    """
    curve = plasma_of(context)
    integral = FrameConvolution(curve.time, curve.plasma, context.timing).running_integral
    return LoganPlot(context, settings, integral, curve.method)


def reference_logan(context: FitContext, settings: FitSettings) -> ReferenceLoganPlot:
    """Logan plot with a reference region whose k2′ is known: DVR, BPND and intercept.

    (Logan et al., J Cereb Blood Flow Metab 1996;16:834.) Raises as `logan` does.
    """
    curve, integral = reference_of(context)
    return ReferenceLoganPlot(context, settings, integral + curve / k2_prime_of(settings), "reference region")


def k2_prime_of(settings: FitSettings) -> float:
    """k2′ [min⁻¹], which the model needs."""
    if settings.k2_prime is None:
        raise ConfigurationError(
            f"{settings.model} needs the k2 of the reference region.", where="fit setting k2_prime"
        )
    return float(settings.k2_prime)


def _require_positive(curve: Array, where: str) -> None:
    if (curve <= 0).any():
        raise CurveError(
            "the curve that the plot divides by is not positive in every frame after t*.",
            where=where,
            hint="Use a later t_star, or an input function or reference region that covers the scan.",
        )


class LoganPlot:
    """Straight lines through (∫C_T) / C_T over P / C_T, with P the same for all curves.

    Sums of products of the plot's coordinates are enough for a line; they are formed in float64. Undefined, and so
    NaN, where C_T is not positive in a frame that is used.

    Parameters
    ----------
    context, settings
        What the curves share, and how to fit.
    numerator
        P, shape (frames,) [Bq/mL·min].
    where
        What P was made of, for error messages.

    Attributes
    ----------
    freedom
        Frames used less coefficients.
    """

    def __init__(self, context: FitContext, settings: FitSettings, numerator: Array, where: str) -> None:
        self._used = frames_after_t_star(context, settings, 2)
        self._numerator = numerator[self._used]
        _require_positive(self._numerator, where)
        self.freedom = int(self._used.sum()) - 2
        self._correction = BloodCorrection.fixed(context, settings)
        self._integrate = tissue_integral(context.timing, np.eye(len(context.timing)))[self._used]
        self._backend = Backend(context.device)
        self._norm = float(np.sqrt(context.weights[self._used].sum()))
        self._error = PlotError(self._integrate, self._numerator, self._used, context.weights, self._backend)
        self._set_operators(np.sqrt(context.weights[self._used]))

    def _set_operators(self, root: Array) -> None:
        """What the fit needs where it computes.

        Frames long before t* have the same part in every integral, so one number of each curve stands for them.
        """
        scale, constant = self._numerator * (1 - self._correction.vascular), self._backend.constant
        alike = np.ptp(self._integrate, axis=0) <= 1e-12 * np.abs(self._integrate).max()
        self._late = late = int(np.argmin(alike))
        # [s]: float32 holds most durations exactly
        self._early = constant(_SECONDS_PER_MINUTE * self._integrate[0, :late])
        rest = np.hstack([self._integrate[:, late:], np.full((len(scale), 1), 1 / _SECONDS_PER_MINUTE)])
        self._operator = constant(rest / scale[:, None])
        rows = np.flatnonzero(self._used) - late
        self._rows = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) == np.ptp(rows) + 1 else rows
        self._mean, self._scale = constant(root / self._norm), constant((root * scale)[:, None])
        blood = self._correction.blood
        early_blood = _SECONDS_PER_MINUTE * self._integrate[0, :late] @ blood[:late]
        self._blood = constant(np.append(blood[late:], early_blood)[:, None]) if blood.any() else None

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Fit finite curves of shape (frames, curves) [Bq/mL]."""
        values, errors = (np.empty((2, activity.shape[1])) for _ in range(2))
        rss = np.empty(activity.shape[1])
        used = len(self._numerator)
        rooms = self._backend.rooms(activity.shape[1], len(activity) - self._late + 1, used, used)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for part, tile in self._backend.tiles(activity):
                curves, across, up = (room[:, : tile.shape[1]] for room in rooms)
                least = self._coordinates(tile, curves, across, up)
                found = self._line(across, up, least, (curves, up))
                *line, rss[part] = map(self._backend.numpy, found)
                values[0, part], values[1, part], errors[0, part], errors[1, part] = line
        return estimates(values, errors, rss)

    def fitted(self, activity: NDArray[Any], found: Estimates) -> Array:
        """Curves that the lines give back, shape (frames, curves) [Bq/mL]; NaN for frames before t*."""
        slope, intercept = found.values
        integral = self._integrate @ self._correction.tissue(activity)
        with np.errstate(divide="ignore", invalid="ignore"):
            tissue = (integral - slope * self._numerator[:, None]) / intercept
        return self._correction.measured(tissue, self._used)

    def deviation(self, curve: Array) -> float:
        """Largest deviation of the points of one curve of shape (frames,) from their line, as a share of the line."""
        tissue = self._correction.tissue(curve[:, None])
        slope, intercept = LoganPlot.fit(self, curve[:, None]).values
        with np.errstate(divide="ignore", invalid="ignore"):
            across, up = self._numerator[:, None] / tissue[self._used], self._integrate @ tissue / tissue[self._used]
        return largest_deviation(up, slope * across + intercept)

    def _coordinates(self, tile: Any, curves: Any, across: Any, up: Any) -> Any:
        """Abscissa and ordinate times the root of the weights, in place, and the least C_T up to a factor."""
        lib = self._backend.lib
        curves[:-1] = tile[self._late :]
        curves[-1] = self._backend.combine(self._early, tile[: self._late])
        if self._blood is not None:
            curves -= self._blood
        tissue = curves[self._rows]
        lib.divide(self._scale, tissue, out=across)
        lib.matmul(self._operator, curves, out=up)
        up *= across
        return lib.amin(tissue, 0)

    def _line(self, across: Any, up: Any, least: Any, rooms: Sequence[Any]) -> tuple[Any, ...]:
        """Slope, intercept, their standard errors, residual sum of squares; the rooms are used up, `up` among them."""
        lib, products = self._backend.lib, self._backend.products
        x, y = lib.where(least > 0, self._mean @ across, np.nan), self._mean @ up
        x_spread = products(across, across) - x * x
        common = products(across, up) - x * y
        slope = common / x_spread
        rss = lib.abs(products(up, up) - y * y - slope * common)  # rounding may leave it just below zero
        lines = Lines(x, x_spread, slope, (y - slope * x) / self._norm, rss)
        return slope, lines.intercept, *self._error(across, lines, rooms), rss


class ReferenceLoganPlot(LoganPlot):
    """A Logan plot whose slope is DVR; BPND = DVR − 1."""

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Fit finite curves of shape (frames, curves) [Bq/mL]."""
        found = super().fit(activity)
        (ratio, intercept), rows = found.values, [0, 0, 1]
        return replace(found, values=np.stack([ratio, ratio - 1, intercept]), errors=found.errors[rows])

    def fitted(self, activity: NDArray[Any], found: Estimates) -> Array:
        """Curves that the lines give back, shape (frames, curves) [Bq/mL]; NaN for frames before t*."""
        return super().fitted(activity, replace(found, values=found.values[[0, 2]]))


class Plot(Protocol):
    """An estimator of a method that has a t*."""

    @property
    def freedom(self) -> int:
        """Frames used less coefficients."""

    def deviation(self, curve: Array) -> float:
        """Largest deviation of one curve of shape (frames,) from the fit, as a share of the fit."""


def find_t_star(context: FitContext, settings: FitSettings, curve: Array, limit: float = 0.1) -> float:
    """The earliest frame start from which on all points of a curve lie near their line.

    At least three points more than coefficients are left. A point's deviation is that of its ordinate (of C_T in a
    Patlak plot and a multilinear method, which comes to the same) from the line, as a share of the line.

    Parameters
    ----------
    context
        What the curves of the scan share.
    settings
        Settings of a method that has a t*; the t* in them is not used.
    curve
        The curve of the pilot region, shape (frames,) [Bq/mL].
    limit
        Largest deviation allowed.

    Returns
    -------
    t* [min].

    Raises
    ------
    CurveError
        If no start keeps the limit, or the scan has too few frames.
    """
    least = np.inf
    for start in np.unique(np.maximum(context.timing.start, 0.0)) / _SECONDS_PER_MINUTE:
        deviation = _deviation(context, replace(settings, t_star=float(start)), curve)
        if deviation <= limit:
            return float(start)
        least = min(least, deviation)
    reached = f"the smallest deviation is {least:.0%}" if np.isfinite(least) else "no window has enough sound points"
    raise CurveError(
        f"no start of the linear phase keeps all points within {limit:.0%} of their line: {reached}.",
        where="fit setting t_star",
        hint="Give t_star in minutes, or name a pilot region with less noise or one that the method suits.",
    )


def _deviation(context: FitContext, settings: FitSettings, curve: Array) -> float:
    """Largest deviation for one t*; infinite where the plot can't be made or has too few points."""
    try:
        plot = cast("Plot", settings.estimator(context))
    except (ConfigurationError, InputError):
        return np.inf
    return plot.deviation(curve) if plot.freedom >= _SPARE_FRAMES else np.inf
