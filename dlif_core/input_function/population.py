"""Population input function: a fixed shape, scaled by dose and weight or by one arterial sample.

It begins when activity arrives in the image: injections are rarely given at the very second that is stated, or stated
to be zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dlif_core.blood_samples.feng import FengInput
from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.blood_samples.series import time_grid
from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError, InputError
from dlif_core.input_function.method import Method
from dlif_core.input_function.one_sample import Quantity, sample_near
from dlif_core.input_function.plasma import ImageOptions, ImagePlasma, image_plasma
from dlif_core.scan import Acquisition, DynamicScan, is_fdg

Array = NDArray[np.float64]


class PopulationOptions(ImageOptions):
    """Options of the population input function.

    Attributes
    ----------
    scale_sample
        Time [s] of the arterial sample that scales the curve; None scales it by dose and weight.
    """

    scale_sample: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True)
class PopulationShape:
    """Shape of a population in SUV.

    Attributes
    ----------
    feng
        The curve.
    quantity
        What it describes: ``whole_blood`` or ``plasma``.
    source
        Where the numbers come from.
    """

    feng: FengInput
    quantity: Quantity
    source: str

    def arriving(self, time: float) -> PopulationShape:
        """The same, but rising at another time [s]."""
        seconds = np.arange(0.0, 600.0, 0.1)
        curve = self.feng.curve(seconds)
        risen = float(seconds[np.argmax(curve >= _RISEN * curve.max())])
        return replace(self, feng=replace(self.feng, delay=self.feng.delay + (time - risen) / 60.0))


# blood has begun to rise at this share of its peak, and the image, which goes on rising, at this of the most soon after
_RISEN, _TAKEN_UP = 0.1, 0.05
# so soon [s]; and an arrival within a longer frame is not seen [s]
_EARLY, _LONGEST_FRAME = 300.0, 60.0

#: Feng parameters of a human FDG plasma curve in the arbitrary unit of their source
_HUMAN_FDG = FengInput(0.0, 851.1, 21.88, 20.81, -4.134, -0.1191, -0.0104)
# SUV per unit of that source: median over 29 sessions of the ratio of areas under the curve, 0 to 42 min (CV 17 %)
_HUMAN_FDG_SUV = 0.154

#: Shapes by species; all are of FDG.
FDG_SHAPES: dict[str, PopulationShape] = {
    "mouse": PopulationShape(
        FengInput(0.613, 102.8, 1.82, 1.85, -5.55, -0.227, -0.0333, 0.18),
        "whole_blood",
        "Feng model fitted to the measured arterial whole-blood curve of one mouse, tail-vein bolus",
    ),
    "human": PopulationShape(
        replace(
            _HUMAN_FDG,
            a1=_HUMAN_FDG.a1 * _HUMAN_FDG_SUV,
            a2=_HUMAN_FDG.a2 * _HUMAN_FDG_SUV,
            a3=_HUMAN_FDG.a3 * _HUMAN_FDG_SUV,
        ),
        "plasma",
        "Feng et al., Int J Biomed Comput 1993;32:95-110; SUV scale from 29 measured curves (OpenNeuro ds004513)",
    ),
}


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: PopulationOptions) -> InputFunction:
    """Population input function of a scan.

    Raises
    ------
    InputError
        If there is no population for this species and tracer, or dose or weight is unknown.
    BloodError
        If the scaling sample is not there.
    """
    shape = population_shape(scan.acquisition)
    arrived = arrival(scan)
    if arrived is not None:
        shape = shape.arriving(arrived)
    time = time_grid(float(scan.timing.end[-1]), np.array([60.0 * shape.feng.delay]))
    plasma = image_plasma(time, scan.acquisition, recordings, options)
    curves = _suv_curves(shape, time, plasma)
    if options.scale_sample is None:
        factor, scaling = _by_dose(scan.acquisition)
    else:
        factor, scaling = _by_sample(recordings, options, shape, scan.acquisition)
    return InputFunction(
        time=time,
        whole_blood=factor * curves["whole_blood"],
        plasma=factor * curves["plasma"] * plasma.parent,
        method="population",
        provenance={
            "options": options.deciding_settings(),
            "shape": {**vars(shape.feng), "quantity": shape.quantity, "source": shape.source},
            "arrival of the bolus [s]": "not seen, taken as in the source" if arrived is None else round(arrived, 1),
            "scaling": scaling,
            **plasma.provenance,
        },
        with_metabolites=plasma.with_metabolites,
        warnings=("the curve is a population's, not this subject's: its shape is fixed.", *plasma.warnings),
    )


def arrival(scan: DynamicScan) -> float | None:
    """When activity arrives in the image [s].

    Returns
    -------
    Time at which the mean of the regions first shows a twentieth of the most that it shows in the next five minutes.
    None where that isn't seen: the scan began later, or its frames are too long.
    """
    timing, regions = scan.timing, scan.regions
    if not len(regions.names):
        return None
    volume = np.where(np.isfinite(regions.volume), regions.volume, 1.0)
    mean = volume @ regions.activity / volume.sum()
    early = timing.mid < timing.begin + _EARLY
    if not early.any() or not mean[early].max() > 0.0:
        return None
    level = _TAKEN_UP * float(mean[early].max())
    first = int(np.argmax(mean >= level))
    if first == 0 or timing.duration[first] > _LONGEST_FRAME:
        return None
    before, after = mean[first - 1 : first + 1]
    share = float((level - before) / (after - before))
    return float(timing.mid[first - 1] + share * (timing.mid[first] - timing.mid[first - 1]))


def population_shape(acquisition: Acquisition) -> PopulationShape:
    """The population's curve for a species and tracer.

    Raises
    ------
    InputError
        If there is none.
    """
    if is_fdg(acquisition.tracer) and acquisition.species in FDG_SHAPES:
        return FDG_SHAPES[acquisition.species]
    known = ", ".join(f"{species} FDG" for species in FDG_SHAPES)
    tracer = repr(acquisition.tracer) if acquisition.tracer else "an unknown tracer"
    raise InputError(
        f"there is no population curve for {tracer} in {acquisition.species or 'an unknown species'} (known: {known}).",
        hint="Use another input function; for FDG, state tracer and species with the scan.",
    )


def _suv_curves(shape: PopulationShape, time: Array, plasma: ImagePlasma) -> dict[str, Array]:
    """Whole blood and total plasma in SUV."""
    suv = shape.feng.curve(time)
    if shape.quantity == "whole_blood":
        return {"whole_blood": suv, "plasma": suv * plasma.ratio}
    return {"whole_blood": suv / plasma.ratio, "plasma": suv}


def _by_dose(acquisition: Acquisition) -> tuple[float, dict[str, Any]]:
    """Bq/mL per SUV from dose and weight."""
    factor = acquisition.suv_factor
    if factor is None:
        raise InputError(
            "injected activity or body weight is unknown, so that the population curve has no scale.",
            hint=acquisition.refused or "State both, or scale by one arterial sample with the option scale_sample.",
        )
    return 1.0 / factor, {"by": "dose and weight", "Bq/mL per SUV": 1.0 / factor}


def _by_sample(
    recordings: Sequence[BloodRecording], options: PopulationOptions, shape: PopulationShape, acquisition: Acquisition
) -> tuple[float, dict[str, Any]]:
    """Bq/mL per SUV from the arterial sample nearest to the time of the options."""
    at = options.scale_sample
    assert at is not None, "asked for by the option"
    sample = sample_near(recordings, at, acquisition, "scale_sample", prefer=shape.quantity)
    time = np.array([sample.time])
    curves = _suv_curves(shape, time, image_plasma(time, acquisition, recordings, options))
    expected = float(curves[sample.quantity][0])
    if expected <= 0:
        raise BloodError(
            f"the population curve is still zero at {sample.time:g} s, the time of the sample nearest to {at:g} s.",
            where=sample.source,
            hint="Set scale_sample to the time of a sample after the peak.",
        )
    factor = sample.value / expected
    measured = {"quantity": sample.quantity, "time [s]": sample.time, "Bq/mL": sample.value}
    return factor, {"by": "one arterial sample", **measured, "Bq/mL per SUV": factor}


METHOD = Method("population", "Population", PopulationOptions, estimate)
