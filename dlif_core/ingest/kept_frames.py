"""A scan without the frames that were not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import ImageSummary
from dlif_core.frames import FrameTiming
from dlif_core.ingest.reader import IngestedScan
from dlif_core.scan import ImageArray, RegionCurves

Frames = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class KeptFrames:
    """Some frames of an image, as an array that is read by slicing.

    Attributes
    ----------
    image
        The whole image, shape (frames, z, y, x).
    frames
        Frames that are kept, increasing.
    """

    image: ImageArray
    frames: Frames

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension."""
        return (len(self.frames), *self.image.shape[1:])

    def __getitem__(self, key: Any, /) -> Any:
        """Read a block, given by integers, slices and ``...``."""
        of_frames, *rest = key if isinstance(key, tuple) else (key,)
        if of_frames is Ellipsis:
            of_frames, rest = slice(None), [Ellipsis, *rest]
        chosen = self.frames[of_frames]
        if np.ndim(chosen) == 0:
            return self.image[(int(chosen), *rest)]
        if len(chosen) == 0:
            return self.image[(slice(0, 0), *rest)]
        first = int(chosen.min())
        block = np.asarray(self.image[(slice(first, int(chosen.max()) + 1), *rest)])
        return block[chosen - first]


def without_frames(read: IngestedScan, left_out: Sequence[int]) -> IngestedScan:
    """The scan without some of its frames."""
    scan = read.scan
    keep = np.setdiff1d(np.arange(len(scan.timing)), left_out)
    return replace(
        read,
        scan=replace(
            scan,
            timing=FrameTiming(scan.timing.start[keep], scan.timing.duration[keep]),
            regions=_curves(scan.regions, keep),
            activity=None if scan.activity is None else KeptFrames(scan.activity, keep),
        ),
        image=None if read.image is None else _summary(read.image, keep),
        timeline=replace(read.timeline, decay_factors=_kept(read.timeline.decay_factors, keep)),
        uncorrected=read.uncorrected and _curves(read.uncorrected, keep),
    )


def _curves(regions: RegionCurves, keep: Frames) -> RegionCurves:
    return RegionCurves(regions.names, regions.activity[:, keep], regions.volume, regions.source)


def _kept(factors: tuple[float, ...], keep: Frames) -> tuple[float, ...]:
    return tuple(factors[frame] for frame in keep if frame < len(factors))


def _summary(image: ImageSummary, keep: Frames) -> ImageSummary:
    of_frames = {name: getattr(image, name)[keep] for name in ("mean", "mean_square", "lowest", "highest")}
    return replace(image, **of_frames)
