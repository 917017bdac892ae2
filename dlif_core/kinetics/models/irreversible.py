"""Irreversible two-tissue compartment model: (1 − vB) C_T = a₀ ∫C_p + a₁ e^(−θt) ⊗ C_p, a₀, a₁ ≥ 0, θ = k2 + k3."""

from __future__ import annotations

from typing import Any

from dlif_core.kinetics.model import K1, K2, K3, KI, VB, CompartmentModel
from dlif_core.kinetics.models import one_tissue
from dlif_core.kinetics.models.engines import least_squares


def microparameters(rates: list[Any], gains: list[Any], trapped: Any, like: Any) -> dict[str, Any]:
    """K1, k2, k3 and Ki, as far as the coefficients that are not zero determine them."""
    zero = 0 * like
    if trapped is None:
        none_trapped = {"Ki": zero} | ({"k3": zero} if rates else {})
        return one_tissue.microparameters(rates, gains, trapped, like) | none_trapped
    if not rates:  # nothing leaves, so how fast the tracer is trapped has no effect
        return {"K1": trapped, "k2": zero, "Ki": trapped}
    influx = gains[0] + trapped
    return {"K1": influx, "k2": rates[0] * gains[0] / influx, "k3": rates[0] * trapped / influx, "Ki": trapped}


MODEL = CompartmentModel(
    name="2tcm-irreversible",
    title="irreversible two-tissue compartment model",
    engine=least_squares,
    parameters=(K1, K2, K3, VB, KI),
    options=frozenset({"blood_volume", "delay", "rates"}),
    fitted_numbers=4,
    exponentials=1,
    integral=True,
    microparameters=microparameters,
    delay_model="2tcm-irreversible",
)
