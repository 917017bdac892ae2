"""Reference Logan plot: (∫C_T) / C_T = DVR (∫C_ref + C_ref/k2′) / C_T + intercept after t*."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import FRACTION, TIME, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.graphical import reference_logan

    return reference_logan(context, settings)


MODEL = Model(
    name="reference-logan",
    title="Logan plot with a reference region",
    parameters=(
        Parameter("DVR", FRACTION, "DVR, distribution volume ratio VT/VT′", lower=-math.inf),
        Parameter("BPND", FRACTION, "BPND, non-displaceable binding potential DVR − 1", lower=-math.inf, derived=True),
        Parameter("intercept", TIME, "intercept of the reference Logan plot", lower=-math.inf),
    ),
    engine=_engine,
    options=frozenset({"t_star", "k2_prime"}),
    needed_options=frozenset({"t_star", "k2_prime"}),
    needs_input=False,
    needs_reference=True,
    rss_units="min2",
)
