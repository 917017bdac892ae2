"""Patlak plot: C_T / C_p = Ki (∫C_p) / C_p + intercept after t*."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import CLEARANCE, VOLUME, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.graphical import patlak

    return patlak(context, settings)


MODEL = Model(
    name="patlak",
    title="Patlak plot",
    parameters=(
        Parameter("Ki", CLEARANCE, "Ki, net influx rate", lower=-math.inf),
        Parameter("intercept", VOLUME, "intercept of the Patlak plot", lower=-math.inf),
    ),
    engine=_engine,
    options=frozenset({"blood_volume", "delay", "t_star"}),
    needed_options=frozenset({"t_star"}),
    rss_units="mL2 cm-6",
    delay_model="2tcm-irreversible",
)
