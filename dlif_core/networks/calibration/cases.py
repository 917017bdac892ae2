"""Scans with known blood, as a calibration needs them: prediction, continuous curve and truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlif_core.networks.prediction.continuous import ContinuousCurve, continuous_curve
from dlif_core.networks.prediction.ensemble import EnsemblePrediction, predict_ensemble
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.training.run import ExampleSource

Array = NDArray[np.float64]


class CalibrationCase(NamedTuple):
    """A scan with known blood.

    Attributes
    ----------
    prediction
        Prediction of the ensemble, without the members' segmentations, which would fill the memory.
    curve
        Continuous curve of the prediction.
    whole_blood
        True frame averages, NaN where they are unknown, shape (frames,) [SUV].
    """

    prediction: EnsemblePrediction
    curve: ContinuousCurve
    whole_blood: Array

    @property
    def errors(self) -> Array:
        """Truth less prediction, frame averages, shape (frames,) [SUV]; NaN where the truth is unknown."""
        return self.whole_blood - self.prediction.timing.average(self.curve.time, self.curve.values)


def calibration_case(networks: Sequence[TissueNetwork], examples: ExampleSource, index: int) -> CalibrationCase:
    """Prediction and truth of one of the examples."""
    example = examples[index]
    prediction = predict_ensemble(networks, example.scan)
    members = (
        member._replace(tissues=member.tissues[:, :0].clone(), weight_maps=member.weight_maps.clone())
        for member in prediction.members
    )
    kept = replace(prediction, members=tuple(members))
    return CalibrationCase(kept, predicted_curve(kept), example.whole_blood.double().numpy(force=True))


def predicted_curve(prediction: EnsemblePrediction) -> ContinuousCurve:
    """Continuous curve of a prediction."""
    return continuous_curve(prediction.timing, prediction.whole_blood, prediction.noise)
