"""Logan plot: (∫C_T) / C_T = VT (∫C_p) / C_T + intercept after t*."""

from __future__ import annotations

import math

from dlif_core.kinetics.models.base import TIME, VOLUME, Model, Parameter

MODEL = Model(
    name="logan",
    title="Logan plot",
    parameters=(
        Parameter("VT", VOLUME, "VT, total distribution volume", lower=-math.inf),
        Parameter("intercept", TIME, "intercept of the Logan plot", lower=-math.inf),
    ),
    engine="linear.graphical:logan",
    options=frozenset({"blood_volume", "delay", "t_star"}),
    needed_options=frozenset({"t_star"}),
    rss_units="min2",
    delay_model="2tcm-reversible",
)
