"""Logan plot: (∫C_T) / C_T = VT (∫C_p) / C_T + intercept after t*."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import TIME, VOLUME, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.graphical import logan

    return logan(context, settings)


MODEL = Model(
    name="logan",
    title="Logan plot",
    parameters=(
        Parameter("VT", VOLUME, "VT, total distribution volume", lower=-math.inf),
        Parameter("intercept", TIME, "intercept of the Logan plot", lower=-math.inf),
    ),
    engine=_engine,
    options=frozenset({"blood_volume", "delay", "t_star"}),
    needed_options=frozenset({"t_star"}),
    rss_units="min2",
    delay_model="2tcm-reversible",
)
