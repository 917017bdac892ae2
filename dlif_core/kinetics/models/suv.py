"""Standardised uptake value: mean activity in a window × body weight / injected activity."""

from __future__ import annotations

import math

from dlif_core.kinetics.models.base import Model, Parameter

MODEL = Model(
    name="suv",
    title="standardised uptake value",
    parameters=(Parameter("SUV", "g mL-1", "SUV, standardised uptake value", lower=-math.inf),),
    engine="linear.ratios:suv",
    options=frozenset({"window"}),
    needed_options=frozenset({"window"}),
    needs_input=False,
)
