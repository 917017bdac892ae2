"""Reference Patlak plot: C_T / C_ref = Ki′ (∫C_ref) / C_ref + intercept after t*."""

from __future__ import annotations

import math

from dlif_core.kinetics.models.base import FRACTION, RATE, Model, Parameter

MODEL = Model(
    name="reference-patlak",
    title="Patlak plot with a reference region",
    parameters=(
        Parameter("Ki_ref", RATE, "Ki′, net influx rate relative to the reference region", lower=-math.inf),
        Parameter("intercept", FRACTION, "intercept of the reference Patlak plot", lower=-math.inf),
    ),
    engine="linear.graphical:reference_patlak",
    options=frozenset({"t_star"}),
    needed_options=frozenset({"t_star"}),
    needs_input=False,
    needs_reference=True,
    rss_units="1",
)
