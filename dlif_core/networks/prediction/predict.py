"""Prediction of the whole-blood curve of a scan by one trained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from dlif_core.networks.prediction.arterial import ArterialReading, read_arterial
from dlif_core.networks.prediction.correction import OFFSET, corrected_curve, read_course
from dlif_core.networks.prediction.features import Features, features
from dlif_core.networks.prediction.resampling import displaced
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.tissues import ARTERIAL, VENOUS
from dlif_core.networks.prediction.unmixing import Unmixed, frame_displacements, noise_confidence, unmix
from dlif_core.networks.prediction.weight_map import Segmentation, TissueNetwork


class Prediction(NamedTuple):
    """The curve that a network predicts for a scan, and how it was read.

    Attributes
    ----------
    whole_blood
        Frame averages of arterial whole blood, shape (frames,) [SUV]: the sum over voxels of `frame_weights` times the
        activity displaced by `displacement`, corrected by `factor`.
    weight_maps
        Signed weights that read arterial and venous pools, shape (2, z, y, x).
    shares
        Weights of the two readings in every frame, shape (2, frames).
    displacement
        Displacement of the body in every frame, along z, y, x, shape (frames, 3) [voxels].
    tissues
        Segmentation of the network, shape (tissues, z, y, x).
    curves
        Frame averages of all tissues before the correction, shape (tissues, frames) [SUV].
    factor
        Factor of the correction, shape (frames,), see `correction.corrected_curve`.
    expected
        Size of the error to be expected of the corrected curve, shape (frames,) [SUV].
    """

    whole_blood: torch.Tensor
    weight_maps: torch.Tensor
    shares: torch.Tensor
    displacement: torch.Tensor
    tissues: torch.Tensor
    curves: torch.Tensor
    factor: torch.Tensor
    expected: torch.Tensor

    @property
    def frame_weights(self) -> torch.Tensor:
        """Signed weights of the voxels in every frame, shape (frames, z, y, x)."""
        return torch.einsum("pf,pzyx->fzyx", self.shares, self.weight_maps)


class Reading(NamedTuple):
    """Segmentation of an aligned scan and the curves that are read with it.

    Attributes
    ----------
    tissues
        Segmentation by the network, shape (tissues, z, y, x).
    unmixed
        Weight maps and curves of the tissues.
    arterial
        Arterial blood, read from all pools.
    """

    tissues: torch.Tensor
    unmixed: Unmixed
    arterial: ArterialReading


class AlignedScan(NamedTuple):
    """A scan whose frames were corrected for motion.

    Attributes
    ----------
    activity
        Aligned image, shape (frames, z, y, x), in the networks' voxels [SUV].
    features
        Features of the aligned image.
    confidence
        `noise_confidence` of the aligned image, shape (z, y, x).
    displacement
        Displacement that was corrected, shape (frames, 3) [voxels].
    """

    activity: torch.Tensor
    features: Features
    confidence: torch.Tensor
    displacement: torch.Tensor


@torch.no_grad()
def predict(network: TissueNetwork, scan: NetworkScan) -> Prediction:
    """Predict the whole-blood curve of a scan.

    The tissues are segmented twice: first in the image as it is, then in the image corrected for the motion that the
    first segmentation shows.

    Parameters
    ----------
    network
        Trained network on the device of the scan.
    scan
        Scan on the networks' grid.
    """
    return predict_aligned(network, align([network], scan))


def align(networks: Sequence[TissueNetwork], scan: NetworkScan) -> AlignedScan:
    """Correct a scan for motion between frames, by the mean of the networks' first segmentations."""
    seen = features(scan)
    found: list[Segmentation] = [network(seen) for network in networks]
    tissues = torch.stack([one.tissues for one in found]).mean(dim=0)
    confidence = torch.stack([one.confidence for one in found]).mean(dim=0)
    confidence = noise_confidence(scan.activity, scan.seconds) * confidence
    displacement = frame_displacements(scan.activity, tissues, confidence)
    aligned = scan.with_activity(displaced(scan.activity, displacement))
    confidence = noise_confidence(aligned.activity, aligned.seconds)
    return AlignedScan(aligned.activity, features(aligned), confidence, displacement)


def read_curves(network: TissueNetwork, scan: AlignedScan) -> Reading:
    """Segmentation of an aligned scan by a network, and the curves that are read with it, not yet corrected."""
    found = network.segment(scan.activity, scan.features, scan.confidence)
    confidence = scan.confidence * found.confidence
    unmixed = unmix(scan.activity, found.tissues, confidence)
    arterial = read_arterial(scan.activity, found.tissues, confidence, unmixed, scan.features.since)
    return Reading(found.tissues, unmixed, arterial)


def predict_aligned(network: TissueNetwork, scan: AlignedScan) -> Prediction:
    """Predict the whole-blood curve of an aligned scan."""
    reading = read_curves(network, scan)
    course = scan.features.course
    corrected = network.correction(read_course(reading.unmixed.curves, reading.arterial, course))
    factor = (course.between @ corrected.logarithm).exp()
    whole_blood = corrected_curve(reading.arterial.curve, factor)
    return Prediction(
        whole_blood=whole_blood,
        weight_maps=reading.unmixed.weight_map[[ARTERIAL, VENOUS]],
        shares=reading.arterial.shares,
        displacement=scan.displacement,
        tissues=reading.tissues,
        curves=reading.unmixed.curves,
        factor=factor,
        expected=(course.between @ corrected.expected) * (whole_blood.clamp(min=0.0) + OFFSET),
    )
