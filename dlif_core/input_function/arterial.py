"""Arterial input function from blood samples.

Whole blood and total plasma run piecewise linear through the merged samples; the parent plasma curve is total plasma
times a model of the parent fraction. Beyond the last sample all activities follow the log-linear tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dlif_core.blood_samples.merge import ArterialBlood, merge
from dlif_core.blood_samples.plasma import assumed_ratio, measured_ratio
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.blood_samples.series import Interpolation, Series, time_grid
from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError
from dlif_core.input_function.method import Method
from dlif_core.input_function.plasma import PlasmaOptions, parent_fraction_on, ratio_at
from dlif_core.input_function.sampled import SampledCurve, implausible_ratio, late_start, on_grid
from dlif_core.scan import Acquisition, DynamicScan

Array = NDArray[np.float64]


class ArterialOptions(PlasmaOptions):
    """Options of the arterial input function.

    Attributes
    ----------
    interpolation
        How activities are interpolated between samples.
    delay_s
        Time by which blood arrives later in the image than at the sampling site [s]; shifts the curve.
    max_extrapolation
        Largest share of the scan that may lie after the last sample.
    """

    interpolation: Interpolation = "linear"
    delay_s: float = 0.0
    max_extrapolation: Annotated[float, Field(ge=0, lt=1)] = 0.2


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: ArterialOptions) -> InputFunction:
    """Arterial input function of a scan.

    Raises
    ------
    MissingInputError
        If there is no arterial recording.
    BloodError
        If the blood data can't give a curve for the whole scan.
    """
    return arterial_curve(recordings, float(scan.timing.end[-1]), scan.acquisition, options)


def arterial_curve(
    recordings: Sequence[BloodRecording], scan_end: float, acquisition: Acquisition, options: ArterialOptions
) -> InputFunction:
    """Arterial input function from injection to the end of a scan [s], without the scan itself.

    Raises
    ------
    MissingInputError
        If there is no arterial recording.
    BloodError
        If the blood data can't give a curve for the whole scan.
    """
    blood = merge(recordings)
    end = scan_end - options.delay_s
    time = time_grid(end, *_sample_times(blood))
    whole_blood, plasma = _activities(blood, time, acquisition, options)
    parent = parent_fraction_on(time, blood.parent_fraction, blood.source, acquisition, options)
    warnings = blood.warnings + _late_start(blood) + whole_blood.warnings + plasma.warnings + parent.warnings
    provenance = {
        **blood.provenance,
        "source": blood.source,
        "options": options.model_dump(),
        "whole blood": whole_blood.provenance,
        "total plasma": plasma.provenance,
        "parent fraction": parent.provenance,
    }
    curve = InputFunction(
        time=time,
        whole_blood=whole_blood.values,
        plasma=plasma.values * parent.values,
        method="arterial",
        provenance=provenance,
        with_metabolites=parent.with_metabolites,
        warnings=tuple(dict.fromkeys(warnings)),
    )
    return curve.shifted(options.delay_s)


def _sample_times(blood: ArterialBlood) -> list[Array]:
    return [series.time for series in (blood.whole_blood, blood.plasma, blood.parent_fraction) if series is not None]


def _activities(
    blood: ArterialBlood, time: Array, acquisition: Acquisition, options: ArterialOptions
) -> tuple[SampledCurve, SampledCurve]:
    """Whole blood and total plasma."""
    if blood.whole_blood is None or blood.plasma is None:
        return _from_one(blood, time, acquisition, options)
    whole_blood = _on_grid(blood, "whole_blood", time, options)
    ratio = measured_ratio(blood)
    if _plasma_resolves_peak(blood):
        plasma = _on_grid(blood, "plasma", time, options)
    else:
        plasma = _plasma_by_ratio(ratio, whole_blood.values, time, options, blood.source)
    return whole_blood, replace(plasma, warnings=plasma.warnings + implausible_ratio(ratio))


def _plasma_resolves_peak(blood: ArterialBlood) -> bool:
    """Whether the recording that sampled the peak of whole blood also measured plasma."""
    assert blood.whole_blood is not None
    assert blood.plasma is not None
    sampler = blood.whole_blood.recording[blood.whole_blood.value.argmax()]
    return bool((blood.plasma.recording == sampler).any())


def _from_one(
    blood: ArterialBlood, time: Array, acquisition: Acquisition, options: ArterialOptions
) -> tuple[SampledCurve, SampledCurve]:
    """Both curves from the only one that was measured."""
    ratio, name, warnings = assumed_ratio(time, acquisition)
    if blood.plasma is None:
        whole_blood = _on_grid(blood, "whole_blood", time, options)
        return whole_blood, SampledCurve(whole_blood.values * ratio, {"from": f"whole blood, ratio {name}"}, warnings)
    plasma = _on_grid(blood, "plasma", time, options)
    return SampledCurve(plasma.values / ratio, {"from": f"total plasma, ratio {name}"}, warnings), plasma


def _on_grid(blood: ArterialBlood, column: str, time: Array, options: ArterialOptions) -> SampledCurve:
    """One measured activity on the time grid, extrapolated to the scan end."""
    return on_grid(
        getattr(blood, column),
        column.replace("_", " "),
        time,
        max_extrapolation=options.max_extrapolation,
        interpolation=options.interpolation,
        where=blood.source,
    )


def _plasma_by_ratio(
    ratio: Series | None, whole_blood: Array, time: Array, options: ArterialOptions, source: str
) -> SampledCurve:
    """Total plasma from the whole-blood curve and the ratio measured at the plasma samples."""
    if ratio is None:
        raise BloodError(
            "no plasma sample lies where whole blood was measured, so that their ratio is unknown.",
            where=source,
            hint="Check the sample times of both recordings.",
        )
    values, provenance = ratio_at(ratio, time, options)
    return SampledCurve(whole_blood * values, provenance)


def _late_start(blood: ArterialBlood) -> tuple[str, ...]:
    series = blood.whole_blood or blood.plasma
    assert series is not None
    return late_start(series)


METHOD = Method("arterial", "Arterial blood", ArterialOptions, estimate)
