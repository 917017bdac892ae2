"""Examples as they might also have been: another animal, another scanner, another protocol.

A simulated scan teaches more if it is not always seen as it was simulated. Image and tissues are changed alike, so that
the image stays the mixture of the tissues that it was, and its blood stays as it is. Animals are larger or smaller and
images more blurred than any that were simulated, so a network can't count on the sizes and resolutions that it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from dlif_core.networks.prediction.resampling import displaced
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.training.examples import Example
from dlif_core.networks.training.run import Source
from dlif_core.separable import FWHM, blur_matrix, separable

# share of the examples that end early, and between which times [s]
_SHORT_SHARE, _EARLIEST_END = 0.25, (850.0, 2000.0)
# share of the examples that are stretched, by up to which factor, and spread of the axes about it (logarithms)
_STRETCHED_SHARE, _STRETCH, _ANISOTROPY = 0.7, 0.14, 0.02
# share of the examples that are blurred, and how much at most [voxels]
_BLURRED_SHARE, _BLUR = 0.4, 1.1
# share of the examples in which frames are put right as a prediction does it, and what error that leaves [voxels]
_ALIGNED_SHARE, _ALIGNMENT_ERROR = 0.75, 0.06
# share of the examples that are cut along z, to how many voxels, and how far from the cut the heart stays
_CUT_SHARE, _FEWEST_PLANES, _MARGIN = 0.6, 36, 10.0
_MYOCARDIUM = TISSUES.index("myocardium")


def varied(example: Example, rng: np.random.Generator) -> Example:
    """The example seen elsewhere, mirrored or not, cut along z, mostly with its motion put right."""
    example = seen_elsewhere(example, rng)
    activity, tissues, displacement = example.activity, example.tissues, example.displacement
    if rng.random() < _ALIGNED_SHARE:
        error = _ALIGNMENT_ERROR * rng.standard_normal(tuple(displacement.shape))
        activity = displaced(activity, displacement + torch.from_numpy(error).to(displacement))
        displacement = torch.zeros_like(displacement)
    if rng.random() < 0.5:
        activity, tissues = activity.flip(3), tissues.flip(3)
        displacement = displacement * displacement.new_tensor([1.0, 1.0, -1.0])
    if rng.random() < _CUT_SHARE and len(tissues):
        kept = _around_heart(tissues, rng)
        activity, tissues = activity[:, kept], tissues[:, kept]
    return replace(example, activity=activity, tissues=tissues, displacement=displacement)


@dataclass(frozen=True)
class Elsewhere:
    """Scans as other animals, scanners or protocols might have given them, each always in the same way.

    Attributes
    ----------
    examples
        The scans as they were.
    """

    examples: Source

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int, /) -> Example:
        return seen_elsewhere(self.examples[index], np.random.default_rng(index))


def seen_elsewhere(example: Example, rng: np.random.Generator) -> Example:
    """The example as another animal, scanner or protocol might have given it: stretched, blurred, ended early.

    Image and tissues are stretched and blurred alike, so the image stays the mixture of the tissues that it was.
    """
    if rng.random() < _SHORT_SHARE:
        example = ended_early(example, rng.uniform(*_EARLIEST_END))
    if rng.random() < _STRETCHED_SHARE:
        zoom = np.exp(rng.uniform(-_STRETCH, _STRETCH) + _ANISOTROPY * rng.standard_normal(3))
        example = stretched(example, zoom.tolist())
    if rng.random() < _BLURRED_SHARE:
        example = blurred(example, rng.uniform(0.0, _BLUR))
    return example


def ended_early(example: Example, end: float) -> Example:
    """The example without the frames that end after a time [s]; whole if it has none before."""
    kept = int((example.timing.end <= end).sum()) or len(example.timing)
    return replace(
        example,
        activity=example.activity[:kept],
        timing=example.timing.first(kept),
        displacement=example.displacement[:kept],
        whole_blood=example.whole_blood[:kept],
    )


def stretched(example: Example, zoom: Sequence[float]) -> Example:
    """The example with an animal larger by factors along z, y, x."""
    activity, tissues = (
        displaced(images, torch.zeros(len(images), 3), zoom) for images in (example.activity, example.tissues)
    )
    displacement = example.displacement * torch.tensor(zoom).to(example.displacement)
    return replace(example, activity=activity, tissues=tissues.clamp(min=0.0), displacement=displacement)


def blurred(example: Example, fwhm: float) -> Example:
    """The example by a scanner that blurs it by a Gaussian more [voxels]."""
    blur = [blur_matrix(length, fwhm / FWHM) for length in example.activity.shape[1:]]
    return replace(example, activity=separable(example.activity, blur), tissues=separable(example.tissues, blur))


def _around_heart(tissues: torch.Tensor, rng: np.random.Generator) -> slice:
    """Planes that a shorter field of view might have: the heart lies within."""
    planes = tissues.shape[1]
    kept = min(_FEWEST_PLANES, planes)
    profile = tissues[_MYOCARDIUM].sum(dim=(1, 2))
    heart = float(profile @ torch.arange(planes).to(profile) / profile.sum())
    first = int(heart - rng.uniform(_MARGIN, kept - _MARGIN))
    first = min(max(first, 0), planes - kept)
    return slice(first, first + kept)
