"""Hybrid input function: peak from the left ventricle, tail from the liver.

The mean of the ventricle is a mixture of blood and wall, so that blood is B = T + (M − T)/r, with M the ventricle, T
its wall and r the recovery of the ventricle, which is the same for all scans. It shows the peak; later the wall of a
fed heart is so much hotter than blood that any error of r decides. The liver of a mouse takes up FDG and gives it back
within minutes, and its curve then runs parallel to that of blood, or nearly so. It is scaled by one number to the
corrected ventricle over some minutes after the bolus. Until the curves cross there, the ventricle is taken, and the
liver from there on. The idea is that of Tantawy and Peterson (Mol Imaging 2010;9:76-86), who scale the liver by one
blood sample, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.input_function.image_derived import curve_from_frames
from dlif_core.input_function.method import Method
from dlif_core.input_function.plasma import ImageOptions, image_plasma
from dlif_core.scan import DynamicScan

Array = NDArray[np.float64]

# fewest frames that scale and crossing are found from
_FEWEST = 3
_WARNING = (
    "the tail is that of the liver, scaled to meet the left ventricle: it is right as far as the liver follows blood."
)


class HybridOptions(ImageOptions):
    """Options of the hybrid input function.

    Attributes
    ----------
    ventricle, wall, liver
        Names of the regions.
    recovery
        Part of blood in the mean of the ventricle; the rest is wall.
    begin, end
        The liver is scaled to the ventricle between these times, and taken from their crossing there on [s].
    """

    ventricle: str = "left_ventricle"
    wall: str = "myocardium"
    liver: str = "liver"
    recovery: Annotated[float, Field(gt=0, le=1)] = 0.65
    begin: Annotated[float, Field(gt=0)] = 120.0
    end: Annotated[float, Field(gt=0)] = 300.0


@dataclass(frozen=True, eq=False)
class JoinedCurves:
    """Ventricle and liver as one curve.

    Attributes
    ----------
    averages
        Frame averages of whole blood, shape (frames,) [Bq/mL].
    scale
        Blood over liver.
    crossing
        Time from which the liver is taken [s].
    """

    averages: Array
    scale: float
    crossing: float


def estimate(scan: DynamicScan, recordings: Sequence[BloodRecording], options: HybridOptions) -> InputFunction:
    """Hybrid input function of a scan from its region curves; blood recordings serve plasma alone.

    Raises
    ------
    InputError
        If a region is missing, or the curves can't be joined, see `join`.
    """
    ventricle, wall, liver = (_curve(scan, name) for name in (options.ventricle, options.wall, options.liver))
    blood = wall + (ventricle - wall) / options.recovery
    joined = join(blood, liver, scan.timing, (options.begin, options.end))
    time, whole_blood, misfit = curve_from_frames(scan.timing, joined.averages)
    plasma = image_plasma(time, scan.acquisition, recordings, options)
    return InputFunction(
        time=time,
        whole_blood=whole_blood,
        plasma=whole_blood * plasma.factor,
        method="hybrid",
        provenance={
            "options": options.deciding_settings(),
            "blood over liver": round(joined.scale, 4),
            "liver from [s]": joined.crossing,
            "frame averages [Bq/mL]": joined.averages.tolist(),
            "misfit of frame averages to peak": misfit,
            **plasma.provenance,
        },
        with_metabolites=plasma.with_metabolites,
        warnings=(_WARNING, *plasma.warnings),
    )


def join(ventricle: Array, liver: Array, timing: FrameTiming, between: tuple[float, float]) -> JoinedCurves:
    """Continue the curve of the ventricle by that of the liver.

    Parameters
    ----------
    ventricle, liver
        Frame averages, shape (frames,), the ventricle's corrected for its wall [Bq/mL].
    timing
        Timing of the frames.
    between
        Begin and end of the time in which the liver is scaled to the ventricle, and they cross [s].

    Raises
    ------
    InputError
        If fewer than three frames lie there, or a curve has no activity in them.
    """
    frames = np.flatnonzero((timing.mid >= between[0]) & (timing.mid <= between[1]))
    weights, blood, tissue = timing.duration[frames], ventricle[frames], liver[frames]
    shared = float(weights @ (blood * tissue)) if len(frames) >= _FEWEST else 0.0
    if shared <= 0:
        raise InputError(
            f"left ventricle and liver can't be joined: {len(frames)} frames between {between[0] / 60:g} and "
            f"{between[1] / 60:g} min, or no activity in them.",
            hint="Choose another time by `begin` and `end`, or another input function.",
        )
    scale = shared / float(weights @ tissue**2)
    first = int(frames[np.argmin(np.abs(blood - scale * tissue))])
    averages = np.maximum(np.concatenate([ventricle[:first], scale * liver[first:]]), 0.0)
    return JoinedCurves(averages, scale, float(timing.start[first]))


def _curve(scan: DynamicScan, region: str) -> Array:
    if region not in scan.regions.names:
        raise InputError(
            f"there is no region {region!r}.",
            hint="The hybrid input function needs left ventricle, its wall and liver; name them in its options.",
        )
    return np.asarray(scan.regions.activity[scan.regions.names.index(region)], float)


METHOD = Method("hybrid", "Left ventricle, tail from the liver", HybridOptions, estimate)
