"""Engines that several models share; the engine of one model alone is in its module."""

from __future__ import annotations

from dlif_core.kinetics.context import Estimator, FitContext
from dlif_core.kinetics.settings import FitSettings


def least_squares(context: FitContext, settings: FitSettings) -> Estimator:
    """The batched least-squares fit of a `CompartmentModel`."""
    from dlif_core.kinetics.compartment.estimator import CompartmentEstimator

    return CompartmentEstimator(context, settings)


def simplified_reference_tissue(context: FitContext, settings: FitSettings) -> Estimator:
    """The least-squares fit of the simplified reference tissue models."""
    from dlif_core.kinetics.compartment.reference_tissue import ReferenceTissueEstimator

    return ReferenceTissueEstimator(context, settings)
