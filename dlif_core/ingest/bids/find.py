"""Finding the scans of a PET-BIDS dataset and the files that belong to each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from dlif_core.errors import MissingInputError

_NAME = re.compile(r"^((?P<stem>.+)_)?(?P<suffix>[A-Za-z0-9]+)(?P<extension>\.[A-Za-z]+(\.gz)?)$")
_RAW_PET = re.compile(r"^(sub-[^/]+)/(ses-[^/]+/)?pet/[^/]+$")
_IMAGES = (".nii", ".nii.gz")

#: Entities that tell scans of one subject and session apart.
_SCAN_ENTITIES = ("sub", "ses", "task", "trc", "rec", "run")

#: Folders without anything for dlif; those of other modalities hold label images on other grids.
_PASSED_OVER = frozenset({"anat", "func", "dwi", "fmap", "perf", "eeg", "meg", "beh", "sourcedata", "code"})


@dataclass(frozen=True)
class ScanFiles:
    """The files of one scan; plain strings only, so that it travels between processes.

    Attributes
    ----------
    scan_id
        Name of the scan, unique in the dataset: ``sub-01_ses-baseline``, with further entities where present.
    subject, session
        As in the folder names (``sub-01``, ``ses-baseline``); `session` is "" without sessions.
    root
        URI of the dataset.
    files
        URIs by role. ``image``; ``sidecar``; ``blood/<recording>``: the TSV followed by its sidecars;
        ``curves`` and ``curves_sidecar``; ``morph``; ``dseg`` (names of the curves' regions);
        ``labels`` and ``labels_dseg`` (label image and its names); ``participants`` and
        ``participants_sidecar``. Sidecars stand from the most general to the most specific.
        A role without files is absent.
    """

    scan_id: str
    subject: str
    session: str
    root: str
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def role(self, name: str) -> tuple[str, ...]:
        """The URIs in a role, empty if there are none."""
        return self.files.get(name, ())

    def inputs(self) -> dict[str, str]:
        """URI of every file of the scan by its path below the dataset's root, in a stable order."""
        uris = sorted({uri for role in self.files.values() for uri in role})
        return {uri.removeprefix(self.root).lstrip("/"): uri for uri in uris}


@dataclass(frozen=True)
class _File:
    """One file of the dataset with its name taken apart."""

    uri: str
    path: str
    entities: Mapping[str, str]
    suffix: str
    extension: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def stem(self) -> str:
        return self.name.rpartition(f"_{self.suffix}")[0]

    @property
    def scan_key(self) -> tuple[str, ...]:
        """The same for an image and a sidecar of one name."""
        return self.stem, self.folder, self.suffix

    @property
    def is_raw_pet(self) -> bool:
        return self.suffix == "pet" and _RAW_PET.match(self.path) is not None

    @property
    def is_image(self) -> bool:
        return self.extension in _IMAGES

    @property
    def is_derivative(self) -> bool:
        return self.path.startswith("derivatives/")

    def applies_to(self, other: _File) -> bool:
        """Whether this file's entities all hold for the other (BIDS inheritance) and its folder is at or above."""
        above = not self.folder or other.folder == self.folder or other.folder.startswith(f"{self.folder}/")
        return above and self.entities.items() <= other.entities.items()

    def belongs_to(self, scan: _File) -> bool:
        """Whether this derivative was made from the scan: no entity that tells scans apart contradicts it."""
        mine = {key: value for key, value in self.entities.items() if key in _SCAN_ENTITIES}
        same_visit = all(mine.get(key) == scan.entities.get(key) for key in ("sub", "ses"))
        return same_visit and mine.items() <= scan.entities.items()


def find_scans(root_uri: str, curves: str = "*_tacs.tsv") -> list[ScanFiles]:
    """List the PET scans of a PET-BIDS dataset.

    A scan is an image ``*_pet.nii[.gz]`` or a sidecar ``*_pet.json`` in ``sub-*/[ses-*/]pet``; what else it
    needs is checked when it is opened, so that one bad scan doesn't hide the others.

    Parameters
    ----------
    root_uri
        Root of the dataset, a local path or any fsspec URL.
    curves
        Pattern for the names of region-curve files in ``derivatives``; with a ``/`` it is matched against the path
        below the dataset root. Files with partial volume correction (``_pvc-``) count only if the pattern
        says ``pvc``.

    Returns
    -------
    Scans in the order of their ids.

    Raises
    ------
    MissingInputError
        If there is no such folder.
    """
    file_system, root = fsspec.url_to_fs(root_uri)
    if not file_system.isdir(root):
        raise MissingInputError(
            "there is no such folder.", where=root_uri, hint="Give the root of a PET-BIDS dataset, where sub-* lie."
        )
    dataset = _Dataset(_uri(file_system, root), tuple(_list_files(file_system, root)))
    return [_scan_files(head, dataset, curves) for head in dataset.scans()]


@dataclass(frozen=True)
class _Dataset:
    root: str
    files: tuple[_File, ...]

    @cached_property
    def _by_subject(self) -> dict[str, list[_File]]:
        groups: dict[str, list[_File]] = {}
        for file in self.files:
            groups.setdefault(file.entities.get("sub", ""), []).append(file)
        return groups

    def of(self, scan: _File) -> list[_File]:
        """Files that may concern the scan: those of its subject and those of the whole dataset."""
        return self._by_subject[scan.entities.get("sub", "")] + self._by_subject.get("", [])

    def scans(self) -> list[_File]:
        """One file for each scan, an image where there is one."""
        pet = [file for file in self.files if file.is_raw_pet]
        images = [file for file in pet if file.is_image]
        alone = [file for file in pet if file.extension == ".json" and not _serves_another(file, pet)]
        heads = {file.scan_key: file for file in [*alone, *images]}
        return [heads[key] for key in sorted(heads)]

    def sidecars(self, data: _File) -> tuple[str, ...]:
        """JSON files that describe a data file, most general first."""
        found = [
            file
            for file in self.of(data)
            if file.extension == ".json" and file.suffix == data.suffix and file.applies_to(data)
        ]
        return _uris(sorted(found, key=lambda file: (file.path.count("/"), len(file.entities), file.path)))


def _serves_another(sidecar: _File, pet: Iterable[_File]) -> bool:
    """Whether a sidecar is inherited by a scan of a longer name in the same folder."""
    return any(
        sidecar.folder == other.folder and sidecar.entities.items() < other.entities.items()
        for other in pet
        if other is not sidecar
    )


def _scan_files(head: _File, dataset: _Dataset, curves: str) -> ScanFiles:
    own = dataset.of(head)
    files = {
        "image": _uris(file for file in own if file.is_image and file.scan_key == head.scan_key),
        "sidecar": dataset.sidecars(head),
        **_blood(head, own, dataset),
        **_curves(head, own, dataset, curves),
        **_labels(head, own),
        "participants": _uris(file for file in own if file.path == "participants.tsv"),
        "participants_sidecar": _uris(file for file in own if file.path == "participants.json"),
    }
    subject, session = head.path.split("/")[0], head.path.split("/")[1]
    return ScanFiles(
        scan_id=head.stem,
        subject=subject,
        session=session if session.startswith("ses-") else "",
        root=dataset.root,
        files={role: uris for role, uris in files.items() if uris},
    )


def _blood(head: _File, own: Iterable[_File], dataset: _Dataset) -> dict[str, tuple[str, ...]]:
    found = {}
    for file in own:
        if file.suffix != "blood" or file.extension != ".tsv" or file.folder != head.folder:
            continue
        entities = {key: value for key, value in file.entities.items() if key != "recording"}
        if entities.items() <= head.entities.items():
            found[f"blood/{file.entities.get('recording', 'blood')}"] = (file.uri, *dataset.sidecars(file))
    return found


def _curves(head: _File, own: Iterable[_File], dataset: _Dataset, pattern: str) -> dict[str, tuple[str, ...]]:
    matches = [file for file in own if _is_chosen(file, pattern) and file.belongs_to(head)]
    roles = {"curves": _uris(matches)}
    if len(matches) == 1:
        roles["curves_sidecar"] = dataset.sidecars(matches[0])
        for suffix in ("morph", "dseg"):
            roles[suffix] = _companion(matches[0], suffix, own)
    return roles


def _is_chosen(file: _File, pattern: str) -> bool:
    if not file.is_derivative or ("_pvc-" in file.name and "pvc" not in pattern):
        return False
    return fnmatchcase(file.path if "/" in pattern else file.name, pattern)


def _companion(data: _File, suffix: str, own: Iterable[_File]) -> tuple[str, ...]:
    """The most specific table of that suffix for a derivative."""
    found = [file for file in own if file.suffix == suffix and file.extension == ".tsv" and file.applies_to(data)]
    return _uris(sorted(found, key=lambda file: (file.path.count("/"), len(file.entities)))[-1:])


def _labels(head: _File, own: Iterable[_File]) -> dict[str, tuple[str, ...]]:
    images = [
        file
        for file in own
        if file.suffix == "dseg"
        and file.is_image
        and (file.is_derivative or file.folder == head.folder)
        and file.belongs_to(head)
    ]
    roles = {"labels": _uris(images)}
    if len(images) == 1:
        roles["labels_dseg"] = _companion(images[0], "dseg", own)
    return roles


def _uris(files: Iterable[_File]) -> tuple[str, ...]:
    return tuple(file.uri for file in files)


def _list_files(file_system: Any, root: str) -> Iterator[_File]:
    prefix = len(root.rstrip("/")) + 1
    for folder, subfolders, names in file_system.walk(root, on_error="raise"):
        subfolders[:] = sorted(name for name in subfolders if _is_of_interest(folder[prefix:], name))
        for name in sorted(names):
            yield _file(file_system, f"{folder.rstrip('/')}/{name}", prefix)


def _is_of_interest(parent: str, name: str) -> bool:
    if not parent:
        return name.startswith("sub-") or name == "derivatives"
    return name not in _PASSED_OVER and not name.startswith(".") and not name.endswith(".zarr")


def _uri(file_system: Any, path: str) -> str:
    return path if isinstance(file_system, LocalFileSystem) else str(file_system.unstrip_protocol(path))


def _file(file_system: Any, path: str, prefix: int) -> _File:
    uri = _uri(file_system, path)
    parts = _NAME.match(path.rsplit("/", 1)[-1])
    if parts is None:
        return _File(uri, path[prefix:], {}, "", "")
    pairs = (part.partition("-") for part in (parts["stem"] or "").split("_"))
    entities = {key: value for key, dash, value in pairs if dash}
    return _File(uri, path[prefix:], entities, parts["suffix"], parts["extension"])
