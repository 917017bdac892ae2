"""Spectral analysis: C_PET = Σ_j a_j e^(−θ_j t) ⊗ C_p + vB C_WB, a_j ≥ 0, on a grid of rates."""

from __future__ import annotations

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.model import FRACTION, K1, KI, VB, VT, Model, Parameter
from dlif_core.kinetics.settings import FitSettings


def _engine(context: FitContext, settings: FitSettings) -> Estimator:
    from dlif_core.kinetics.spectral.analysis import SpectralEstimator

    return SpectralEstimator(context, settings)


MODEL = Model(
    name="spectral",
    title="spectral analysis",
    parameters=(K1, VT, KI, VB, Parameter("components", FRACTION, "number of components", derived=True)),
    engine=_engine,
    options=frozenset({"blood_volume", "delay", "rates"}),
    delay_model="2tcm-reversible",
)
