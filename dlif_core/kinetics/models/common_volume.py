"""Reversible two-tissue model with one K1/k2 for all regions: VND = K1/k2, BPND = k3/k4, VT = VND (1 + BPND)."""

from __future__ import annotations

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import BPND, K1, K2, K3, K4, VB, VOLUME, VT, Model, Parameter
from dlif_core.kinetics.settings import FitSettings

VND = Parameter("VND", VOLUME, "VND, distribution volume K1/k2 of the first compartment, the same in all regions")


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.compartment.common_volume import CommonVolumeFit

    return CommonVolumeFit(context, settings)


MODEL = Model(
    name="2tcm-common-k1k2",
    title="reversible two-tissue compartment model with K1/k2 common to all regions",
    parameters=(K1, K2, K3, K4, VB, VND, VT, BPND),
    engine=_engine,
    options=frozenset({"blood_volume", "delay"}),
    fitted_numbers=4,
    delay_model="2tcm-reversible",
    voxelwise=False,
)
