"""A scan aligned for explanation, and the curves that an ensemble reads when its image is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.correction import corrected_curve
from dlif_core.networks.prediction.ensemble import EnsemblePrediction, predict_ensemble
from dlif_core.networks.prediction.features import Features, features
from dlif_core.networks.prediction.predict import AlignedScan, read_curves
from dlif_core.networks.prediction.resampling import displaced
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.unmixing import noise_confidence
from dlif_core.networks.prediction.weight_map import TissueNetwork


@dataclass(frozen=True, eq=False)
class ExplainedScan:
    """A scan corrected for motion, with the ensemble whose prediction is explained.

    Attributes
    ----------
    networks
        Members of the ensemble.
    scan
        The scan corrected for motion.
    prediction
        Prediction of the ensemble.
    """

    networks: tuple[TissueNetwork, ...]
    scan: NetworkScan
    prediction: EnsemblePrediction

    @property
    def activity(self) -> torch.Tensor:
        """The aligned image, shape (frames, z, y, x), voxels of 1 mm [SUV]."""
        return self.scan.activity

    @property
    def timing(self) -> FrameTiming:
        """Start and duration of the frames."""
        return self.scan.timing

    @cached_property
    def own_curves(self) -> torch.Tensor:
        """Curve of every member for the image as it is, shape (members, frames) [SUV]."""
        with torch.no_grad():
            return self.curves(self.activity)

    def curves(self, activity: torch.Tensor) -> torch.Tensor:
        """Curve of every member for another image, shape (frames, z, y, x) to (members, frames) [SUV]."""
        return self.curves_from(features(self.scan.with_activity(activity)), activity)

    def curves_from(self, described: Features, activity: torch.Tensor) -> torch.Tensor:
        """Curve of every member that segments by these features and reads this image; shape (members, frames) [SUV]."""
        counting = noise_confidence(activity, self.scan.seconds)
        seen = AlignedScan(activity, described, counting, self.prediction.displacement)
        return self.corrected(torch.stack([read_curves(network, seen).arterial.curve for network in self.networks]))

    def corrected(self, read: torch.Tensor) -> torch.Tensor:
        """Curves with the members' corrections for this scan, shape (members, frames) [SUV]."""
        factor = torch.stack([member.factor for member in self.prediction.members])
        return corrected_curve(read, factor)

    def member(self, index: int) -> ExplainedScan:
        """The scan with one member of the ensemble alone."""
        prediction = replace(self.prediction, members=self.prediction.members[index : index + 1])
        return replace(self, networks=self.networks[index : index + 1], prediction=prediction)


def explained_scan(networks: Sequence[TissueNetwork], scan: NetworkScan) -> ExplainedScan:
    """Predict the curve of a scan and correct the scan for motion; errors are those of `predict_ensemble`."""
    prediction = predict_ensemble(networks, scan)
    aligned = scan.with_activity(displaced(scan.activity, prediction.displacement))
    return ExplainedScan(tuple(networks), aligned, prediction)
