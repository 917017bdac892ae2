"""What the checks look at: a scan as it was read, with what its files say beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.frames import FrameTiming
from dlif_core.scan import Acquisition, RegionCurves

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ImageSummary:
    """An image in a few numbers for each frame.

    Attributes
    ----------
    voxels
        Number of voxels in a frame.
    voxel_volume
        Volume of a voxel [mm³].
    mean, lowest, highest
        Mean, lowest and highest value of all voxels of each frame, shape (frames,) [Bq/mL].
    mean_square
        Mean of the squares, shape (frames,) [(Bq/mL)²].
    """

    voxels: int
    voxel_volume: float
    mean: Array
    mean_square: Array
    lowest: Array
    highest: Array

    @property
    def activity(self) -> Array:
        """Activity in the field of view in each frame, shape (frames,) [Bq]."""
        return np.asarray(self.mean * self.voxels * self.voxel_volume / 1e3)

    @property
    def typical(self) -> Array:
        """Concentration where the activity is: the mean weighted by itself, shape (frames,) [Bq/mL]; 0 where empty."""
        present = self.mean > 0
        return np.where(present, self.mean_square / np.where(present, self.mean, 1.0), 0.0)


@dataclass(frozen=True)
class Timeline:
    """Times that a scan's files state beside the frames; None where they don't.

    Attributes
    ----------
    scan_start
        Start of the scan [s from injection].
    decay_reference
        Time to which the image was decay-corrected [s from injection].
    decay_scheme
        Times of which one is that to which the image was decay-corrected by DICOM's DecayCorrection [s from
        injection]; empty where it names none.
    decay_factors
        Factor by which each frame was decay-corrected.
    acquired_after_series
        Seconds from the start of the series to the acquisition of the image.
    frame_references
        Time of each frame's mean activity [s from the start of the series].
    """

    scan_start: float | None = None
    decay_reference: float | None = None
    decay_scheme: tuple[float, ...] = ()
    decay_factors: tuple[float, ...] = ()
    acquired_after_series: float | None = None
    frame_references: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class ScanFacts:
    """A scan as the checks see it.

    Attributes
    ----------
    timing, acquisition, regions, blood
        The scan as it was read, in seconds from injection.
    image
        Summary of the image; None without one.
    timeline
        Times that the files state.
    places
        File, and field where it helps, by part: ``frames``, ``dose``, ``weight``, ``image``, ``regions``, ``blood``.
    """

    timing: FrameTiming
    acquisition: Acquisition
    regions: RegionCurves
    blood: tuple[BloodRecording, ...] = ()
    image: ImageSummary | None = None
    timeline: Timeline = Timeline()
    places: Mapping[str, str] = field(default_factory=dict)
