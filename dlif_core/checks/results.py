"""Checks of what was made of a scan: the input function that a fit rests on, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dlif_core.checks.check import Check, Finding, Level, Part
from dlif_core.kinetics import FitStatus

if TYPE_CHECKING:
    import xarray as xr

#: Regions that a finding names at most.
_NAMED = 5

FIRST_INPUT_FUNCTION = Check(
    "first-input-function",
    Level.ASSUMED,
    Part.RESULT,
    "An analysis uses the first input function of the study's list.",
    "Mend what made it unavailable. If it does not serve such scans, put another first in `input_functions`; if no "
    "other may take its place, name it as `input_function` of the analysis.",
)

METABOLITES = Check(
    "metabolites",
    Level.ASSUMED,
    Part.RESULT,
    "The input function of a tracer with metabolites is unchanged tracer in plasma.",
    "Measure parent fractions: in the blood table of the scan, or for methods that read the image in a file that the "
    "option `plasma` names. Until then rates and volumes hold for a tracer without metabolites.",
)

PARAMETER_RANGE = Check(
    "parameter-range",
    Level.DOUBTFUL,
    Part.RESULT,
    "K1, Ki and FUR are at most 20 mL/cm³/min, Ki of FDG at most 1: no living tissue has more.",
    "Don't use them. Check the units of image and blood, dose and weight if the input function rests on them, and the "
    "frame times.",
)

CHECKS = (FIRST_INPUT_FUNCTION, METABOLITES, PARAMETER_RANGE)


def implausible(fit: xr.Dataset, limits: Mapping[str, float], where: str) -> tuple[Finding, ...]:
    """A finding for every parameter that is beyond its limit in some regions.

    Parameters
    ----------
    fit
        Result of `dlif_core.kinetics.fit_regions`.
    limits
        Largest plausible size of parameters by name, as `dlif_core.kinetics.plausible.limits_of` gives them.
    where
        Name of the analysis.
    """
    of_regions = fit["status"].to_numpy() == FitStatus.IMPLAUSIBLE
    found = []
    for name in [name for name in limits if name in fit]:
        values = fit[name].to_numpy()
        beyond = np.flatnonzero(of_regions & (np.abs(values) > limits[name]))
        if len(beyond):
            listed = [f"{fit['region'].to_numpy()[at]} ({values[at]:.3g})" for at in beyond[:_NAMED]]
            more = f" and {len(beyond) - _NAMED} more" if len(beyond) > _NAMED else ""
            message = (
                f"{name} is beyond {limits[name]:g} mL/cm³/min, the most that living tissue can have, in {len(beyond)} "
                f"of {len(values)} regions: {', '.join(listed)}{more}."
            )
            found.append(PARAMETER_RANGE.found(message, where=where))
    return tuple(found)
