"""Trained models as folders: their places, their manifests, and the check that no file was changed.

::

    model.json                   manifest: kind, recipe, seeds, preprocessing, digests of all other files
    member-1.safetensors …       networks of the ensemble
    splits.json                  animals by their use
    calibration.json, scope.json
    training.tsv                 the log of every member
    evaluation.json, .tsv        metrics on held-out scans, once the model was evaluated
    CARD.md                      model card

`model.json` is written last: without it there is no model. Nothing here needs PyTorch, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from dlif_core.errors import ConfigurationError, DlifError, InputError
from dlif_core.finite import to_json
from dlif_core.networks.bundle.remote import local_copy
from dlif_core.storage import is_url

Kind = Literal["weight-map", "fc-dlif"]

#: Version of the layout; a folder of another version is refused.
FORMAT = 1
#: The model of a fresh installation.
DEFAULT_MODEL = "mouse"
MANIFEST, CARD = "model.json", "CARD.md"
EVALUATION, EVALUATION_TABLE = "evaluation.json", "evaluation.tsv"
CALIBRATION, SCOPE, SPLITS, LOG = "calibration.json", "scope.json", "splits.json", "training.tsv"
#: Files that a model of each kind has beside its networks and its card.
_NEEDED: Mapping[Kind, frozenset[str]] = {
    "weight-map": frozenset({CALIBRATION, SCOPE, SPLITS}),
    "fc-dlif": frozenset({SPLITS}),
}
#: Models of the package.
SHIPPED = Path(__file__).parents[1] / "models"

_IN_USE = "in-use.json"
# models of earlier versions, each with the one that replaces it
_REPLACED = {"mouse-fdg": "mouse"}
# files that may change without changing the predictions of the model
_DESCRIPTIVE = frozenset({CARD, EVALUATION, EVALUATION_TABLE})


@dataclass(frozen=True)
class Manifest:
    """Manifest of a model.

    Attributes
    ----------
    name
        Name of the model.
    kind
        ``weight-map``, or ``fc-dlif`` for the published network.
    version
        Version of dlif with which it was trained.
    preprocessing
        Fingerprint of everything that turns a scan into the networks' input and their output into a curve.
    recipe
        Recipe of the training, with members and seeds.
    training
        Facts of the training for the card, as plain values.
    files
        sha256 of every file beside `model.json`.
    format
        Version of the layout of the folder.
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
    def species(self) -> str:
        """Species of the scans that it reads; models of mice don't state theirs."""
        return str(self.preprocessing.get("species", "mouse"))

    @property
    def digest(self) -> str:
        """sha256 of everything that decides the predictions of the model; card and evaluation are left out."""
        decisive = {file: digest for file, digest in self.files.items() if file not in _DESCRIPTIVE}
        content = {"kind": self.kind, "preprocessing": self.preprocessing, "files": decisive}
        return hashlib.sha256(to_json(content, where=MANIFEST, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ListedModel:
    """A model that is installed.

    Attributes
    ----------
    name, folder
        Name and folder of the model.
    kind, digest
        Kind and digest by its manifest; empty if the model is damaged.
    shipped
        Whether it belongs to the package.
    in_use
        Whether it is the model that is used where none is named.
    fault
        Reason why it can't be used; empty if it can.
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
    """Name or folder of the model that is used where none is named."""
    try:
        return str(json.loads((user_models() / _IN_USE).read_text(encoding="utf-8"))["model"])
    except FileNotFoundError:
        return DEFAULT_MODEL
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            "the file that names the model in use can't be read.",
            where=user_models() / _IN_USE,
            hint="`dlif model use NAME` writes it again.",
        ) from error


def use_model(name: str) -> Path:
    """Use this model from now on where none is named, and return its folder.

    Parameters
    ----------
    name
        Name of a model, or its folder.

    Raises
    ------
    ConfigurationError
        If there is no such model, or it serves only for comparison.
    InputError
        If the model is damaged.
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
    place = name if is_url(name) else folder.name if known else str(folder.resolve())
    content = to_json({"model": place}, where=_IN_USE)
    write_text(user_models() / _IN_USE, content + "\n")
    return folder


def model_folder(name: str | Path | None = None) -> Path:
    """Folder of a model.

    Parameters
    ----------
    name
        Name of a model of the user or of the package, or a folder, a path or URL; None for the one in use.

    Raises
    ------
    ConfigurationError
        If there is no such model.
    """
    wanted = model_in_use() if name is None else name
    if is_url(str(wanted)):
        return local_copy(str(wanted), MANIFEST)
    for known, folder in _known():
        if known == str(wanted):
            return folder
    if (Path(wanted) / MANIFEST).is_file():
        return Path(wanted)
    names = ", ".join(sorted({known for known, _ in _known()})) or "none"
    newer = _REPLACED.get(str(wanted))
    raise ConfigurationError(
        f"there is no model {str(wanted)!r}; there are: {names}.",
        where=user_models(),
        hint=f"The model {newer} replaces it: name this one."
        if newer
        else "Name one of these, or the folder of a model; `dlif train` makes one.",
    )


def list_models() -> list[ListedModel]:
    """All installed models, those of the user first; a user's model hides one of the package of the same name."""
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
    """Read the manifest of a model and compare every file with its digest.

    Raises
    ------
    InputError
        If the folder is not a model or of another format, or a file is missing or was changed.
    """
    content = read_part(folder / MANIFEST)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError("the folder is not a model of this version of dlif.", where=folder, hint="Train it again.")
    stated = content.pop("digest", None)
    try:
        manifest: Manifest = TypeAdapter(Manifest).validate_python(content)
    except ValidationError as error:
        places = ", ".join(str(fault["loc"][0]) for fault in error.errors(include_url=False))
        raise InputError(f"{MANIFEST} is not in the format of dlif: {places}.", where=folder, hint=_AGAIN) from error
    _require_complete(manifest, folder)
    if stated != manifest.digest:
        raise InputError(f"{MANIFEST} was changed after training.", where=folder, hint=_AGAIN)
    for file, digest in manifest.files.items():
        _require_unchanged(folder / file, digest)
    return manifest


_AGAIN = "Restore the folder from where it came, or train again."


def read_part(path: Path) -> Any:
    """Content of a JSON file of a model.

    Raises
    ------
    InputError
        If it is missing or no JSON, or holds a number that is not finite.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_float=_finite, parse_constant=_finite)
    except FileNotFoundError as error:
        raise InputError("the file is missing.", where=path, hint=_AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise InputError("the file can't be read.", where=path, hint=_AGAIN) from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that is not finite")
    return number


@contextmanager
def reading_part(path: Path) -> Iterator[None]:
    """Tell whatever is wrong with the content of a file of a model as a fault of that file.

    Raises
    ------
    InputError
        If an error leaves the block.
    """
    try:
        yield
    except DlifError as error:
        raise InputError(error.message, where=error.where or path, hint=error.hint or _AGAIN) from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise InputError("the file is not what a model holds there.", where=path, hint=_AGAIN) from error


def _require_complete(manifest: Manifest, folder: Path) -> None:
    """Refuse a manifest that lacks a part, or names files elsewhere."""
    members = manifest.training.get("members")
    with reading_part(folder / MANIFEST):
        networks = [str(member["file"]) for member in members or ()]
    missing = {CARD, *networks, *_NEEDED[manifest.kind]} - manifest.files.keys()
    if not networks or missing:
        absent = ", ".join(sorted(missing)) or "a network"
        raise InputError(f"the model lacks {absent}.", where=folder, hint=_AGAIN)
    if any(Path(file).name != file for file in manifest.files):
        raise InputError("the model names files outside of its folder.", where=folder, hint=_AGAIN)


def _require_unchanged(path: Path, digest: str) -> None:
    if not path.is_file():
        raise InputError("the file belongs to the model and is missing.", where=path, hint=_AGAIN)
    if file_digest(path) != digest:
        raise InputError("the file is not the one with which the model was made.", where=path, hint=_AGAIN)


def pin_of(folder: Path) -> str:
    """sha256 of `model.json`, which holds the digests of all other files: weights, settings, and the card."""
    return file_digest(folder / MANIFEST)


def require_pinned(folder: Path, digest: str) -> None:
    """Refuse a model that is not the one that a study pins.

    Raises
    ------
    ConfigurationError
        If it has another digest.
    """
    stated, pin = digest.removeprefix("sha256:"), pin_of(folder)
    if stated == pin:
        return
    of_networks = read_part(folder / MANIFEST)
    if isinstance(of_networks, dict) and stated == of_networks.get("digest"):
        raise ConfigurationError(
            "the digest in the study is that of the networks alone, which card and reports state.",
            where=folder,
            hint=f"To pin the model with its card, as `dlif model show` says at its end, write {pin}.",
        )
    raise ConfigurationError(
        f"the model is not the one that is pinned: its digest is {pin}, the study says {digest}.",
        where=folder,
        hint="Restore the model; or, if you trust it as it is now, correct `digest` in the study file.",
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `model.json`, after all other files of the model were written."""
    content = asdict(manifest) | {"digest": manifest.digest}
    write_text(folder / MANIFEST, to_json(content, where=folder / MANIFEST, indent=1, sort_keys=True) + "\n")


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file, which appears only when it is complete."""
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
