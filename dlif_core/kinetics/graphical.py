"""Patlak and Logan plots as batched weighted linear regression over the frames from t* on.

Both are written in frame averages, in which the operational equations hold exactly (all are linear in the curves):

* Patlak: C_T / C_p = Ki (∫C_p) / C_p + intercept
  (Patlak, Blasberg & Fenstermacher, J Cereb Blood Flow Metab 1983;3:1).
* Logan: (∫C_T) / C_T = VT (∫C_p) / C_T + intercept
  (Logan et al., J Cereb Blood Flow Metab 1990;10:740).

∫C_p runs from the first point of the true plasma curve. ∫C_T runs from t = 0: the frames before count in full,
the curve is straight within a frame and across a gap, and rises in a straight line from t = 0 to a first frame that
starts later. Frame weights are those of the points in the plot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ConfigurationError, CurveError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.context import Estimates, FitContext
from dlif_core.kinetics.convolution import FrameConvolution
from dlif_core.kinetics.settings import FitSettings, FitStatus

Array = NDArray[np.float64]

_SECONDS_PER_MINUTE = 60.0
_FEWEST_FRAMES = 3
_SOUND, _UNDEFINED = np.uint8(FitStatus.CONVERGED), np.uint8(FitStatus.DEGENERATE)


class GraphicalFit:
    """A Patlak or Logan plot of many curves.

    Parameters
    ----------
    context
        Of the scan.
    settings
        With a graphical model and `t_star`.

    Raises
    ------
    ConfigurationError
        If fewer than three frames start at or after t*.
    CurveError
        If the plasma curve is not positive in a frame that a Patlak plot uses.
    """

    def __init__(self, context: FitContext, settings: FitSettings) -> None:
        timing, input_function = context.timing, context.input_function
        assert input_function is not None
        self._timing, self._settings, self._weights = timing, settings, context.weights
        self._used = self._frames_after_t_star()
        whole_blood, plasma = (average[:, None] for average in input_function.frame_average(timing))
        self._vascular = settings.blood_volume or 0.0
        self._blood, self._plasma = self._vascular * whole_blood, plasma[self._used]
        integral = FrameConvolution(input_function.time, input_function.plasma, timing).running_integral
        self._integral = integral[self._used, None]
        self._integrate = tissue_integral(timing, np.eye(len(timing)))[self._used]
        if settings.model == "patlak" and (self._plasma <= 0).any():
            raise CurveError(
                "the plasma curve is not positive in every frame after t*.",
                where=input_function.method,
                hint="A Patlak plot divides by it; use an input function that covers the scan.",
            )

    def _frames_after_t_star(self) -> NDArray[np.bool_]:
        t_star = float(self._settings.t_star or 0.0)
        used = self._timing.start / _SECONDS_PER_MINUTE >= t_star - 1e-6
        if used.sum() < _FEWEST_FRAMES:
            latest = self._timing.start[-min(_FEWEST_FRAMES, len(used))] / _SECONDS_PER_MINUTE
            raise ConfigurationError(
                f"only {used.sum()} frames start at or after t* = {t_star:g} min.",
                where="fit setting t_star",
                hint=f"At least {_FEWEST_FRAMES} are needed: use t_star ≤ {latest:g}.",
            )
        return np.asarray(used)

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Fit finite curves of shape (frames, voxels) [Bq/mL]."""
        x, y = self._plot(np.asarray(activity, float))
        return _regress(x, y, self._weights[self._used])

    def fitted(self, activity: NDArray[Any], estimates: Estimates) -> Array:
        """Curves that the lines give back, shape (frames, voxels) [Bq/mL]; NaN for frames before t*."""
        slope, intercept = estimates.values
        if self._settings.model == "patlak":
            tissue = slope * self._integral + intercept * self._plasma
        else:
            tissue = (self._integral_of_tissue(activity) - slope * self._integral) / intercept
        fitted = np.full(activity.shape, np.nan)
        fitted[self._used] = (1 - self._vascular) * tissue + self._blood[self._used]
        return fitted

    def _plot(self, activity: Array) -> tuple[Array, Array]:
        """Abscissa and ordinate of the frames after t*; NaN where the plot is not defined."""
        tissue = (activity[self._used] - self._blood[self._used]) / (1 - self._vascular)
        if self._settings.model == "patlak":
            return self._integral / self._plasma, tissue / self._plasma
        inverse = 1 / np.where(tissue > 0, tissue, np.nan)
        return self._integral * inverse, self._integral_of_tissue(activity) * inverse

    def _integral_of_tissue(self, activity: Array) -> Array:
        """Frame averages of ∫C_T after t*, by one matrix product."""
        return np.asarray(self._integrate @ activity - self._integrate @ self._blood) / (1 - self._vascular)


def tissue_integral(timing: FrameTiming, tissue: Array) -> Array:
    """Frame averages of ∫C_T from t = 0, shape (frames, voxels) [Bq/mL·min]."""
    before = 0.5 * np.concatenate([tissue[:1], tissue[:-1] + tissue[1:]])
    space = np.diff(timing.start, prepend=0.0) - np.concatenate([[0.0], timing.duration[:-1]])
    gaps = np.cumsum(before * np.maximum(space, 0.0)[:, None], axis=0)
    duration = timing.duration[:, None]
    areas = tissue * duration
    within = 0.5 * areas - np.gradient(tissue, timing.mid, axis=0) * duration**2 / 12
    return np.asarray((gaps + np.cumsum(areas, axis=0) - areas + within) / _SECONDS_PER_MINUTE)


def _regress(x: Array, y: Array, weights: Array) -> Estimates:
    """Weighted straight lines through the columns of x and y, of shape (frames, voxels); x may be one for all."""
    total = weights.sum()
    x_mean, y_mean = (weights @ x) / total, (weights @ y) / total
    across, up = x - x_mean, y - y_mean
    x_spread = weights @ across**2
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (weights @ (across * up)) / x_spread
        rss = weights @ (up - slope * across) ** 2
        variance = rss / (len(weights) - 2)
        slope_error = np.sqrt(variance / x_spread)
        intercept_error = np.sqrt(variance * (1 / total + x_mean**2 / x_spread))
    values = np.stack([slope, y_mean - slope * x_mean])
    status = np.where(np.isfinite(slope), _SOUND, _UNDEFINED)
    return Estimates(values, np.stack([slope_error, intercept_error]), status, rss)
