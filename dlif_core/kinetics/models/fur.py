"""Fractional uptake rate: mean activity in a window over the mean of ∫C_p in it."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import CLEARANCE, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.ratios import fractional_uptake_rate

    return fractional_uptake_rate(context, settings)


MODEL = Model(
    name="fur",
    title="fractional uptake rate",
    parameters=(Parameter("FUR", CLEARANCE, "FUR, fractional uptake rate", lower=-math.inf),),
    engine=_engine,
    options=frozenset({"window", "delay"}),
    needed_options=frozenset({"window"}),
    delay_model="2tcm-irreversible",
)
