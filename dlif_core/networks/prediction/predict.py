"""From a scan to its input function with a trained network, and networks as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.networks.prediction.features import Features, features
from dlif_core.networks.prediction.fit_quality import OFFSET, Read, describe
from dlif_core.networks.prediction.refinement import tissue_network
from dlif_core.networks.prediction.resampling import displaced, to_network_grid
from dlif_core.networks.prediction.unmixing import frame_displacements, noise_confidence, unmix
from dlif_core.networks.prediction.weight_map import Drawn, TissueNetwork
from dlif_core.scan import DynamicScan

# frames read at a time, to bound memory
_FRAMES_AT_ONCE = 8


class Prediction(NamedTuple):
    """What a network finds in a scan.

    Attributes
    ----------
    whole_blood
        Frame averages of arterial whole blood, shape (frames,) [SUV]: the sum over voxels of `weight_map` times the
        activity displaced by `displacement`, corrected by `factor`.
    weight_map
        Signed weights, shape (z, y, x).
    displacement
        Of the body in every frame, along z, y, x, shape (frames, 3) [voxels of 1 mm].
    tissues
        What the network drew, shape (tissues, z, y, x).
    curves
        Frame averages of all tissues as they are read, shape (tissues, frames) [SUV].
    factor
        Of the correction, shape (frames,): whole_blood + o = factor · (read + o) with o = `description.OFFSET`.
    doubt
        Logarithm of the relative error that is to be expected of a drawing that fits as this one does, shape ().
    """

    whole_blood: torch.Tensor
    weight_map: torch.Tensor
    displacement: torch.Tensor
    tissues: torch.Tensor
    curves: torch.Tensor
    factor: torch.Tensor
    doubt: torch.Tensor


class Aligned(NamedTuple):
    """A scan whose frames were put right.

    Attributes
    ----------
    activity
        Shape (frames, z, y, x), voxels of 1 mm [SUV].
    features
        Of it.
    confidence
        Its `noise_confidence`.
    displacement
        By which it was put right, shape (frames, 3) [voxels].
    """

    activity: torch.Tensor
    features: Features
    confidence: torch.Tensor
    displacement: torch.Tensor


@torch.no_grad()
def predict(network: TissueNetwork, activity: torch.Tensor, timing: FrameTiming, body_weight: float) -> Prediction:
    """Input function of a scan on the networks' grid.

    The tissues are drawn twice: first in the image as it is, then, once they have shown how the body moved, in the
    image put right.

    Parameters
    ----------
    network
        Trained.
    activity
        Shape (frames, z, y, x), voxels of 1 mm [SUV], decay-corrected.
    timing
        Of the frames.
    body_weight
        [kg].
    """
    return predict_aligned(network, see_aligned([network], activity, timing, body_weight))


def see_aligned(
    networks: Sequence[TissueNetwork], activity: torch.Tensor, timing: FrameTiming, body_weight: float
) -> Aligned:
    """Put frames right by the mean of what some networks draw at first; other parameters as of `predict`."""
    duration = torch.tensor(timing.duration)
    seen = features(activity, timing, body_weight)
    drawn: list[Drawn] = [network(seen) for network in networks]
    tissues = torch.stack([one.tissues for one in drawn]).mean(dim=0)
    confidence = torch.stack([one.confidence for one in drawn]).mean(dim=0)
    displacement = frame_displacements(activity, tissues, noise_confidence(activity, duration) * confidence)
    aligned = displaced(activity, displacement)
    return Aligned(aligned, features(aligned, timing, body_weight), noise_confidence(aligned, duration), displacement)


def read_tissues(network: TissueNetwork, seen: Aligned) -> Read:
    """What a network draws in a scan, and the curves that are read off it, not yet corrected."""
    drawn = network.draw(seen.activity, seen.features, seen.confidence)
    unmixed = unmix(seen.activity, drawn.tissues, seen.confidence * drawn.confidence)
    return Read(seen.activity, seen.features, seen.confidence, drawn.tissues, unmixed)


def predict_aligned(network: TissueNetwork, seen: Aligned) -> Prediction:
    """Input function of a scan whose frames were put right."""
    read = read_tissues(network, seen)
    corrected = network.correction(describe(read))
    factor = (seen.features.frames_from_windows @ corrected.logarithm).exp()
    return Prediction(
        whole_blood=factor * (read.unmixed.curves[0] + OFFSET) - OFFSET,
        weight_map=read.unmixed.weight_map[0],
        displacement=seen.displacement,
        tissues=read.tissues,
        curves=read.unmixed.curves,
        factor=factor,
        doubt=corrected.doubt,
    )


def network_device() -> torch.device:
    """Where networks are trained and run: on the GPU if there is one, else on the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def network_image(scan: DynamicScan, device: torch.device | None = None) -> torch.Tensor:
    """The image of a scan as the networks take it: SUV in voxels of 1 mm, shape (frames, z, y, x).

    Parameters
    ----------
    scan
        With image, voxel size, dose and body weight.
    device
        On which the image is made; None for the CPU.

    Raises
    ------
    InputError
        If the scan has no image or no affine, or dose or weight is unknown.
    """
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
        parts.append(to_network_grid(torch.from_numpy(frames).to(device), scan.voxel_size.tolist()))
    return torch.cat(parts)


def save_network(path: Path, network: TissueNetwork) -> None:
    """Write a network's weights and layout as safetensors."""
    layout = {"channels": json.dumps(network.channels), "revisions": json.dumps(network.revisions)}
    # a file that safetensors itself opens for writing can be read by its owner alone
    path.write_bytes(save(network.state_dict(), layout))


def load_network(path: Path) -> TissueNetwork:
    """Read a network, ready to predict.

    Raises
    ------
    InputError
        If the file is not there or is no such network.
    """
    try:
        with safe_open(path, "pt") as file:
            layout = {name: json.loads(text) for name, text in file.metadata().items()}
            network = tissue_network(tuple(layout["channels"]), layout.get("revisions", 0))
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError("the file is not a tissue network.", where=path, hint="Train or fetch it again.") from error
    return network.eval()
