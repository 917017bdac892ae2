"""Reference Patlak plot: C_T / C_ref = Ki′ (∫C_ref) / C_ref + intercept after t*."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import FRACTION, RATE, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.graphical import reference_patlak

    return reference_patlak(context, settings)


MODEL = Model(
    name="reference-patlak",
    title="Patlak plot with a reference region",
    parameters=(
        Parameter("Ki_ref", RATE, "Ki′, net influx rate relative to the reference region", lower=-math.inf),
        Parameter("intercept", FRACTION, "intercept of the reference Patlak plot", lower=-math.inf),
    ),
    engine=_engine,
    options=frozenset({"t_star"}),
    needed_options=frozenset({"t_star"}),
    needs_input=False,
    needs_reference=True,
    rss_units="1",
)
