"""Reversible two-tissue model with one K1/k2 for all regions: VND = K1/k2, BPND = k3/k4, VT = VND (1 + BPND)."""

from __future__ import annotations

from dlif_core.kinetics.models.base import BPND, K1, K2, K3, K4, VB, VOLUME, VT, Model, Parameter

VND = Parameter("VND", VOLUME, "VND, distribution volume K1/k2 of the first compartment, the same in all regions")

MODEL = Model(
    name="2tcm-common-k1k2",
    title="reversible two-tissue compartment model with K1/k2 common to all regions",
    parameters=(K1, K2, K3, K4, VB, VND, VT, BPND),
    engine="compartment.common_volume:CommonVolumeFit",
    options=frozenset({"blood_volume", "delay"}),
    fitted_numbers=4,
    delay_model="2tcm-reversible",
    voxelwise=False,
)
