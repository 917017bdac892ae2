"""The constructor of an input function from blood samples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dlif_core.api.notices import warn
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.scan import Acquisition
from dlif_core.units import factor


def blood(
    time: ArrayLike,
    whole_blood: ArrayLike | None = None,
    plasma: ArrayLike | None = None,
    parent_fraction: ArrayLike | None = None,
    *,
    units: str | None = None,
    scan_end: float | None = None,
    time_unit: str = "s",
    tracer: str = "",
    species: str = "",
    parent_fraction_model: str = "hill",
    **options: Any,
) -> InputFunction:
    """Arterial input function from blood samples, with the care that a study takes.

    Single samples out of order are left out, those at the same time averaged; small negative values become zero. The
    curve starts at injection with zero, runs linearly through the samples, and follows a log-linear tail from the last
    sample to the end of the scan. The parent plasma curve is total plasma times a model of the parent fraction. What
    was repaired, extrapolated or assumed is in the curve's ``warnings`` and is given as a `DlifWarning`.

    Parameters
    ----------
    time
        Sample times from injection, shape (samples,), in `time_unit`.
    whole_blood, plasma
        Decay-corrected activity at these times, in `units`; NaN for a sample that was not measured. `plasma` is total
        plasma. Without one of them, the other stands in for it (for FDG in mice, by a published ratio).
    parent_fraction
        Share of the plasma activity that is unchanged tracer, 0 to 1; NaN where it was not measured.
    units
        Unit of the activities, such as ``kBq/mL``.
    scan_end
        End of the scan, in `time_unit`.
    time_unit
        ``s``, ``min`` or ``h``.
    tracer, species
        What was injected into whom: FDG has no metabolites in plasma, and in mice a known plasma ratio.
    parent_fraction_model
        Model that is fitted to the parent fractions.
    **options
        Other options of the arterial method, such as ``max_extrapolation`` and ``delay_s``, see
        `dlif_core.input_function.arterial.ArterialOptions`.

    Raises
    ------
    UnitError
        If a unit is missing or unknown.
    BloodError
        If the samples can't give a curve: too few, out of order, negative, or ending so early that more than
        ``max_extrapolation`` of the scan (a fifth) would have to be extrapolated.
    ConfigurationError
        If `scan_end` or an option is not possible.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> aif = dlif.blood(
    ...     [0.2, 0.4, 0.6, 1, 2, 5, 10, 20, 30, 40, 55],
    ...     [5, 80, 60, 40, 25, 15, 11, 8, 7, 6, 5],
    ...     plasma=[5, 85, 65, 44, 28, 17, 12, 9, 8, 7, 6],
    ...     units="kBq/mL",
    ...     time_unit="min",
    ...     scan_end=60,
    ...     tracer="FDG",
    ... )
    >>> aif.time[[0, -1]].tolist(), float(aif.whole_blood[0])
    ([0.0, 3600.0], 0.0)
    """
    from dlif_core.input_function.arterial import METHOD, arterial_curve

    of_time = factor(time_unit, "time", where="dlif.blood, time_unit", typed=True)
    of_activity = factor(units, "concentration", where="dlif.blood, units", typed=True)
    raw = BloodRecording("samples", True, time, whole_blood, plasma, parent_fraction, source="blood samples")  # type: ignore[arg-type]
    recording = replace(
        raw,
        time=raw.time * of_time,
        whole_blood=None if raw.whole_blood is None else raw.whole_blood * of_activity,
        plasma=None if raw.plasma is None else raw.plasma * of_activity,
    )
    curve = arterial_curve(
        (recording,),
        _end(scan_end) * of_time,
        Acquisition(tracer, math.inf, species=species),
        METHOD.parse(options | {"parent_fraction": parent_fraction_model}),
    )
    warn(curve.warnings)
    return curve


def _end(scan_end: object) -> float:
    number = scan_end if isinstance(scan_end, int | float | np.number) and not isinstance(scan_end, bool) else math.nan
    if not 0 < number < math.inf:
        raise ConfigurationError(
            f"scan_end is {scan_end!r}.",
            where="dlif.blood",
            hint="Give the end of the scan in the unit of the times: the curve has to reach it.",
        )
    return float(number)
