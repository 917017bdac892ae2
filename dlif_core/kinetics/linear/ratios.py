"""Means over a window of time, over another curve's: SUV, SUVR and the fractional uptake rate.

All three are the ratio Σ Δt C / Σ Δt x over the frames of the window, Δt being their durations, C the tissue's activity
and x what it is set against. That ratio is the least-squares slope of C = ratio · x through the origin with weights
Δt / x, which gives its standard error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import CurveError, FrameTimingError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.context import Estimates, FitContext, FitStatus
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.kinetics.settings import FitSettings

Array = NDArray[np.float64]

_SECONDS_PER_MINUTE = 60.0
#: Share of its duration by which a frame may stick out of the window, because files round.
_TOLERANCE = 0.01


class WindowRatio:
    """Ratio of duration-weighted means over a window.

    Parameters
    ----------
    timing
        Frames.
    used
        Which frames are averaged, shape (frames,).
    denominator
        What the tissue's activity is set against, shape (frames,).

    Raises
    ------
    CurveError
        If the denominator is not positive in a frame of the window.
    """

    def __init__(self, timing: FrameTiming, used: NDArray[np.bool_], denominator: Array) -> None:
        self._used, self._x = used, denominator[used]
        if not (self._x > 0).all():
            raise CurveError(
                "the curve that the tissue is divided by is not positive in every frame of the window.",
                where="fit setting window",
                hint="Use a later window, or another reference region or input function.",
            )
        share = timing.duration[used] / timing.duration[used].sum()
        self._mean = share / (share @ self._x)
        # of squared residuals, scaled such that equal frames have weight 1
        self._weights = share * len(share) * self._x.mean() / self._x

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Ratios of curves of shape (frames, curves) [Bq/mL]; with one frame there is no standard error."""
        used = activity[self._used].astype(np.float64)
        ratio = self._mean @ used
        rss = self._weights @ (used - ratio * self._x[:, None]) ** 2
        freedom = len(self._x) - 1
        spread = self._weights @ self._x**2
        error = np.sqrt(rss / freedom / spread) if freedom else np.full_like(ratio, np.nan)
        status = np.full(len(ratio), FitStatus.CONVERGED, np.uint8)
        return Estimates(ratio[None], error[None], status, rss)

    def fitted(self, activity: NDArray[Any], estimates: Estimates) -> Array:
        """Ratio times denominator in the window, shape (frames, curves) [Bq/mL]; NaN outside."""
        curves = np.full(activity.shape, np.nan)
        curves[self._used] = estimates.values[0] * self._x[:, None]
        return curves


def suv(context: FitContext, settings: FitSettings) -> WindowRatio:
    """Standardised uptake value.

    Raises
    ------
    InputError
        If the injected activity or the body weight is not known.
    FrameTimingError
        If no frame lies within the window.
    """
    if context.suv_factor is None:
        raise InputError(
            "SUV needs the injected activity and the body weight, and one of them is not given, or not used.",
            where="model suv",
            hint=context.suv_refused or "Give both with their units.",
        )
    return WindowRatio(
        context.timing, _within_window(context, settings), np.full(len(context.timing), 1 / context.suv_factor)
    )


def suvr(context: FitContext, settings: FitSettings) -> WindowRatio:
    """Ratio to the reference region; its curve counts as exact.

    Raises
    ------
    CurveError
        If the reference region has no activity in the window.
    FrameTimingError
        If no frame lies within the window.
    """
    assert context.reference is not None
    return WindowRatio(context.timing, _within_window(context, settings), context.reference)


def fractional_uptake_rate(context: FitContext, settings: FitSettings) -> WindowRatio:
    """Activity over frame averages of ∫C_p from injection; the input function counts as exact.

    Raises
    ------
    CurveError
        If there is no plasma activity before the window.
    FrameTimingError
        If no frame lies within the window.
    """
    assert context.input_function is not None
    curve = context.input_function
    integral = FrameConvolution(curve.time, curve.plasma, context.timing).running_integral
    return WindowRatio(context.timing, _within_window(context, settings), integral)


def _within_window(context: FitContext, settings: FitSettings) -> NDArray[np.bool_]:
    """Frames that lie within the window as a whole and have a weight."""
    assert settings.window is not None
    timing, (first, last) = context.timing, settings.window
    rounding = _TOLERANCE * timing.duration
    after = timing.start >= first * _SECONDS_PER_MINUTE - rounding
    within = after & (timing.end <= last * _SECONDS_PER_MINUTE + rounding) & (context.weights > 0)
    if not within.any():
        raise FrameTimingError(
            f"no whole frame lies within {first:g} to {last:g} min.",
            where="fit setting window",
            hint=f"Frames start and end at {_edges(timing)} min.",
        )
    return np.asarray(within)


def _edges(timing: FrameTiming) -> str:
    edges = np.unique(np.concatenate([timing.start, timing.end]).round(1)) / _SECONDS_PER_MINUTE
    return ", ".join(f"{edge:.4g}" for edge in edges)
