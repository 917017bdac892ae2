"""What living tissue can have: a fit whose parameters lie beyond is marked, whatever the residuals say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.kinetics.context import FitStatus
from dlif_core.scan import Acquisition, is_fdg

#: Largest size of parameters of any tracer [mL·cm⁻³·min⁻¹]. No tissue takes up more than the blood brings: of all
#: organs the kidney gets most, about 5 in a human and 10 in a mouse. FUR is near Ki.
_ANY_TRACER = {"K1": 20.0, "Ki": 20.0, "FUR": 20.0}
#: Of FDG the heart of a mouse takes up most, and phosphorylation limits it to some tenths.
_FDG = {"Ki": 1.0}
#: Fits that ended at an optimum.
_OPTIMUM = (FitStatus.CONVERGED, FitStatus.AT_BOUND, FitStatus.DEGENERATE)


def limits_of(acquisition: Acquisition) -> dict[str, float]:
    """Largest plausible size of parameters by name, for the tracer of a scan [mL·cm⁻³·min⁻¹]."""
    return _ANY_TRACER | (_FDG if is_fdg(acquisition.tracer) else {})


def marked(
    status: NDArray[np.uint8], values: Mapping[str, NDArray[Any]], limits: Mapping[str, float]
) -> NDArray[np.uint8]:
    """Status of fits, ``IMPLAUSIBLE`` where one ended at an optimum with a parameter beyond its limit.

    Parameters
    ----------
    status
        `FitStatus`, shape (curves,).
    values
        Parameters by name, each of shape (curves,); others than the limited ones are passed over.
    limits
        Largest plausible size by name of the parameter.
    """
    beyond = np.zeros(status.shape, bool)
    for name in limits.keys() & values.keys():
        beyond |= np.abs(values[name]) > limits[name]  # NaN is not
    return np.where(beyond & np.isin(status, _OPTIMUM), np.uint8(FitStatus.IMPLAUSIBLE), status)
