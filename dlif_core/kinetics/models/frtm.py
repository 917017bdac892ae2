"""Full reference tissue model with R1, k2, k3 and k4; BPND = k3/k4."""

from __future__ import annotations

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import BPND, FRACTION, K2, K3, K4, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.compartment.frtm import FRTMFit

    return FRTMFit(context, settings)


MODEL = Model(
    name="frtm",
    title="full reference tissue model",
    parameters=(Parameter("R1", FRACTION, "R1, delivery relative to the reference region K1/K1′"), K2, K3, K4, BPND),
    engine=_engine,
    needs_input=False,
    needs_reference=True,
    fitted_numbers=4,
    voxelwise=False,
)
