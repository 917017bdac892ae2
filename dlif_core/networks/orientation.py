"""Which way the animal lies in the image, learned from scans that lie the right way.

The body is centred, reduced to voxels of 4 mm at three times after the bolus, and described by a linear score that was
fitted by ridge regression to be high for sound scans and low for the same scans with head and tail, back and belly or
the two axes across the body exchanged. No other faults are needed to learn it. Left and right are not told apart:
the networks are trained on both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dlif_core.frames import FrameTiming
from dlif_core.networks.features import arrival
from dlif_core.networks.resampling import overlap_matrix, separable

Array = NDArray[np.float64]

# times after the bolus whose mean images are described [s]
_TIMES = ((-5.0, 30.0), (60.0, 300.0), (900.0, 2400.0))
_VOXEL, _SHAPE = 4.0, (15, 7, 7)  # of the reduced image [mm], and its voxels
_RIDGE = 300.0
# the body is where the late image exceeds this part of the mean of what is above the image's mean
_BODY = 0.25

#: What may have been exchanged, in words, and how to exchange it in an array (..., z, y, x).
_FLIPS = {(-3,): "head and tail", (-2,): "back and belly", (-3, -2): "head and tail, and back and belly,"}


def reduced_image(activity: torch.Tensor, timing: FrameTiming) -> Array:
    """The centred, reduced image that the score is of, shape (times, z, y, x), each time with mean square 1.

    Parameters
    ----------
    activity
        Shape (frames, z, y, x), voxels of 1 mm, any unit.
    timing
        Of the frames.
    """
    total = activity.mean(dim=(1, 2, 3)).double().numpy(force=True)
    weights = np.stack([_frame_weights(timing, arrival(timing, total), *span) for span in _TIMES])
    means = torch.einsum("wf,fzyx->wzyx", torch.from_numpy(weights).to(activity), activity).clamp(min=0.0)
    centred = _centred(means.cpu())
    matrices = [torch.from_numpy(overlap_matrix(n, 1.0, _VOXEL)).to(centred) for n in centred.shape[1:]]
    roots = _fitted(separable(centred, matrices).sqrt().double().numpy())
    return np.asarray(roots / np.sqrt(np.square(roots).mean(axis=(1, 2, 3), keepdims=True) + 1e-12))


def body_spread(activity: torch.Tensor) -> Array:
    """Standard deviation of the places of the body along z, y, x, shape (3,) [mm]."""
    return np.asarray(np.argwhere(_body(activity.mean(dim=0).cpu())).std(axis=0))


def _frame_weights(timing: FrameTiming, arrived: float, begin: float, end: float) -> Array:
    """Weights of the frames in a span after the arrival; the last frame where there is none."""
    overlap = np.minimum(timing.end, arrived + end) - np.maximum(timing.start, arrived + begin)
    overlap = np.clip(overlap, 0.0, None)
    if not overlap.any():
        overlap[-1] = 1.0
    return np.asarray(overlap / overlap.sum())


def _body(image: torch.Tensor) -> NDArray[np.bool_]:
    bright = image[image > image.mean()]
    limit = _BODY * float(bright.mean()) if len(bright) else 0.0
    return np.asarray((image > limit).numpy())


def _centred(images: torch.Tensor) -> torch.Tensor:
    """Images moved by whole voxels so that the body, seen in the last, lies in the middle; zeros move in."""
    places = np.argwhere(_body(images[-1]))
    if not len(places):
        return images
    shifts = np.round(0.5 * (np.array(images.shape[1:]) - 1) - places.mean(axis=0)).astype(int)
    moved = torch.zeros_like(images)
    to = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(shifts, images.shape[1:], strict=True))
    source = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(shifts, images.shape[1:], strict=True))
    moved[(slice(None), *to)] = images[(slice(None), *source)]
    return moved


def _fitted(images: Array) -> Array:
    """Cut or padded with zeros around the middle to the fixed shape."""
    out = np.zeros((len(images), *_SHAPE))
    kept = [min(n, m) for n, m in zip(images.shape[1:], _SHAPE, strict=True)]
    to = tuple(slice((m - k) // 2, (m - k) // 2 + k) for m, k in zip(_SHAPE, kept, strict=True))
    source = tuple(slice((n - k) // 2, (n - k) // 2 + k) for n, k in zip(images.shape[1:], kept, strict=True))
    out[(slice(None), *to)] = images[(slice(None), *source)]
    return out


def _exchanged(image: Array) -> Iterator[tuple[str, Array]]:
    """The image as it would be with axes exchanged, and what would have to be exchanged to put it right."""
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
    """A fitted score.

    Attributes
    ----------
    weights
        Of the reduced image, mirrored evenly, shape (times, z, y, x).
    """

    weights: Array

    def margin(self, image: Array) -> tuple[float, str]:
        """How much more the image looks like a mouse as it lies than with axes exchanged, and the likeliest exchange.

        Parameters
        ----------
        image
            From `reduced_image`.
        """
        others = {words: self._score(other) for words, other in _exchanged(image)}
        best = max(others, key=lambda words: others[words])
        return self._score(image) - others[best], best

    def _score(self, image: Array) -> float:
        return float(sum((self.weights * one).sum() for one in _with_mirror(image)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"weights": rounded(self.weights)}

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Orientation:
        """Inverse of `to_dict`."""
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
    """As plain numbers of five digits."""
    flat = [float(f"{value:.5g}") for value in values.ravel()]
    nested: list[Any] = np.reshape(flat, values.shape).tolist()
    return nested
