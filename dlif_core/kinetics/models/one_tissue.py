"""One-tissue compartment model: (1 − vB) C_T = a e^(−θt) ⊗ C_p with a ≥ 0; K1 = a / (1 − vB), k2 = θ."""

from __future__ import annotations

from typing import Any

from dlif_core.kinetics.model import K1, K2, VB, VT, CompartmentModel
from dlif_core.kinetics.models.engines import least_squares


def microparameters(rates: list[Any], gains: list[Any], trapped: Any, like: Any) -> dict[str, Any]:
    """K1, k2 and VT; without an exponential only that K1 is zero."""
    if not rates:
        return {"K1": 0 * like}
    return {"K1": gains[0], "k2": rates[0], "VT": gains[0] / rates[0]}


MODEL = CompartmentModel(
    name="1tcm",
    title="one-tissue compartment model",
    engine=least_squares,
    parameters=(K1, K2, VB, VT),
    options=frozenset({"blood_volume", "delay", "rates"}),
    fitted_numbers=3,
    exponentials=1,
    microparameters=microparameters,
    delay_model="1tcm",
)
