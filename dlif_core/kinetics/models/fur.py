"""Fractional uptake rate: mean activity in a window over the mean of ∫C_p in it."""

from __future__ import annotations

import math

from dlif_core.kinetics.models.base import CLEARANCE, Model, Parameter

MODEL = Model(
    name="fur",
    title="fractional uptake rate",
    parameters=(Parameter("FUR", CLEARANCE, "FUR, fractional uptake rate", lower=-math.inf),),
    engine="linear.ratios:fractional_uptake_rate",
    options=frozenset({"window", "delay"}),
    needed_options=frozenset({"window"}),
    delay_model="2tcm-irreversible",
)
