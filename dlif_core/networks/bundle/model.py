"""Trained models, loaded from a folder and written to one.

The layout of the folder is that of `model_folder`; weights are safetensors and all else is text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from dlif_core.errors import ConfigurationError, InputError, NotFiniteError
from dlif_core.finite import to_json
from dlif_core.networks.bundle.card import model_card
from dlif_core.networks.bundle.folder import (
    CALIBRATION,
    CARD,
    EVALUATION,
    EVALUATION_TABLE,
    LOG,
    MANIFEST,
    SCOPE,
    SPLITS,
    Kind,
    Manifest,
    file_digest,
    model_folder,
    read_manifest,
    read_part,
    reading_part,
    write_manifest,
    write_text,
)
from dlif_core.networks.bundle.preprocessing import (
    preprocessing_fingerprint,
    require_same_preprocessing,
    trained_subject,
)
from dlif_core.networks.calibration.calibration import Calibration
from dlif_core.networks.prediction.fc_dlif import FCDLIF
from dlif_core.networks.prediction.subject import MOUSE, Subject
from dlif_core.networks.prediction.weight_map import TissueNetwork
from dlif_core.networks.prediction.weights import load_network, require_finite, save_network
from dlif_core.networks.scope.assessment import Scope
from dlif_core.networks.training.splits import SplitManifest

_Part = TypeVar("_Part")
_NetworkKind = TypeVar("_NetworkKind", TissueNetwork, FCDLIF)


@dataclass(frozen=True, eq=False)
class _Model(Generic[_NetworkKind]):
    """Parts that all models have.

    Attributes
    ----------
    networks
        The members of the ensemble, ready to predict.
    manifest
        Manifest of the model.
    splits
        Animals by their use in its training and calibration.
    folder
        Folder of the model.
    """

    networks: tuple[_NetworkKind, ...]
    manifest: Manifest
    splits: SplitManifest
    folder: Path

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """sha256 of everything that decides the predictions of the model."""
        return self.manifest.digest

    @property
    def subject(self) -> Subject:
        """Species of the scans that it reads, and its grid."""
        return trained_subject(self.manifest.preprocessing)


@dataclass(frozen=True, eq=False)
class LearnedModel(_Model[TissueNetwork]):
    """An ensemble that predicts input functions, with its calibration and its scope.

    Attributes
    ----------
    networks, manifest, splits, folder
        The members, the manifest, animals by their use, and the folder of the model.
    calibration
        Uncertainty of the predictions.
    scope
        Kinds of scans for which the model was made.
    """

    calibration: Calibration
    scope: Scope


@dataclass(frozen=True, eq=False)
class PublishedModel(_Model[FCDLIF]):
    """FC-DLIF, trained for comparison; it gives curves without band or scope."""


def load_model(name: str | Path | None = None) -> LearnedModel:
    """Load a model; every file is compared with its digest, and the preprocessing with that of its training.

    Parameters
    ----------
    name
        Name of a model, or its folder; None for the one in use.

    Raises
    ------
    ConfigurationError
        If there is no such model, or it serves only for comparison.
    InputError
        If a file is missing or was changed, or the model was trained with another preprocessing.
    """
    folder = model_folder(name)
    manifest = _checked_manifest(folder, "weight-map")
    return LearnedModel(
        networks=tuple(load_network(path) for path in _members(folder, manifest)),
        manifest=manifest,
        splits=_splits(folder),
        folder=folder,
        calibration=_read(folder / CALIBRATION, Calibration.from_dict),
        scope=_read(folder / SCOPE, Scope.from_dict),
    )


def load_published(name: str | Path) -> PublishedModel:
    """Load a trained FC-DLIF; parameter and errors are those of `load_model`."""
    folder = model_folder(name)
    manifest = _checked_manifest(folder, "fc-dlif")
    networks = tuple(_load_published_network(path) for path in _members(folder, manifest))
    return PublishedModel(networks, manifest, _splits(folder), folder)


def _checked_manifest(folder: Path, kind: Kind) -> Manifest:
    manifest = read_manifest(folder)
    if manifest.kind != kind:
        raise ConfigurationError(
            f"this is a model of kind {manifest.kind}, not {kind}.", where=folder, hint="`dlif model list` shows all."
        )
    with reading_part(folder / MANIFEST):
        require_same_preprocessing(kind, manifest.preprocessing, where=folder)
    return manifest


def _members(folder: Path, manifest: Manifest) -> list[Path]:
    return [folder / member["file"] for member in manifest.training["members"]]


def _splits(folder: Path) -> SplitManifest:
    return _read(folder / SPLITS, SplitManifest.from_dict)


def _read(path: Path, parse: Callable[[Any], _Part]) -> _Part:
    with reading_part(path):
        return parse(read_part(path))


def _load_published_network(path: Path) -> FCDLIF:
    network = FCDLIF()
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError("the file is not an FC-DLIF network.", where=path, hint="Train it again.") from error
    require_finite(network, path)
    return network.eval()


@dataclass(frozen=True, eq=False)
class Trained:
    """Result of a training.

    Attributes
    ----------
    networks
        The members of the ensemble.
    recipe
        Recipe of the training, as plain values.
    facts
        Facts of the training for the card, as plain values; ``members`` has one entry for each network in their order.
    log
        Training log of all members, as TSV.
    splits
        Animals by their use.
    subject
        Species of the scans.
    """

    networks: Sequence[TissueNetwork | FCDLIF]
    recipe: Mapping[str, Any]
    facts: Mapping[str, Any]
    log: str
    splits: SplitManifest
    subject: Subject = MOUSE


def save_model(folder: Path, name: str, trained: Trained, calibration: Calibration, scope: Scope) -> LearnedModel:
    """Write a model; `model.json` comes last, so that a folder with this file is complete.

    Parameters
    ----------
    folder
        Folder of the model; a model in it is replaced, other files are kept.
    name
        Name of the model.
    trained, calibration, scope
        Parts of the model.
    """
    texts = {CALIBRATION: _json(calibration.to_dict()), SCOPE: _json(scope.to_dict())}
    _write(folder, name, "weight-map", trained, texts)
    return load_model(folder)


def save_published(folder: Path, name: str, trained: Trained) -> PublishedModel:
    """Write a trained FC-DLIF; see `save_model`."""
    _write(folder, name, "fc-dlif", trained, {})
    return load_published(folder)


def _write(folder: Path, name: str, kind: Kind, trained: Trained, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (MANIFEST, EVALUATION, EVALUATION_TABLE):
        (folder / stale).unlink(missing_ok=True)
    files = [f"member-{k}.safetensors" for k in range(1, 1 + len(trained.networks))]
    for file, network in zip(files, trained.networks, strict=True):
        _save_network(folder / file, network)
    everything = {**texts, SPLITS: _json(trained.splits.to_dict()), LOG: trained.log}
    for file, text in everything.items():
        write_text(folder / file, text)
    members = [{"file": file, **member} for file, member in zip(files, trained.facts["members"], strict=True)]
    manifest = Manifest(
        name=name,
        kind=kind,
        version=version("dlif"),
        preprocessing=preprocessing_fingerprint(kind, trained.subject),
        recipe=trained.recipe,
        training={**trained.facts, "members": members, "torch": torch.__version__},
        files={file: file_digest(folder / file) for file in [*files, *everything]},
    )
    _write_card(folder, manifest)


def _save_network(path: Path, network: TissueNetwork | FCDLIF) -> None:
    for name, value in network.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise NotFiniteError(
                f"weights {name} are not finite.", where=path, hint="Train with a lower learning rate."
            )
    if isinstance(network, TissueNetwork):
        save_network(path, network)
    else:
        path.write_bytes(save(network.state_dict()))


def _json(content: Any) -> str:
    return to_json(content, where="model", indent=1, sort_keys=True) + "\n"


def add_evaluation(folder: Path, summary: Mapping[str, Any], table: str) -> None:
    """Add the results of an evaluation to a model and write its card anew; its digest does not change.

    Parameters
    ----------
    folder
        Folder of the model.
    summary
        Metrics with intervals, as plain values; see `card.model_card`.
    table
        One row for each scan and method, as TSV.

    Raises
    ------
    InputError
        If the folder is not a model or a file of it was changed.
    """
    manifest = read_manifest(folder)
    for file, text in ((EVALUATION, _json(summary)), (EVALUATION_TABLE, table)):
        write_text(folder / file, text)
        manifest = replace(manifest, files={**manifest.files, file: file_digest(folder / file)})
    _write_card(folder, manifest)


def _write_card(folder: Path, manifest: Manifest) -> None:
    evaluation = read_part(folder / EVALUATION) if EVALUATION in manifest.files else None
    write_text(folder / CARD, model_card(manifest, _splits(folder), evaluation))
    write_manifest(folder, replace(manifest, files={**manifest.files, CARD: file_digest(folder / CARD)}))
