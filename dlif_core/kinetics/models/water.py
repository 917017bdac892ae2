"""[¹⁵O]water: one-tissue compartment model whose input function arrives late and dispersed; K1 is the blood flow."""

from __future__ import annotations

from dlif_core.curve import InputFunction
from dlif_core.kinetics.input_model import InputParameter, dispersed
from dlif_core.kinetics.model import (
    CLEARANCE,
    FRACTION,
    RATE,
    RATE_BOUNDS,
    VOLUME,
    CompartmentModel,
    Parameter,
)
from dlif_core.kinetics.models import one_tissue
from dlif_core.kinetics.models.engines import least_squares

TAU = InputParameter(
    "tau",
    "s",
    "tau, dispersion of the tissue's input function against the measured one",
    -20.0,
    20.0,
    (-15.0, -9.0, -4.0, 0.0, 4.0, 9.0, 15.0),
)


def transform(measured: InputFunction, tau: float) -> InputFunction:
    """The measured curve with the dispersion on its way to the tissue."""
    return dispersed(measured, tau, TAU.upper)


MODEL = CompartmentModel(
    name="1tcm-water",
    title="one-tissue compartment model of water with dispersion",
    engine=least_squares,
    parameters=(
        Parameter("K1", CLEARANCE, "K1, blood flow"),
        Parameter("k2", RATE, "k2, rate constant from tissue to blood", upper=RATE_BOUNDS[1]),
        Parameter("vB", FRACTION, "vA, fractional arterial blood volume", upper=1.0),
        Parameter("VT", VOLUME, "p, partition coefficient of water K1/k2", derived=True),
    ),
    options=frozenset({"blood_volume", "delay", "rates"}),
    fitted_numbers=3,
    exponentials=1,
    microparameters=one_tissue.microparameters,
    delay_model="1tcm-water",
    input_parameters=(TAU,),
    input_transform=transform,
)
