"""A scan as a notebook holds it: frames, regions or image, and the blood that belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.frames import FrameTiming
from dlif_core.scan import Acquisition, DynamicScan, ImageArray, RegionCurves


@dataclass(frozen=True, eq=False, repr=False)
class PetScan:
    """A dynamic scan together with its blood, made by `read_curves`, `from_arrays` or `open_scan`.

    Attributes
    ----------
    dynamic
        Frames, acquisition, region curves and image.
    blood
        Blood recordings of the scan, arterial and venous, before any correction.
    input_function
        An input function that was given along with the scan; fits use it before the blood recordings.
    warnings
        What had to be assumed or left out when the scan was read.
    accepted
        Names of checks whose doubts about the data were accepted.
    spatial_dims
        Names of the image's three spatial dimensions, as maps get them.
    spatial_coords
        Coordinates along them, as xarray takes them.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> scan = dlif.read_curves("tacs.tsv", blood="blood.tsv")
    >>> scan
    <PetScan of FDG: 42 frames to 45.5 min, 2 regions, no image, blood recordings: blood>
    >>> scan.regions.names
    ('cortex', 'striatum')
    """

    dynamic: DynamicScan
    blood: tuple[BloodRecording, ...] = ()
    input_function: InputFunction | None = None
    warnings: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    spatial_dims: tuple[str, ...] = ("z", "y", "x")
    spatial_coords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def timing(self) -> FrameTiming:
        """Start and duration of every frame."""
        return self.dynamic.timing

    @property
    def acquisition(self) -> Acquisition:
        """Tracer, half-life, dose and weight."""
        return self.dynamic.acquisition

    @property
    def regions(self) -> RegionCurves:
        """Mean curves of regions."""
        return self.dynamic.regions

    @property
    def image(self) -> ImageArray | None:
        """The dynamic image of shape (frames, z, y, x) [Bq/mL], or None."""
        return self.dynamic.activity

    def __repr__(self) -> str:
        image = "no image" if self.image is None else f"image of {' x '.join(map(str, self.image.shape[1:]))} voxels"
        regions = len(self.regions.names)
        parts = (
            f"{len(self.timing)} frames to {self.timing.end[-1] / 60:.4g} min",
            f"{regions} region{'s' * (regions != 1)}",
            image,
            self._blood_in_words(),
        )
        tracer = f" of {self.acquisition.tracer}" if self.acquisition.tracer else ""
        return f"<PetScan{tracer}: {', '.join(parts)}>"

    def _blood_in_words(self) -> str:
        if self.input_function is not None:
            return f"input function: {self.input_function.method}"
        return f"blood recordings: {', '.join(each.name for each in self.blood)}" if self.blood else "no blood"
