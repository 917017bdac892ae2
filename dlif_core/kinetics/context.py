"""What fits are given and give back, whatever the model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FitContext:
    """What all curves of a scan share.

    Attributes
    ----------
    timing
        Frames.
    weights
        Of the squared residuals of every frame, shape (frames,), from `frame_weights`.
    input_function
        Already delayed as the tissue is; None for models that need none.
    reference
        Decay-corrected curve of the reference region, shape (frames,) [Bq/mL]; None for models that need none.
    suv_factor
        Body weight over injected dose, so that SUV = activity × factor [g/Bq]; None where it is unknown.
    device
        Torch device of fits. Parameters are computed in float64 everywhere.

    Raises
    ------
    InputError
        If the frames are not as many as the weights or the points of the reference curve.
    """

    timing: FrameTiming
    weights: Array
    input_function: InputFunction | None = None
    reference: Array | None = None
    suv_factor: float | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        frames = (len(self.timing),)
        for name, values in (("weights", self.weights), ("points of the reference curve", self.reference)):
            if values is not None and np.shape(values) != frames:
                raise InputError(f"{np.size(values)} {name} stand beside {frames[0]} frames.", where="kinetic fit")


class FitStatus(IntEnum):
    """What became of a fit.

    ``AT_BOUND``: the optimum lies on a bound of the feasible set; a parameter on its bound has no standard error.
    ``DEGENERATE``: the data don't determine every parameter; those undetermined are NaN.
    ``MASKED``: the curve is zero throughout.

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


@dataclass(frozen=True, eq=False)
class Estimates:
    """Result of fits to many curves.

    Attributes
    ----------
    values
        In the order of the model's parameters, shape (parameters, curves); NaN where the data don't determine one.
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
