"""Liver: reversible two-tissue compartment model, supplied by the hepatic artery and the portal vein."""

from __future__ import annotations

from dlif_core.curve import InputFunction
from dlif_core.kinetics.input_model import InputParameter, dual_input
from dlif_core.kinetics.model import (
    BPND,
    FRACTION,
    K1,
    K2,
    K3,
    K4,
    RATE,
    VB,
    VT,
    CompartmentModel,
)
from dlif_core.kinetics.models import reversible
from dlif_core.kinetics.models.engines import least_squares

ARTERIAL_FRACTION = InputParameter(
    "fA",
    FRACTION,
    "fA, share of the hepatic artery in the flow to the liver",
    0.0,
    1.0,
    (0.0, 0.05, 0.1, 0.17, 0.25, 0.35, 0.5, 0.65, 0.8, 1.0),
    neutral=1.0,
)
PORTAL_RATE = InputParameter(
    "kPV",
    RATE,
    "kPV, rate constant of the passage through the gut",
    0.1,
    10.0,
    (0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 7.0),
    neutral=1.0,
)


def transform(measured: InputFunction, arterial_fraction: float, rate: float) -> InputFunction:
    """The mixture of arterial and portal-venous blood, the latter modelled from the arterial curve."""
    return dual_input(measured, arterial_fraction, rate, PORTAL_RATE.lower)


MODEL = CompartmentModel(
    name="2tcm-liver",
    title="reversible two-tissue compartment model of the liver with dual input",
    engine=least_squares,
    parameters=(K1, K2, K3, K4, VB, VT, BPND),
    options=frozenset({"blood_volume", "delay", "rates"}),
    fitted_numbers=5,
    exponentials=2,
    microparameters=reversible.microparameters,
    delay_model="2tcm-liver",
    input_parameters=(ARTERIAL_FRACTION, PORTAL_RATE),
    input_transform=transform,
)
