"""Relative Patlak plot: as the Patlak plot, with ∫C_p from t* on instead of from injection."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import CLEARANCE, VOLUME, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.graphical import relative_patlak

    return relative_patlak(context, settings)


MODEL = Model(
    name="relative-patlak",
    title="relative Patlak plot",
    parameters=(
        Parameter(
            "Ki_relative",
            CLEARANCE,
            "relative Ki, the net influx rate up to one factor for all of the image",
            lower=-math.inf,
        ),
        Parameter("intercept", VOLUME, "intercept of the relative Patlak plot", lower=-math.inf),
    ),
    engine=_engine,
    options=frozenset({"blood_volume", "t_star"}),
    needed_options=frozenset({"t_star"}),
    rss_units="mL2 cm-6",
)
