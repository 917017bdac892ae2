"""Reversible two-tissue model: (1 − vB) C_T = a₁ e^(−θ₁t) ⊗ C_p + a₂ e^(−θ₂t) ⊗ C_p, a₁, a₂ ≥ 0, θ₁ < θ₂."""

from __future__ import annotations

from typing import Any

from dlif_core.kinetics.model import BPND, K1, K2, K3, K4, VB, VT, CompartmentModel
from dlif_core.kinetics.models import one_tissue
from dlif_core.kinetics.models.engines import least_squares


def microparameters(rates: list[Any], gains: list[Any], trapped: Any, like: Any) -> dict[str, Any]:
    """K1, k2, k3, k4, VT and BPND, as far as the coefficients that are not zero determine them."""
    if len(rates) < 2:  # the second compartment stays empty (k3 = 0), so k4 has no effect
        empty = {"k3": 0 * like, "BPND": 0 * like} if rates else {}
        return one_tissue.microparameters(rates, gains, trapped, like) | empty
    influx = gains[0] + gains[1]
    k2 = (gains[0] * rates[0] + gains[1] * rates[1]) / influx
    k4 = rates[0] * rates[1] / k2
    # θ₁ + θ₂ − k2 − k4 without its cancellation
    k3 = gains[0] * gains[1] * (rates[1] - rates[0]) ** 2 / (influx**2 * k2)
    volume = gains[0] / rates[0] + gains[1] / rates[1]
    return {"K1": influx, "k2": k2, "k3": k3, "k4": k4, "VT": volume, "BPND": k3 / k4}


MODEL = CompartmentModel(
    name="2tcm-reversible",
    title="reversible two-tissue compartment model",
    engine=least_squares,
    parameters=(K1, K2, K3, K4, VB, VT, BPND),
    options=frozenset({"blood_volume", "delay", "rates"}),
    fitted_numbers=5,
    exponentials=2,
    microparameters=microparameters,
    delay_model="2tcm-reversible",
)
