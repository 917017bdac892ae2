"""The methods that are compared: all of the registry but arterial blood, and the published network if it is installed.

A name with ``+sample`` is the same method scaled or corrected by one late arterial sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.input_function import METHODS, estimate
from dlif_core.registry import named
from dlif_core.scan import DynamicScan
from dlif_core.store import Fingerprint

if TYPE_CHECKING:
    from dlif_core.networks.bundle.model import LearnedModel, PublishedModel
    from dlif_core.networks.prediction.fc_dlif import FCDLIF
    from dlif_core.networks.training.splits import SplitManifest

#: Name of the method that the others are compared with.
LEARNED = "learned"
#: Name of the published network, and of the kind of its models.
PUBLISHED = "fc-dlif"

_REFERENCE = "arterial"
_SAMPLE = "+sample"
# rooms on which a curve or its metrics may depend
_ROOMS = ("evaluation", "statistics", "input_function", "networks", "phantom", "blood_samples", "kinetics")
_DECISIVE = (".py", ".json", ".safetensors")
# trained models have digests of their own
_MODELS = "networks/models/"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A method with its options.

    Attributes
    ----------
    name, title
        Name and title in tables.
    digest
        Digest of everything that decides its curves: method, weights and code.
    function
        Makes a curve of a scan and its blood recordings.
    judges
        Whether it checks that a scan is in its scope.
    model
        Name and digest of its trained model; empty for methods without one.
    folder
        Folder of that model, or None.
    splits
        Animals by their use in its training, or None.
    species
        Species of the scans that its trained model reads.
    """

    name: str
    title: str
    digest: str
    function: Callable[[DynamicScan, Sequence[BloodRecording]], InputFunction]
    judges: bool = False
    model: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    splits: SplitManifest | None = None
    species: str = "mouse"


def candidates(names: Sequence[str] = (), model: str | None = None) -> tuple[Candidate, ...]:
    """Methods to be compared.

    Parameters
    ----------
    names
        Names of methods, for example ``"learned"`` or ``"population+sample"``; all if empty.
    model
        Name or folder of the learned method's model; None for the one in use.

    Raises
    ------
    ConfigurationError
        If there is no such method or model.
    """
    makers = _makers(model)
    for name in names:
        named(name, makers, "method", where="methods to evaluate")
    return tuple(makers[name]() for name in dict.fromkeys(names or makers))


def _makers(model: str | None) -> dict[str, Callable[[], Candidate]]:
    """Functions that make the candidates, by name, the learned one first; weights are read only when one is made."""
    methods = sorted(
        (name for name, method in METHODS.items() if name != _REFERENCE and method.has_defaults),
        key=lambda name: name != LEARNED,
    )
    makers: dict[str, Callable[[], Candidate]] = {}
    for name in methods:
        makers[name] = partial(_learned, model) if name == LEARNED else partial(_registered, name)
    for folder in _published_models()[:1]:
        makers[PUBLISHED] = partial(_published, folder)
    for name in methods:
        option = _sample_option(name)
        if option:
            makers[name + _SAMPLE] = partial(_with_sample, name, option)
    return makers


def _sample_option(method: str) -> str | None:
    """Option that takes the time of one late arterial sample."""
    return next((name for name in METHODS[method].options.model_fields if name.endswith("_sample")), None)


def _registered(method: str) -> Candidate:
    return Candidate(method, METHODS[method].title, _digest(method), partial(_estimate, method=method))


def _with_sample(method: str, option: str) -> Candidate:
    name = method + _SAMPLE
    function = partial(_estimate, method=method, sample_option=option)
    return Candidate(name, f"{METHODS[method].title}, one late sample", _digest(name), function)


def _estimate(
    scan: DynamicScan,
    blood: Sequence[BloodRecording],
    *,
    method: str,
    model: str | None = None,
    sample_option: str | None = None,
) -> InputFunction:
    options: dict[str, Any] = {} if model is None else {"model": model}
    if sample_option is None:
        return estimate(method, scan, (), METHODS[method].parse(options))
    options[sample_option] = float(blood[-1].time[-1])
    return estimate(method, scan, blood, METHODS[method].parse(options))


def _learned(model: str | None) -> Candidate:
    from dlif_core.networks.bundle.model import load_model

    loaded = load_model(model)
    function = partial(_estimate, method=LEARNED, model=str(loaded.folder))
    return _trained(LEARNED, METHODS[LEARNED].title, function, loaded, judges=True)


def _trained(
    name: str,
    title: str,
    function: Callable[[DynamicScan, Sequence[BloodRecording]], InputFunction],
    model: LearnedModel | PublishedModel,
    *,
    judges: bool = False,
) -> Candidate:
    about = {"name": model.name, "digest": model.digest}
    return Candidate(
        name,
        title,
        _digest(name, model.digest),
        function,
        judges,
        about,
        folder=model.folder,
        splits=model.splits,
        species=model.subject.species,
    )


def _published_models() -> list[Path]:
    from dlif_core.networks.bundle.folder import list_models

    return [listed.folder for listed in list_models() if listed.kind == PUBLISHED]


def _published(folder: Path) -> Candidate:
    from dlif_core.networks.bundle.model import load_published

    model = load_published(folder)
    return _trained(PUBLISHED, "FC-DLIF as published", partial(published_curve, networks=model.networks), model)


def published_curve(
    scan: DynamicScan, _blood: Sequence[BloodRecording], *, networks: Sequence[FCDLIF]
) -> InputFunction:
    """Input function by the published network: mean of its members, plasma by the formula of its species and tracer.

    The scan is laid on the published frames first, from its begin on.

    Raises
    ------
    InputError
        If the scan has no image, or dose or weight is unknown.
    """
    import numpy as np

    from dlif_core.blood_samples.plasma import assumed_ratio
    from dlif_core.input_function.image_derived import curve_from_frames
    from dlif_core.networks.prediction.fc_dlif import predict_curve, published_timing, to_frames
    from dlif_core.networks.prediction.scan import network_image

    frames = published_timing(scan.timing)
    image = to_frames(network_image(scan), scan.timing, frames)
    suv = scan.acquisition.suv_factor
    assert suv is not None, "network_image refuses a scan without SUV"
    averages = np.mean([predict_curve(network, image).numpy() for network in networks], axis=0, dtype=float)
    time, whole_blood, _ = curve_from_frames(frames, averages / suv)
    ratio, name, warnings = assumed_ratio(time, scan.acquisition)
    provenance = {"members": len(networks), "plasma to whole blood": name}
    return InputFunction(
        time, whole_blood, ratio * whole_blood, PUBLISHED, provenance=provenance, warnings=tuple(warnings)
    )


def _digest(method: str, weights: str = "") -> str:
    return Fingerprint({"method": method, "weights": weights, "code": code_digest()}).digest


@cache
def code_digest() -> str:
    """sha256 of the code, and of the data beside it, on which curves and metrics may depend; models are left out."""
    root = Path(__file__).parents[1]
    files = [*root.glob("*.py"), *(file for room in _ROOMS for file in (root / room).rglob("*") if file.is_file())]
    decisive = {file.relative_to(root).as_posix(): file for file in files if file.suffix in _DECISIVE}
    digest = hashlib.sha256()
    for name in sorted(name for name in decisive if not name.startswith(_MODELS)):
        digest.update(f"{name}\0".encode() + decisive[name].read_bytes())
    return digest.hexdigest()
