"""What fits are given and give back, whatever the model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError, CurveError, FrameTimingError, InputError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.input_model import DELAY

Array = NDArray[np.float64]


#: Share of the last frame by which an input function may end early, because files round.
_ROUNDING = 0.01


def require_kind(value: object, kind: type, name: str) -> None:
    """Refuse an object of another type.

    Raises
    ------
    ConfigurationError
        If it is one.
    """
    if not isinstance(value, kind):
        raise ConfigurationError(
            f"expected {kind.__name__}, got {type(value).__name__}.", where=f"kinetic fit, {name}", hint=_see(kind)
        )


def _see(kind: type) -> str:
    return f"See {kind.__module__}.{kind.__name__}."


def frame_values(values: ArrayLike, frames: int, name: str) -> Array:
    """Finite numbers, one for every frame, as an array of shape (frames,).

    Raises
    ------
    InputError
        If there are more or fewer, or one is not a finite number.
    """
    array = as_numbers(values, name)
    if array.shape != (frames,):
        got = len(array) if array.ndim == 1 else f"shape {array.shape}"
        raise InputError(f"expected {frames} {name}, one for every frame, got {got}.", where="kinetic fit")
    if not np.isfinite(array).all():
        raise InputError(f"the {name} hold values that are not finite.", where="kinetic fit")
    return array


def as_numbers(values: ArrayLike, name: str) -> Array:
    """Values as an array of float64.

    Raises
    ------
    InputError
        If they are not numbers.
    """
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as fault:
        raise InputError(f"the {name} are not numbers: {fault}.", where="kinetic fit") from fault


def require_frames(timing: FrameTiming) -> None:
    """Refuse a scan of one frame, which does not show the change of a curve in time.

    Raises
    ------
    FrameTimingError
        If there are fewer than two frames.
    """
    if len(timing) < 2:
        raise FrameTimingError(
            "the scan has one frame, and this model needs the change in time.",
            where="kinetic fit",
            hint="Fit a dynamic scan; a static one gives suv and suvr.",
        )


def require_reach(curve: InputFunction, timing: FrameTiming, *, shortfall: float = 0.0) -> None:
    """Refuse an input function that does not cover the scan, since nothing is known of it after its last point.

    Parameters
    ----------
    curve
        The input function.
    timing
        Frames of the scan.
    shortfall
        Time by which it may end early [s], on top of rounding: 1 % of the last frame.

    Raises
    ------
    CurveError
        If it starts after the scan or ends before it.
    ConfigurationError
        If it is no `InputFunction`.
    """
    require_kind(curve, InputFunction, "input function")
    first, last, end = float(curve.time[0]), float(curve.time[-1]), float(timing.end[-1])
    where = f"input function {curve.method}"
    if first >= end:
        raise CurveError(
            f"it starts at {first:g} s, after the scan, which ends at {end:g} s.",
            where=where,
            hint="Check that its times and the frame times are in seconds from injection.",
        )
    if last < end - shortfall - max(_ROUNDING * float(timing.duration[-1]), 1e-3):
        raise CurveError(
            f"it ends at {last:g} s, before the scan, which ends at {end:g} s.",
            where=where,
            hint="Check that its times are in seconds. Else add later samples, extrapolate the curve to the end of the "
            "scan, or leave out the later frames.",
        )


@dataclass(frozen=True, eq=False)
class FitContext:
    """What all curves of a scan share.

    Attributes
    ----------
    timing
        Frames.
    weights
        Weight of the squared residual of every frame, shape (frames,), from `frame_weights`.
    input_function
        Already delayed as the tissue is; None for models that need none.
    reference
        Decay-corrected curve of the reference region, shape (frames,) [Bq/mL]; None for models that need none.
    suv_factor
        Body weight over injected dose, so that SUV = activity × factor [g/Bq]; None where it is unknown.
    suv_refused
        Why dose or weight is withheld, with file and remedy; "" where neither is.
    device
        Torch device of fits. Parameters are computed in float64 everywhere.

    Raises
    ------
    InputError
        If the frames are not as many as the weights or the points of the reference curve, a value is not finite, a
        weight is negative or all are zero.
    CurveError
        If the input function starts after the last frame or ends before it.
    ConfigurationError
        If frames or input function are objects of another kind.
    """

    timing: FrameTiming
    weights: Array
    input_function: InputFunction | None = None
    reference: Array | None = None
    suv_factor: float | None = None
    suv_refused: str = ""
    device: str = "cpu"

    def __post_init__(self) -> None:
        require_kind(self.timing, FrameTiming, "frame timing")
        frames = len(self.timing)
        object.__setattr__(self, "weights", frame_values(self.weights, frames, "weights"))
        if (self.weights < 0).any() or not self.weights.any():
            raise InputError(
                "the weights are negative or all zero.", where="kinetic fit", hint="Give positive weights; 0 skips one."
            )
        if self.reference is not None:
            reference = frame_values(self.reference, frames, "points of the reference curve")
            object.__setattr__(self, "reference", reference)
        if self.input_function is not None:
            # a delay that was found may have moved it to earlier times
            require_reach(self.input_function, self.timing, shortfall=-DELAY.lower)


class FitStatus(IntEnum):
    """What became of a fit.

    ``AT_BOUND``: the optimum lies on a bound of the feasible set; a parameter on its bound has no standard error.
    ``DEGENERATE``: the data don't determine every parameter; those undetermined are NaN.
    ``MASKED``: the curve is zero throughout.
    ``IMPLAUSIBLE``: the fit ended at an optimum, but with a K1 or Ki beyond what living tissue can have; data or input
    function are at fault. The values stay, but are not sound.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> dlif.FitStatus(1).name
    'AT_BOUND'
    """

    CONVERGED = 0
    AT_BOUND = 1
    DEGENERATE = 2
    NOT_CONVERGED = 3
    NOT_FINITE = 4
    MASKED = 5
    IMPLAUSIBLE = 6


@dataclass(frozen=True, eq=False)
class Estimates:
    """Result of fits to many curves.

    Attributes
    ----------
    values
        Estimates in the order of the model's parameters, shape (parameters, curves); NaN if undetermined.
    errors
        Standard errors, of the same shape.
    status
        `FitStatus`, shape (curves,).
    rss
        Weighted residual sum of squares, shape (curves,).
    """

    values: Array
    errors: Array
    status: NDArray[np.uint8]
    rss: Array


class Estimator(Protocol):
    """Fits one model to many curves of one scan."""

    def fit(self, activity: NDArray[Any]) -> Estimates:
        """Fit finite curves that are not zero throughout, shape (frames, curves) [Bq/mL]."""

    def fitted(self, activity: NDArray[Any], estimates: Estimates) -> Array:
        """The model's curves, shape (frames, curves) [Bq/mL]; NaN where a frame is not used.

        Parameters
        ----------
        activity
            The curves that were fitted.
        estimates
            What `fit` gave for them.
        """
