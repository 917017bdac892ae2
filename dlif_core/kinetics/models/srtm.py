"""Simplified reference tissue model: C_T = R1 C_R + (k2 − R1 k2a) e^(−k2a t) ⊗ C_R, k2a = k2/(1 + BPND)."""

from __future__ import annotations

from dlif_core.kinetics.model import FRACTION, RATE, RATE_BOUNDS, Model, Parameter
from dlif_core.kinetics.models.engines import simplified_reference_tissue

MODEL = Model(
    name="srtm",
    title="simplified reference tissue model SRTM",
    parameters=(
        Parameter("R1", FRACTION, "R1, delivery relative to the reference region, K1/K1′"),
        Parameter("k2", RATE, "k2, rate constant from tissue to plasma"),
        Parameter("BPND", FRACTION, "BPND, non-displaceable binding potential", lower=-1.0, derived=True),
        Parameter("k2a", RATE, "k2a, apparent rate constant to plasma, k2/(1 + BPND)", upper=RATE_BOUNDS[1]),
        Parameter("k2_prime", RATE, "k2′, rate constant of the reference region", derived=True),
    ),
    engine=simplified_reference_tissue,
    options=frozenset({"rates"}),
    needs_input=False,
    needs_reference=True,
    exponentials=1,
    fitted_numbers=3,
)
