"""Reference Patlak plot: C_T / C_ref = Ki′ (∫C_ref) / C_ref + intercept after t*."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dlif_core.kinetics.models.base import FRACTION, RATE, Model, Parameter

if TYPE_CHECKING:
    from dlif_core.kinetics.context import Estimator, FitContext
    from dlif_core.kinetics.settings import FitSettings


def _estimator(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.graphical import reference_patlak

    return reference_patlak(context, settings)


MODEL = Model(
    name="reference-patlak",
    title="Patlak plot with a reference region",
    parameters=(
        Parameter("Ki_ref", RATE, "Ki′, net influx rate relative to the reference region", lower=-math.inf),
        Parameter("intercept", FRACTION, "intercept of the reference Patlak plot", lower=-math.inf),
    ),
    estimator=_estimator,
    options=frozenset({"t_star"}),
    needed_options=frozenset({"t_star"}),
    needs_input=False,
    needs_reference=True,
    rss_units="1",
)
