"""Fingerprint of the preprocessing: a network is right only with the preprocessing with which it was trained.

The fingerprint consists of the constants by name, so that a change can be named, and of the outcome of a small
computation that uses every step, so that a change of the code is noticed too. The outcome is compared with a tolerance,
because processors round differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import torch

from dlif_core.errors import InputError
from dlif_core.frames import FrameTiming
from dlif_core.networks.bundle.folder import Kind
from dlif_core.networks.prediction import correction, features, refinement, tissues, unmixing
from dlif_core.networks.prediction.fc_dlif import FCDLIF, SMALLEST_IMAGE, predict_curve
from dlif_core.networks.prediction.predict import predict
from dlif_core.networks.prediction.refinement import RefiningNetwork
from dlif_core.networks.prediction.scan import NetworkScan
from dlif_core.networks.prediction.subject import MOUSE, Subject, subject_of
from dlif_core.phantom.scanner import MOUSE_FRAMES

Network = TypeVar("Network", bound=torch.nn.Module)

# numbers of the outcome may differ by so much relative to the largest
_TOLERANCE = 1e-3
_PROBE_CHANNELS = (4, 4, 4)
_PROBE_SHAPE = (8, 12, 10, 8)
_PROBE_WEIGHT = 1.2  # relative to the usual one
_SPECIES = "species"


def preprocessing_fingerprint(kind: Kind, subject: Subject = MOUSE) -> dict[str, Any]:
    """Constants and the outcome of a small computation, as plain values for JSON; a mouse is not named."""
    constants = {_VOXEL: subject.voxel, **_CONSTANTS[kind]}
    if kind == "weight-map":
        constants["usual body weight [kg]"] = subject.body_weight
    if subject != MOUSE:
        constants[_SPECIES] = subject.species
    outcome = _weight_map_outcome(subject) if kind == "weight-map" else _published_outcome()
    return {**constants, "outcome": [float(f"{value:.6g}") for value in outcome]}


def trained_subject(trained: Mapping[str, Any]) -> Subject:
    """Subject of a model by the fingerprint of its preprocessing; ConfigurationError for an unknown species."""
    return subject_of(str(trained.get(_SPECIES, MOUSE.species)))


_VOXEL = "voxel of the network [mm]"
_CONSTANTS: Mapping[Kind, dict[str, Any]] = {
    "weight-map": {
        "windows after arrival [s]": list(features.WINDOW_EDGES),
        "least coverage of a window": features._COVERED,
        "arrival: share of plateau": features._RISE,
        "arrival: plateau until [s]": features._PLATEAU,
        "arrival: before a late start [s]": features._MISSED,
        "tissues": list(tissues.TISSUES),
        "ridge of unmixing [voxels]": unmixing._RIDGE,
        "background of noise [SUV]": unmixing._BACKGROUND,
        "largest step of motion [voxels]": unmixing._LARGEST_STEP,
        "stillness of motion [SUV]": unmixing._STILLNESS,
        "left over: straight below [SUV]": refinement._FAINT,
        "left over: strength": refinement._STRENGTH,
        "offset of the correction [SUV]": correction.OFFSET,
        "windows of the correction [s]": list(features.COURSE_EDGES),
    },
    "fc-dlif": {
        "smallest image [voxels]": list(SMALLEST_IMAGE),
        "frames: number, length [s]": [list(part) for part in MOUSE_FRAMES],
    },
}


def require_same_preprocessing(kind: Kind, trained: Mapping[str, Any], *, where: object = "") -> None:
    """Refuse a model that was trained with another preprocessing than this version of dlif has.

    Raises
    ------
    InputError
        If anything differs; the message names every difference.
    """
    differences = list(_differences(trained, preprocessing_fingerprint(kind, trained_subject(trained))))
    if differences:
        raise InputError(
            f"the model was trained with another preprocessing: {'; '.join(differences)}.",
            where=where,
            hint="Use the version of dlif that trained it, or train again.",
        )


def _differences(trained: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted((trained.keys() | present.keys()) - {"outcome"}):
        old, new = trained.get(name, "not stated"), present.get(name, "not used")
        if old != new:
            yield f"{name}: {old} → {new}"
    old, new = np.array(trained.get("outcome", [])), np.array(present["outcome"])
    if old.shape != new.shape or not np.allclose(old, new, rtol=0.0, atol=_TOLERANCE * np.abs(new).max()):
        yield "the computation gives other numbers"


def _weight_map_outcome(subject: Subject) -> list[float]:
    """Curve of a network of fixed weights for a fixed image, and displacement of a frame from fixed tissues."""
    network = _with_fixed_weights(RefiningNetwork(_PROBE_CHANNELS), 0.0)
    network.correction.covariances[0] = torch.eye(features.COURSE)
    network.correction.level.fill_(-1.0)
    timing = FrameTiming(
        np.array([0.0, 20, 30, 40, 60, 100, 300, 900]), np.array([20.0, 10, 10, 20, 40, 200, 600, 1500])
    )
    image = _fixed_image(_PROBE_SHAPE)
    moved = unmixing.frame_displacements(image, image[2:4] / image[2].max(), torch.ones(_PROBE_SHAPE[1:]))
    scan = NetworkScan(image, timing, _PROBE_WEIGHT * subject.body_weight, subject)
    return [*predict(network, scan).whole_blood.tolist(), *moved[5].tolist()]


def _published_outcome() -> list[float]:
    network = _with_fixed_weights(FCDLIF(), 0.3)
    return predict_curve(network, _fixed_image((2, 12, 10, 8))).tolist()


def _with_fixed_weights(network: Network, mean: float) -> Network:
    for k, parameter in enumerate(network.parameters()):
        values = torch.sin(torch.arange(parameter.numel(), dtype=torch.float64) * (1.3 + 0.1 * k) + k)
        fan = max(parameter[0].numel(), 1)
        with torch.no_grad():
            parameter.copy_(((values + mean) / fan**0.5).view_as(parameter))
    return network.eval()


def _fixed_image(shape: tuple[int, ...]) -> torch.Tensor:
    """Image whose activity rises and falls, at another pace in every voxel."""
    frame, z, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    place = 1.5 + torch.sin(0.9 * z + 0.2 * frame) * torch.cos(0.7 * y) * torch.sin(1.1 * x + 0.4)
    return (place * torch.where(frame > 1, 8.0 / (1.0 + frame), 0.02)).float()
