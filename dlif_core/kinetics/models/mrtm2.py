"""MRTM2, MRTM with k2′ known: C_T = k2 (∫C_ref + C_ref/k2′) − k2/(1 + BPND) ∫C_T."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import FRACTION, RATE, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.multilinear import mrtm2

    return mrtm2(context, settings)


MODEL = Model(
    name="mrtm2",
    title="multilinear reference tissue model MRTM2",
    parameters=(
        Parameter("BPND", FRACTION, "BPND, non-displaceable binding potential", lower=-math.inf, derived=True),
        Parameter(
            "R1", FRACTION, "R1, delivery relative to the reference region, K1/K1′", lower=-math.inf, derived=True
        ),
        Parameter("k2", RATE, "k2, rate constant from tissue to plasma", lower=-math.inf),
    ),
    engine=_engine,
    options=frozenset({"t_star", "k2_prime"}),
    needed_options=frozenset({"k2_prime"}),
    needs_input=False,
    needs_reference=True,
)
