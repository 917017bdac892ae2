"""The network that segments a scan into tissues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from dlif_core.networks.prediction.correction import Correction
from dlif_core.networks.prediction.features import CONSTANTS, WINDOWS, Features
from dlif_core.networks.prediction.tissues import TISSUES


class Segmentation(NamedTuple):
    """Tissues that a network finds in a scan.

    Attributes
    ----------
    tissues
        Part of each tissue that every voxel shows, shape (tissues, z, y, x); what is missing to 1 is background.
    confidence
        Factor on the confidence in every voxel, positive, shape (z, y, x).
    logits
        Logarithms of the parts up to a constant, background first, shape (1 + tissues, z, y, x).
    """

    tissues: torch.Tensor
    confidence: torch.Tensor
    logits: torch.Tensor


class TissueNetwork(nn.Module):
    """A small convolutional network on three levels, 1, 2 and 4 mm, for images of any size.

    Parameters
    ----------
    channels
        Channels on the three levels.

    Attributes
    ----------
    revisions
        Number of times that the network refines its segmentation, see `refinement.RefiningNetwork`.
    correction
        Correction over time of the curve that is read with the network's weight map.
    """

    def __init__(self, channels: tuple[int, int, int] = (12, 24, 32)) -> None:
        super().__init__()
        self.channels = channels
        self.revisions = 0
        fine, middle, coarse = channels
        self.fine = _convolution(WINDOWS, fine)
        self.middle = nn.Sequential(_convolution(fine, middle), nn.ReLU(), _convolution(middle, middle), nn.ReLU())
        self.coarse = _convolution(middle, coarse)
        self.constants = nn.Linear(CONSTANTS, coarse)
        self.deep = nn.Sequential(_convolution(coarse, coarse), nn.ReLU(), _convolution(coarse, coarse), nn.ReLU())
        self.joined = _convolution(middle + coarse, middle)
        self.narrow = nn.Conv3d(middle, fine, 1)
        self.top = _convolution(2 * fine, 16)
        self.out = nn.Conv3d(16, len(TISSUES) + 2, 1)
        self.correction = Correction()
        nn.init.normal_(self.out.weight, std=0.05)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, features: Features) -> Segmentation:
        """Segment one scan as its features show it."""
        return self._segmented(features, self.fine(padded(features.image)))

    def segment(
        self, activity: torch.Tensor, features: Features, counting: torch.Tensor, revisions: int | None = None
    ) -> Segmentation:
        """Segment one scan as well as the network can.

        Parameters
        ----------
        activity
            Aligned image, shape (frames, z, y, x) [SUV].
        features
            Features of the image.
        counting
            `unmixing.noise_confidence` of the image, shape (z, y, x).
        revisions
            Number of refinements, if the network makes any; None for as many as it was trained for.
        """
        found: Segmentation = self(features)
        return found

    def starting_weights(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """State of a network that begins from that of another."""
        return dict(weights)

    def _segmented(self, features: Features, finest: torch.Tensor) -> Segmentation:
        """Segmentation from the finest level before its first nonlinearity."""
        shape = features.image.shape[1:]
        fine = torch.relu(finest)
        middle = self.middle(functional.avg_pool3d(fine, 2))
        bias = self.constants(features.constants)[:, None, None, None]
        deep = self.deep(torch.relu(self.coarse(functional.avg_pool3d(middle, 2)) + bias))
        joined = torch.relu(self.joined(torch.cat([middle, _doubled(deep)], dim=1)))
        top = torch.relu(self.top(torch.cat([fine, _doubled(self.narrow(joined))], dim=1)))
        out = self.out(top)[0, :, : shape[0], : shape[1], : shape[2]].float()
        logits = out[:-1]
        return Segmentation(logits.softmax(dim=0)[1:], torch.exp(out[-1].clamp(-4.0, 4.0)), logits)


def padded(images: torch.Tensor) -> torch.Tensor:
    """Images (n, z, y, x) as a batch of one, enlarged such that all levels of the network have whole voxels."""
    return functional.pad(images[None], [part for length in reversed(images.shape[1:]) for part in (0, -length % 4)])


def _convolution(channels: int, out: int) -> nn.Conv3d:
    layer = nn.Conv3d(channels, out, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _doubled(image: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(image, scale_factor=2, mode="trilinear", align_corners=False)
