"""MRTM, multilinear reference tissue model: C_T = R1 C_ref + k2 ∫C_ref − k2/(1 + BPND) ∫C_T."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import FRACTION, RATE, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.multilinear import mrtm

    return mrtm(context, settings)


MODEL = Model(
    name="mrtm",
    title="multilinear reference tissue model MRTM",
    parameters=(
        Parameter("BPND", FRACTION, "BPND, non-displaceable binding potential", lower=-math.inf, derived=True),
        Parameter("R1", FRACTION, "R1, delivery relative to the reference region, K1/K1′", lower=-math.inf),
        Parameter("k2", RATE, "k2, rate constant from tissue to plasma", lower=-math.inf),
        Parameter("k2_prime", RATE, "k2′, rate constant of the reference region", lower=-math.inf, derived=True),
    ),
    engine=_engine,
    options=frozenset({"t_star"}),
    needs_input=False,
    needs_reference=True,
)
