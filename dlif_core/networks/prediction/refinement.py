"""A network that refines its segmentation by what that leaves unexplained of the image.

A segmentation and the curves that are read with it reconstruct the image. Where the reconstruction differs from the
scan, the segmentation is wrong: around a heart that is larger than its segmentation lies a shell of activity that no
tissue explains. A second network sees this residual, in the windows in which the first network sees the scan, and the
segmentation itself. So an animal unlike those of the training, which the first network segments like one that it knows,
can still be segmented correctly. The second network refines its own segmentations in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from dlif_core.networks.prediction.features import WINDOWS, Features, window_means
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.prediction.unmixing import unmix
from dlif_core.networks.prediction.weight_map import Segmentation, TissueNetwork, padded

# the residual enters by its signed root; below this the root is nearly a straight line [SUV]
_FAINT = 0.01
# factor on the root [SUV^-1/2]
_STRENGTH = 2.0
_FIRST = "first."


class RefiningNetwork(TissueNetwork):
    """A tissue network that refines the segmentation of a first one, and then its own.

    The first network has the same layers and its weights are fixed: it isn't trained further along with the second. In
    training no gradient goes back through the segmentation that is refined.

    Parameters
    ----------
    channels
        Channels on the three levels of both networks.
    revisions
        Number of refinements, 1 or more.
    """

    def __init__(self, channels: tuple[int, int, int] = (12, 24, 32), revisions: int = 1) -> None:
        super().__init__(channels)
        self.revisions = revisions
        self.first = TissueNetwork(channels).requires_grad_(False)
        # layers are named as in the files of trained networks
        self.left_over = nn.Conv3d(WINDOWS + len(TISSUES), channels[0], 3, padding=1)
        nn.init.zeros_(self.left_over.weight)
        nn.init.zeros_(self.left_over.bias)  # type: ignore[arg-type]

    def forward(self, features: Features) -> Segmentation:
        """Segment one scan by the first network alone."""
        found: Segmentation = self.first(features)
        return found

    def segment(
        self, activity: torch.Tensor, features: Features, counting: torch.Tensor, revisions: int | None = None
    ) -> Segmentation:
        """Segment one scan and refine the segmentation; parameters are those of `TissueNetwork.segment`."""
        found: Segmentation = self.first(features)
        image = self.fine(padded(features.image))
        for _ in range(self.revisions if revisions is None else revisions):
            if self.training:
                found = Segmentation(*(part.detach() for part in found))
            with _full_precision(activity.device):
                residual = reconstruction_residual(activity, features, found, counting)
                seen = torch.cat([residual, found.tissues])
            found = self._segmented(features, image + self.left_over(padded(seen)))
        return found

    def starting_weights(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """State of a network that begins from that of another; one without refinement gives both of its networks."""
        if any(name.startswith(_FIRST) for name in weights):
            return dict(weights)
        return {**self.state_dict(), **weights, **{f"{_FIRST}{name}": value for name, value in weights.items()}}


def reconstruction_residual(
    activity: torch.Tensor, features: Features, segmentation: Segmentation, counting: torch.Tensor
) -> torch.Tensor:
    """Part of a scan that its segmentation leaves unexplained, as signed root, shape (windows, z, y, x).

    Parameters
    ----------
    activity
        Aligned image, shape (frames, z, y, x) [SUV].
    features
        Features of the image.
    segmentation
        Segmentation of the scan.
    counting
        `noise_confidence` of the image, shape (z, y, x).
    """
    confidence = counting * segmentation.confidence
    curves = unmix(activity, segmentation.tissues, confidence).curves @ features.windows.T
    reconstruction = torch.einsum("kw,kzyx->wzyx", curves, segmentation.tissues)
    residual = window_means(activity, features.windows) - reconstruction
    return _STRENGTH * residual / (residual.abs() + _FAINT).sqrt()


def tissue_network(channels: tuple[int, int, int], revisions: int) -> TissueNetwork:
    """A network with random weights that refines its segmentation so often, or not at all."""
    return RefiningNetwork(channels, revisions) if revisions else TissueNetwork(channels)


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
