"""Standardised uptake value ratio: mean activity in a window over that of the reference region."""

from __future__ import annotations

import math

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import FRACTION, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.linear.ratios import suvr

    return suvr(context, settings)


MODEL = Model(
    name="suvr",
    title="standardised uptake value ratio",
    parameters=(Parameter("SUVR", FRACTION, "SUVR, ratio to the reference region", lower=-math.inf),),
    engine=_engine,
    options=frozenset({"window"}),
    needed_options=frozenset({"window"}),
    needs_input=False,
    needs_reference=True,
)
