"""Orientation of the animal in the image, learned from scans of the right orientation.

The body is centred, reduced to voxels of 4 mm at three times after the bolus, and described by a linear score that was
fitted by ridge regression to be high for sound scans and low for the same scans with head and tail, back and belly or
the two axes across the body exchanged. No faulty scans are needed to learn it. Left and right are not distinguished,
because the networks are trained on both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.features import arrival

Array = NDArray[np.float64]

# times after the bolus whose mean images are described [s]
_TIMES = ((-5.0, 30.0), (60.0, 300.0), (900.0, 2400.0))
# voxels of the box around the body, and how many become one along each axis
_BOX, _JOINED = (60, 28, 28), 4
_RIDGE = 300.0
# the body is where the root of the activity exceeds this part of its self-weighted mean, to which air adds nothing
_BODY = 0.5

#: What may have been exchanged, in words, and how to exchange it in an array (..., z, y, x).
_FLIPS = {(-3,): "head and tail", (-2,): "back and belly", (-3, -2): "head and tail, and back and belly,"}


def reduced_image(activity: torch.Tensor, timing: FrameTiming) -> Array:
    """The centred, reduced image that is scored, shape (times, z, y, x), with mean square 1 at each time.

    Parameters
    ----------
    activity
        Image, shape (frames, z, y, x), voxels of 1 mm, any unit.
    timing
        Start and duration of the frames.
    """
    total = activity.mean(dim=(1, 2, 3)).double().numpy(force=True)
    weights = np.stack([_frame_weights(timing, arrival(timing, total), *span) for span in _TIMES])
    means = torch.einsum("wf,fzyx->wzyx", torch.from_numpy(weights).to(activity), activity).clamp(min=0.0)
    roots = functional.avg_pool3d(_boxed(means.cpu()), _JOINED).sqrt().double().numpy()
    return np.asarray(roots / np.sqrt(np.square(roots).mean(axis=(1, 2, 3), keepdims=True) + 1e-12))


def body_mask(image: torch.Tensor) -> torch.Tensor:
    """Mask of the body in an image of any unit and field of view, shape (z, y, x)."""
    roots = image.clamp(min=0.0).sqrt()
    return roots > _BODY * roots.square().sum() / roots.sum().clamp(min=1e-12)


def _frame_weights(timing: FrameTiming, arrived: float, begin: float, end: float) -> Array:
    """Weights of the frames in a span after the arrival; the last frame alone if the scan lacks the span."""
    overlap = np.minimum(timing.end, arrived + end) - np.maximum(timing.start, arrived + begin)
    overlap = np.clip(overlap, 0.0, None)
    if not overlap.any():
        overlap[-1] = 1.0
    return np.asarray(overlap / overlap.sum())


def _boxed(images: torch.Tensor) -> torch.Tensor:
    """Box around the centre of the body in the last image; zeros beyond the field of view."""
    box = images.new_zeros(len(images), *_BOX)
    places = torch.argwhere(body_mask(images[-1])).double()
    if not len(places):
        return box
    firsts = (places.mean(dim=0) - 0.5 * (torch.tensor(_BOX) - 1)).round().int().tolist()
    spans = list(zip(firsts, _BOX, images.shape[1:], strict=True))
    to = tuple(slice(max(0, -first), max(0, min(size, length - first))) for first, size, length in spans)
    source = tuple(slice(max(0, first), max(0, min(length, first + size))) for first, size, length in spans)
    box[(slice(None), *to)] = images[(slice(None), *source)]
    return box


def _exchanged(image: Array) -> Iterator[tuple[str, Array]]:
    """Yield the image with axes exchanged, and the exchange that corrects it in words."""
    swapped = np.swapaxes(image, -1, -2)
    for axes, words in _FLIPS.items():
        yield words, np.flip(image, axes)
    yield "the two axes across the body", swapped
    for axes, words in _FLIPS.items():
        yield f"the two axes across the body and {words}".rstrip(","), np.flip(swapped, axes)


def _with_mirror(image: Array) -> tuple[Array, Array]:
    return image, np.flip(image, -1)


@dataclass(frozen=True, eq=False)
class Orientation:
    """A linear score of the orientation.

    Attributes
    ----------
    weights
        Weights of the reduced image, applied to it and to its mirror image, shape (times, z, y, x).
    """

    weights: Array

    def margin(self, image: Array) -> tuple[float, str]:
        """Score of the image less the highest score with axes exchanged, and that exchange in words.

        Parameters
        ----------
        image
            Image from `reduced_image`.
        """
        others = {words: self._score(other) for words, other in _exchanged(image)}
        best = max(others, key=lambda words: others[words])
        return self._score(image) - others[best], best

    def _score(self, image: Array) -> float:
        return float(sum((self.weights * one).sum() for one in _with_mirror(image)))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {"weights": rounded(self.weights)}

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Orientation:
        """Read what `to_dict` wrote."""
        return cls(np.array(kept["weights"]))


def fit_orientation(images: Sequence[Array]) -> Orientation:
    """Fit the score to reduced images of sound scans."""
    right = np.stack([one.ravel() for image in images for one in _with_mirror(image)])
    wrong = np.stack([one.ravel() for image in images for _, other in _exchanged(image) for one in _with_mirror(other)])
    rows = np.concatenate([right, wrong])
    wanted = np.concatenate([np.ones(len(right)), np.full(len(wrong), -len(right) / len(wrong))])
    rows -= rows.mean(axis=0)
    normal = rows.T @ rows + _RIDGE * np.eye(rows.shape[1])
    return Orientation(np.linalg.solve(normal, rows.T @ wanted).reshape(images[0].shape))


def rounded(values: Array) -> list[Any]:
    """Convert an array to nested lists of numbers with five digits."""
    flat = [float(f"{value:.5g}") for value in values.ravel()]
    nested: list[Any] = np.reshape(flat, values.shape).tolist()
    return nested
