"""Standardised uptake value: mean activity in a window × body weight / injected activity."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.ratios import suv

    return suv(context, settings)


MODEL = Model(
    name="suv",
    title="standardised uptake value",
    parameters=(Parameter("SUV", "g mL-1", "SUV, standardised uptake value", lower=-math.inf),),
    engine=_engine,
    options=frozenset({"window"}),
    needed_options=frozenset({"window"}),
    needs_input=False,
)
