"""SRTM with k2′ = k2/R1 known: C_T = R1 [C_R + (k2′ − k2a) e^(−k2a t) ⊗ C_R]."""

from __future__ import annotations

from dlif_core.kinetics.model import FRACTION, RATE, RATE_BOUNDS, Model, Parameter
from dlif_core.kinetics.models.engines import simplified_reference_tissue

MODEL = Model(
    name="srtm2",
    title="simplified reference tissue model SRTM2",
    parameters=(
        Parameter("R1", FRACTION, "R1, delivery relative to the reference region, K1/K1′"),
        Parameter("k2", RATE, "k2, rate constant from tissue to plasma", derived=True),
        Parameter("BPND", FRACTION, "BPND, non-displaceable binding potential", lower=-1.0, derived=True),
        Parameter("k2a", RATE, "k2a, apparent rate constant to plasma, k2/(1 + BPND)", upper=RATE_BOUNDS[1]),
    ),
    engine=simplified_reference_tissue,
    options=frozenset({"k2_prime", "rates"}),
    needed_options=frozenset({"k2_prime"}),
    needs_input=False,
    needs_reference=True,
    exponentials=1,
    fitted_numbers=2,
)
