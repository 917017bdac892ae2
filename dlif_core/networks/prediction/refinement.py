"""A network that looks at its drawing beside the image, and draws again.

What was drawn, with the curves that are read off it, makes an image. Where that differs from the scan, the drawing is
wrong: around a heart that is larger than it was drawn lies a shell of activity that no tissue explains. A second
network sees what is left over, in the windows in which the first saw the scan, and what was drawn. So an animal unlike
those of the training, which the first network draws as one it knows, can still be drawn as it is. Its own drawings the
second network revises in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from dlif_core.networks.prediction.features import WINDOWS, Features, window_means
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.prediction.unmixing import unmix
from dlif_core.networks.prediction.weight_map import Drawn, TissueNetwork, padded

# what is left over counts by its root; below this the root is nearly a straight line [SUV]
_FAINT = 0.01
# how strongly it counts [SUV^-1/2]
_STRENGTH = 2.0
_FIRST = "first."


class RevisingNetwork(TissueNetwork):
    """A tissue network that revises the drawing of a first one, and then its own.

    The first network has the same layers and its weights are fixed: it isn't trained further along with the second. In
    training no gradient goes back through the drawing that is revised.

    Parameters
    ----------
    channels
        On the three levels, of both.
    revisions
        How often the drawing is revised, 1 or more.
    """

    def __init__(self, channels: tuple[int, int, int] = (12, 24, 32), revisions: int = 1) -> None:
        super().__init__(channels)
        self.revisions = revisions
        self.first = TissueNetwork(channels).requires_grad_(False)
        self.left_over = nn.Conv3d(WINDOWS + len(TISSUES), channels[0], 3, padding=1)
        nn.init.zeros_(self.left_over.weight)
        nn.init.zeros_(self.left_over.bias)  # type: ignore[arg-type]

    def forward(self, features: Features) -> Drawn:
        """The first drawing."""
        drawn: Drawn = self.first(features)
        return drawn

    def draw(
        self, activity: torch.Tensor, features: Features, counting: torch.Tensor, revisions: int | None = None
    ) -> Drawn:
        """The last drawing; parameters as of `TissueNetwork.draw`."""
        drawn: Drawn = self.first(features)
        image = self.fine(padded(features.image))
        for _ in range(self.revisions if revisions is None else revisions):
            if self.training:
                drawn = Drawn(*(part.detach() for part in drawn))
            with _full_precision(activity.device):
                seen = torch.cat([left_over(activity, features, drawn, counting), drawn.tissues])
            drawn = self._drawn(features, image + self.left_over(padded(seen)))
        return drawn

    def starting_weights(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """State of a network that begins from that of another: one that doesn't revise begins both drawings."""
        if any(name.startswith(_FIRST) for name in weights):
            return dict(weights)
        return {**self.state_dict(), **weights, **{f"{_FIRST}{name}": value for name, value in weights.items()}}


def left_over(activity: torch.Tensor, features: Features, drawn: Drawn, counting: torch.Tensor) -> torch.Tensor:
    """What a drawing leaves unexplained in every window, as signed root, shape (windows, z, y, x).

    Parameters
    ----------
    activity, features, counting
        Of the scan, as of `TissueNetwork.draw`.
    drawn
        In it.
    """
    curves = unmix(activity, drawn.tissues, counting * drawn.confidence).curves @ features.windows.T
    residual = window_means(activity, features.windows) - torch.einsum("kw,kzyx->wzyx", curves, drawn.tissues)
    return _STRENGTH * residual / (residual.abs() + _FAINT).sqrt()


def tissue_network(channels: tuple[int, int, int], revisions: int) -> TissueNetwork:
    """A network with weights at random that revises its drawing so often, or not at all."""
    return RevisingNetwork(channels, revisions) if revisions else TissueNetwork(channels)


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
