"""Standardised uptake value ratio: mean activity in a window over that of the reference region."""

from __future__ import annotations

import math

from dlif_core.kinetics.models.base import FRACTION, Model, Parameter

MODEL = Model(
    name="suvr",
    title="standardised uptake value ratio",
    parameters=(Parameter("SUVR", FRACTION, "SUVR, ratio to the reference region", lower=-math.inf),),
    engine="linear.ratios:suvr",
    options=frozenset({"window"}),
    needed_options=frozenset({"window"}),
    needs_input=False,
    needs_reference=True,
)
