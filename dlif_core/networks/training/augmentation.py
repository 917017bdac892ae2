"""Augmentation of examples: another shape of the animal, another scanner, another protocol.

Image and tissues are changed alike, so that the image remains the same mixture of its tissues, and the blood is not
changed. Animals become larger, smaller or of another shape and images more blurred than any that were simulated, so
that a network does not rely on the anatomy and resolutions of the simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from dlif_core.networks.prediction.resampling import displaced
from dlif_core.networks.prediction.tissues import TISSUES
from dlif_core.networks.training.examples import Example
from dlif_core.networks.training.run import ExampleSource
from dlif_core.separable import FWHM, blur_matrix, separable

# share of the examples that end early, and between which times [s]
_SHORT_SHARE, _EARLIEST_END = 0.25, (850.0, 2000.0)
# share of the examples that are stretched, by up to which factor, and spread of the axes about it (logarithms)
_STRETCHED_SHARE, _STRETCH, _ANISOTROPY = 0.7, 0.14, 0.02
# share of the examples whose shape is changed, distance between the points that move [voxels], and largest standard
# deviation of their displacement [voxels]
_BENT_SHARE, _BENT_EVERY, _BENT = 0.7, 9.0, 2.2
# share of the examples that begin late, and between which times after the start of the scan [s]
_LATE_SHARE, _LATEST_BEGIN = 0.1, (15.0, 120.0)
# share of the examples that are blurred, and how much at most [voxels]
_BLURRED_SHARE, _BLUR = 0.4, 1.1
# share of the examples that are corrected for motion as in a prediction, and the error that this leaves [voxels]
_ALIGNED_SHARE, _ALIGNMENT_ERROR = 0.75, 0.06
# share of the examples that are cut along z, the fewest voxels left, and how far the heart stays from the cut
_CUT_SHARE, _FEWEST_PLANES, _MARGIN = 0.6, 36, 10.0
_MYOCARDIUM = TISSUES.index("myocardium")


def augmented_for_training(example: Example, rng: np.random.Generator) -> Example:
    """The example augmented, perhaps mirrored and cut along z, and mostly corrected for motion."""
    example = augmented(example, rng)
    activity, tissues, displacement = example.scan.activity, example.tissues, example.displacement
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
    return Example(example.scan.with_activity(activity), tissues, displacement, example.whole_blood)


@dataclass(frozen=True)
class AugmentedExamples:
    """Examples of which each is always augmented in the same way.

    Attributes
    ----------
    examples
        The examples before augmentation.
    """

    examples: ExampleSource

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int, /) -> Example:
        return augmented(self.examples[index], np.random.default_rng(index))


def augmented(example: Example, rng: np.random.Generator) -> Example:
    """The example as of another animal, scanner or protocol: bent, stretched, blurred, begun late or ended early."""
    if rng.random() < _SHORT_SHARE:
        example = ended_early(example, rng.uniform(*_EARLIEST_END))
    if rng.random() < _LATE_SHARE:
        example = begun_late(example, example.scan.timing.begin + rng.uniform(*_LATEST_BEGIN))
    if rng.random() < _BENT_SHARE:
        example = bent(example, rng.uniform(0.0, _BENT), rng)
    if rng.random() < _STRETCHED_SHARE:
        zoom = np.exp(rng.uniform(-_STRETCH, _STRETCH) + _ANISOTROPY * rng.standard_normal(3))
        example = stretched(example, zoom.tolist())
    if rng.random() < _BLURRED_SHARE:
        example = blurred(example, rng.uniform(0.0, _BLUR))
    return example


def ended_early(example: Example, end: float) -> Example:
    """The example without the frames that end after a time [s]; all of it if no frame ends before."""
    kept = int((example.scan.timing.end <= end).sum()) or len(example.scan.timing)
    return _with_frames(example, slice(0, kept))


def begun_late(example: Example, begin: float) -> Example:
    """The example without the frames that start before a time [s]; the last frame always remains."""
    left_out = min(int((example.scan.timing.start < begin).sum()), len(example.scan.timing) - 1)
    return _with_frames(example, slice(left_out, None))


def _with_frames(example: Example, kept: slice) -> Example:
    return replace(
        example,
        scan=example.scan.with_frames(kept),
        displacement=example.displacement[kept],
        whole_blood=example.whole_blood[kept],
    )


def bent(example: Example, size: float, rng: np.random.Generator) -> Example:
    """The example with an animal of another shape: its voxels are read at smoothly displaced places.

    Parameters
    ----------
    example
        The example before.
    size
        Standard deviation of the displacement along each axis [voxels].
    rng
        Random numbers for the displacement.
    """
    shape = example.scan.activity.shape[1:]
    points = [round(length / _BENT_EVERY) + 2 for length in shape]
    moved = torch.from_numpy(size * rng.standard_normal((3, *points))).to(example.scan.activity)
    moved = functional.interpolate(moved[None], shape, mode="trilinear", align_corners=True)[0]
    places = torch.stack(torch.meshgrid(*(torch.arange(length).to(moved) for length in shape), indexing="ij")) + moved
    # grid_sample takes places along x, y, z, the first voxel at -1 and the last at 1
    scaled = torch.stack([2.0 * places[axis] / max(shape[axis] - 1, 1) - 1.0 for axis in (2, 1, 0)], dim=-1)
    activity, tissues = (
        functional.grid_sample(images[None], scaled[None], padding_mode="border", align_corners=True)[0]
        if len(images)
        else images
        for images in (example.scan.activity, example.tissues)
    )
    return replace(example, scan=example.scan.with_activity(activity), tissues=tissues)


def stretched(example: Example, zoom: Sequence[float]) -> Example:
    """The example with an animal larger by factors along z, y, x."""
    activity, tissues = (
        displaced(images, torch.zeros(len(images), 3), zoom) for images in (example.scan.activity, example.tissues)
    )
    displacement = example.displacement * torch.tensor(zoom).to(example.displacement)
    return Example(example.scan.with_activity(activity), tissues.clamp(min=0.0), displacement, example.whole_blood)


def blurred(example: Example, fwhm: float) -> Example:
    """The example blurred further by a Gaussian of this full width at half maximum [voxels]."""
    activity = example.scan.activity
    blur = [blur_matrix(length, fwhm / FWHM) for length in activity.shape[1:]]
    scan = example.scan.with_activity(separable(activity, blur))
    return replace(example, scan=scan, tissues=separable(example.tissues, blur))


def _around_heart(tissues: torch.Tensor, rng: np.random.Generator) -> slice:
    """Planes along z of a shorter field of view that contains the heart."""
    planes = tissues.shape[1]
    kept = min(_FEWEST_PLANES, planes)
    profile = tissues[_MYOCARDIUM].sum(dim=(1, 2))
    heart = float(profile @ torch.arange(planes).to(profile) / profile.sum())
    margin = min(_MARGIN, 0.5 * kept)
    first = int(heart - rng.uniform(margin, kept - margin))
    first = min(max(first, 0), planes - kept)
    return slice(first, first + kept)
