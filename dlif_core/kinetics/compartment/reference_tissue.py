"""The reference tissue as a continuous input, and the simplified reference tissue model.

SRTM (Lammertsma & Hume, Neuroimage 1996;4:153): C_T = R1 C_R + (k2 − R1 k2a) e^(−k2a t) ⊗ C_R with
k2a = k2 / (1 + BPND). With k2′ = k2 / R1 fixed (SRTM2; Wu & Carson, J Cereb Blood Flow Metab 2002;22:1440) it is R1
times C_R + (k2′ − k2a) e^(−k2a t) ⊗ C_R. Neither tissue has a blood volume in it.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from dlif_core.curve import InputFunction
from dlif_core.errors import FrameTimingError
from dlif_core.frames import FrameTiming
from dlif_core.kinetics.compartment.active_set import reference_active_sets
from dlif_core.kinetics.compartment.design import FrameColumns
from dlif_core.kinetics.compartment.estimator import SolverEstimator
from dlif_core.kinetics.compartment.solver import CompartmentSolver
from dlif_core.kinetics.context import Array, FitContext, require_frames
from dlif_core.kinetics.settings import FitSettings


def reference_curve(timing: FrameTiming, values: Array) -> InputFunction:
    """A curve known only as frame averages, as a continuous curve that has these averages.

    It is piecewise linear through the middles of the frames, rises from zero at t = 0 (or at the first frame, if that
    starts earlier) and goes on straight to the end of the last one.

    Parameters
    ----------
    timing
        Frames, at least two.
    values
        Frame averages, shape (frames,) [Bq/mL].

    Raises
    ------
    FrameTimingError
        If there is one frame.
    """
    require_frames(timing)
    middle, end = timing.mid, timing.end[-1]
    time = np.concatenate([[min(0.0, timing.start[0])], middle, [end]])
    beyond = (end - middle[-1]) / (middle[-1] - middle[-2])
    knots = np.vstack([np.zeros(len(middle)), np.eye(len(middle)), np.zeros(len(middle))])
    knots[-1, -2:] = -beyond, 1 + beyond
    average = np.array([timing.average(time, column) for column in knots.T]).T
    curve = knots @ np.linalg.solve(average, values)
    return InputFunction(time=time, whole_blood=curve, plasma=curve, method="reference tissue")


class ReferenceTissueEstimator(SolverEstimator):
    """The batched least-squares fit of SRTM, or of SRTM2 where the settings fix k2′.

    Parameters
    ----------
    context, settings
        What the curves share, with the curve of the reference region, and how to fit.

    Raises
    ------
    FrameTimingError
        If there are not more frames than free numbers.
    """

    def __init__(self, context: FitContext, settings: FitSettings) -> None:
        active_sets = reference_active_sets(cast("float | None", settings.k2_prime))
        needed, frames = active_sets[-1].size + 1, len(context.timing)
        if frames < needed:
            raise FrameTimingError(
                f"{frames} frames can't determine {needed - 1} free numbers.",
                where=f"model {settings.model}",
                hint=f"Use at least {needed} frames.",
            )
        assert context.reference is not None
        columns = FrameColumns(context.timing, reference_curve(context.timing, context.reference))
        given = columns, settings.kinetic_model, context.weights, 0.0, context.device
        super().__init__(columns, CompartmentSolver(*given, rates=settings.rate_bounds, active_sets=active_sets))
