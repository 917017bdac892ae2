"""MA1, multilinear analysis with two coefficients: C_T = −(VT/b) ∫C_p + (1/b) ∫C_T after t*."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import TIME, VOLUME, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.multilinear import ma1

    return ma1(context, settings)


MODEL = Model(
    name="ma1",
    title="multilinear analysis MA1",
    parameters=(
        Parameter("VT", VOLUME, "VT, total distribution volume", lower=-math.inf, derived=True),
        Parameter("intercept", TIME, "b, intercept of the Logan plot", lower=-math.inf, derived=True),
    ),
    engine=_engine,
    options=frozenset({"blood_volume", "delay", "t_star"}),
    needed_options=frozenset({"t_star"}),
    delay_model="2tcm-reversible",
)
