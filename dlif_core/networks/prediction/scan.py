"""A dynamic scan as the networks take it: SUV on the grid of its species, with its frames and the body weight."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.resampling import to_network_grid
from dlif_core.networks.prediction.subject import MOUSE, Subject
from dlif_core.scan import DynamicScan

# frames read at a time, to bound memory
_FRAMES_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class NetworkScan:
    """A dynamic image on the networks' grid, with what is needed to read it.

    Attributes
    ----------
    activity
        Decay-corrected image, shape (frames, z, y, x), in the voxels of the subject [SUV].
    timing
        Start and duration of the frames.
    body_weight
        Body weight of the animal [kg].
    subject
        Species, with the grid of its networks.

    Raises
    ------
    InputError
        If the image is not four-dimensional, has another number of frames than the timing, or the weight is not
        positive.
    """

    activity: torch.Tensor
    timing: FrameTiming
    body_weight: float
    subject: Subject = MOUSE

    def __post_init__(self) -> None:
        if self.activity.ndim != 4 or len(self.activity) != len(self.timing):
            raise InputError(
                f"the image has the shape {tuple(self.activity.shape)}, expected ({len(self.timing)}, z, y, x).",
                hint="Give an image with one volume for every frame.",
            )
        if not (math.isfinite(self.body_weight) and self.body_weight > 0.0):
            raise InputError(f"a body weight of {self.body_weight} kg is not positive.", hint="State the weight in kg.")

    @property
    def seconds(self) -> torch.Tensor:
        """Duration of the frames, shape (frames,) [s]."""
        return torch.tensor(self.timing.duration)

    def with_activity(self, activity: torch.Tensor) -> NetworkScan:
        """The scan with another image, shape (frames, z, y, x) [SUV]."""
        return replace(self, activity=activity)

    def with_frames(self, kept: slice) -> NetworkScan:
        """The scan with some of its frames."""
        timing = FrameTiming(self.timing.start[kept], self.timing.duration[kept])
        return replace(self, activity=self.activity[kept], timing=timing)

    def to(self, device: torch.device) -> NetworkScan:
        """The scan with its image on a device."""
        return self.with_activity(self.activity.to(device))


def network_device() -> torch.device:
    """Device on which networks are trained and run: the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def network_scan(scan: DynamicScan, device: torch.device | None = None, subject: Subject = MOUSE) -> NetworkScan:
    """A scan as the networks take it.

    Parameters
    ----------
    scan
        Scan with image, voxel size, injected activity and body weight.
    device
        Device on which the image is made; None for the CPU.
    subject
        Subject of the networks.

    Raises
    ------
    InputError
        If the scan has no image or no affine, or injected activity or body weight is unknown.
    """
    activity, weight = network_image(scan, device, subject), scan.acquisition.body_weight
    assert weight is not None, "network_image refuses scans without body weight"
    return NetworkScan(activity, scan.timing, weight, subject)


def network_image(scan: DynamicScan, device: torch.device | None = None, subject: Subject = MOUSE) -> torch.Tensor:
    """The image of a scan in SUV on the networks' grid, shape (frames, z, y, x); see `network_scan`."""
    factor = scan.acquisition.suv_factor
    if scan.activity is None or scan.affine is None:
        raise InputError("the scan has no image with known voxel size; a network needs one.")
    if factor is None:
        raise InputError(
            "injected activity or body weight is unknown, so that the image has no SUV.",
            hint="State both in the scan's metadata.",
        )
    parts = []
    for first in range(0, len(scan.timing), _FRAMES_AT_ONCE):
        frames = np.asarray(scan.activity[first : first + _FRAMES_AT_ONCE], dtype=np.float32) * np.float32(factor)
        parts.append(to_network_grid(torch.from_numpy(frames).to(device), scan.voxel_size.tolist(), subject.voxel))
    return torch.cat(parts)
