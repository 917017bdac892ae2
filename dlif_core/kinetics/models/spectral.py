"""Spectral analysis: C_PET = Σ_j a_j e^(−θ_j t) ⊗ C_p + vB C_WB, a_j ≥ 0, on a grid of rates."""

from __future__ import annotations

from dlif_core.kinetics.models.base import FRACTION, K1, KI, VB, VT, Model, Parameter

MODEL = Model(
    name="spectral",
    title="spectral analysis",
    parameters=(K1, VT, KI, VB, Parameter("components", FRACTION, "number of components", derived=True)),
    engine="spectral.analysis:SpectralEstimator",
    options=frozenset({"blood_volume", "delay", "rates"}),
    delay_model="2tcm-reversible",
)
