"""Trained models as folders: where they lie, what they state about themselves, and that no file was changed.

::

    model.json                   what the model is: kind, recipe, seeds, preprocessing, digests of all other files
    member-1.safetensors …       networks of the ensemble
    splits.json                  which animals served for what
    calibration.json, scope.json
    training.tsv                 the log of every member
    evaluation.json, .tsv        figures on held-out scans, once it was evaluated
    CARD.md                      all of that for people

`model.json` is written last: without it there is no model. Nothing here needs PyTorch, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from dlif_core.errors import ConfigurationError, InputError

Kind = Literal["weight-map", "fc-dlif"]

#: Version of the layout; a folder of another version is refused.
FORMAT = 1
#: The model of a fresh installation.
DEFAULT_MODEL = "mouse-fdg"
MANIFEST, CARD = "model.json", "CARD.md"
EVALUATION, EVALUATION_TABLE = "evaluation.json", "evaluation.tsv"
#: Models of the package.
SHIPPED = Path(__file__).parents[1] / "models"

_IN_USE = "in-use.json"
# what may change without changing what the model predicts
_DESCRIPTIVE = frozenset({CARD, EVALUATION, EVALUATION_TABLE})


@dataclass(frozen=True)
class Manifest:
    """What a model states about itself.

    Attributes
    ----------
    name
        Of the model.
    kind
        ``weight-map``, or ``fc-dlif`` for the published network.
    version
        Of dlif, by which it was trained.
    preprocessing
        Fingerprint of everything that turns a scan into the networks' input and their output into a curve.
    recipe
        How it was trained, members and seeds included.
    training
        What came of it: plain values for the card.
    files
        sha256 of every file beside `model.json`.
    format
        Version of the layout.
    """

    name: str
    kind: Kind
    version: str
    preprocessing: Mapping[str, Any]
    recipe: Mapping[str, Any]
    training: Mapping[str, Any]
    files: Mapping[str, str]
    format: int = FORMAT

    @property
    def digest(self) -> str:
        """sha256 of all that decides what the model predicts; card and evaluation don't."""
        decisive = {file: digest for file, digest in self.files.items() if file not in _DESCRIPTIVE}
        content = {"kind": self.kind, "preprocessing": self.preprocessing, "files": decisive}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ListedModel:
    """A model that is at hand.

    Attributes
    ----------
    name, folder
        Of the model.
    kind, digest
        As its manifest states them; empty if it is damaged.
    shipped
        Whether it belongs to the package.
    in_use
        Whether it is the one that is taken where none is named.
    fault
        What is wrong with it, empty if it can be used.
    """

    name: str
    folder: Path
    kind: str
    digest: str
    shipped: bool
    in_use: bool
    fault: str = ""


def user_models() -> Path:
    """Folder of this user's own models: the environment variable DLIF_MODELS, or the place for data of programs."""
    if os.environ.get("DLIF_MODELS"):
        return Path(os.environ["DLIF_MODELS"])
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "dlif" / "models"


def model_in_use() -> str:
    """Name or folder of the model that is taken where none is named."""
    try:
        return str(json.loads((user_models() / _IN_USE).read_text(encoding="utf-8"))["model"])
    except FileNotFoundError:
        return DEFAULT_MODEL
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            "the note of the model in use can't be read.",
            where=user_models() / _IN_USE,
            hint="`dlif model use NAME` writes it again.",
        ) from error


def use_model(name: str) -> Path:
    """Take this model from now on where none is named; returns its folder.

    Parameters
    ----------
    name
        Name of a model, or its folder.

    Raises
    ------
    ConfigurationError
        If there is no such model.
    InputError
        If it is damaged.
    """
    folder = model_folder(name)
    manifest = read_manifest(folder)
    if manifest.kind != "weight-map":
        raise ConfigurationError(
            f"a model of kind {manifest.kind} serves only for comparison.",
            where=folder,
            hint=f"Use another, such as {DEFAULT_MODEL}.",
        )
    known = any(listed == folder for _, listed in _known())
    user_models().mkdir(parents=True, exist_ok=True)
    content = json.dumps({"model": folder.name if known else str(folder.resolve())})
    write_text(user_models() / _IN_USE, content + "\n")
    return folder


def model_folder(name: str | Path | None = None) -> Path:
    """Folder of a model.

    Parameters
    ----------
    name
        Name of a model of the user or of the package, or a folder; None for the one in use.

    Raises
    ------
    ConfigurationError
        If there is no such model.
    """
    wanted = model_in_use() if name is None else name
    for known, folder in _known():
        if known == str(wanted):
            return folder
    if (Path(wanted) / MANIFEST).is_file():
        return Path(wanted)
    names = ", ".join(sorted({known for known, _ in _known()})) or "none"
    raise ConfigurationError(
        f"there is no model {str(wanted)!r}; there are: {names}.",
        where=user_models(),
        hint="Name one of these, or the folder of a model; `dlif train` makes one.",
    )


def list_models() -> list[ListedModel]:
    """All models at hand, those of the user first; a user's model hides one of the package of the same name."""
    used = model_in_use()
    return [_listed(name, folder, used in (name, str(folder))) for name, folder in _known()]


def _listed(name: str, folder: Path, in_use: bool) -> ListedModel:
    shipped = folder.parent == SHIPPED
    try:
        manifest = read_manifest(folder)
    except InputError as fault:
        return ListedModel(name, folder, "", "", shipped, in_use, str(fault))
    return ListedModel(name, folder, manifest.kind, manifest.digest, shipped, in_use)


def _known() -> Iterator[tuple[str, Path]]:
    names: set[str] = set()
    for place in (user_models(), SHIPPED):
        for manifest in sorted(place.glob(f"*/{MANIFEST}")):
            if manifest.parent.name not in names:
                names.add(manifest.parent.name)
                yield manifest.parent.name, manifest.parent


def read_manifest(folder: Path) -> Manifest:
    """What a model states about itself, once every file was compared with its digest.

    Raises
    ------
    InputError
        If the folder is no model, is of another format, or a file is missing or was changed.
    """
    content = _read_json(folder / MANIFEST)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError("the folder is no model of this version of dlif.", where=folder, hint="Train it again.")
    stated = content.pop("digest", None)
    try:
        manifest = Manifest(**content)
    except TypeError as error:
        raise InputError(f"{MANIFEST} is not as dlif writes it: {error}.", where=folder, hint=_AGAIN) from error
    if stated != manifest.digest:
        raise InputError(f"{MANIFEST} was changed after training.", where=folder, hint=_AGAIN)
    for file, digest in manifest.files.items():
        _require_unchanged(folder / file, digest)
    return manifest


_AGAIN = "Restore the folder from where it came, or train again."


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("the file is missing.", where=path, hint=_AGAIN) from error
    except ValueError as error:
        raise InputError("the file can't be read.", where=path, hint=_AGAIN) from error


def _require_unchanged(path: Path, digest: str) -> None:
    if not path.is_file():
        raise InputError("the file belongs to the model and is missing.", where=path, hint=_AGAIN)
    if file_digest(path) != digest:
        raise InputError("the file is not the one that the model was made with.", where=path, hint=_AGAIN)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `model.json`; what it states of the files must be true already."""
    content = asdict(manifest) | {"digest": manifest.digest}
    write_text(folder / MANIFEST, json.dumps(content, indent=1, sort_keys=True) + "\n")


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file so that nobody sees it half-written."""
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
