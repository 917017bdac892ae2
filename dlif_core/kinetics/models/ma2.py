"""MA2, multilinear analysis with four coefficients, the two-tissue model integrated twice."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import CLEARANCE, RATE, VOLUME, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.multilinear import ma2

    return ma2(context, settings)


MODEL = Model(
    name="ma2",
    title="multilinear analysis MA2",
    parameters=(
        Parameter("VT", VOLUME, "VT, total distribution volume", lower=-math.inf, derived=True),
        Parameter("K1", CLEARANCE, "K1, rate constant from plasma to tissue", lower=-math.inf),
        Parameter("k2", RATE, "k2, rate constant from tissue to plasma", lower=-math.inf, derived=True),
        Parameter("k3", RATE, "k3, rate constant into the second tissue compartment", lower=-math.inf, derived=True),
        Parameter("k4", RATE, "k4, rate constant out of the second tissue compartment", lower=-math.inf, derived=True),
    ),
    engine=_engine,
    options=frozenset({"blood_volume", "delay", "t_star"}),
    delay_model="2tcm-reversible",
)
