"""A PET-BIDS dataset as a list of files whose names are taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dlif_core.errors import InputError, MissingInputError
from dlif_core.ingest.bids.listing import Listing
from dlif_core.ingest.reader import ListingFault
from dlif_core.ingest.uris import file_system_of, uri_of

_NAME = re.compile(r"^((?P<stem>.+)_)?(?P<suffix>[A-Za-z0-9]+)(?P<extension>\.[A-Za-z]+(\.gz)?)$", re.DOTALL)
_RAW_PET = re.compile(r"^(sub-[^/]+)/(ses-[^/]+/)?pet/[^/]+$")
_IMAGES = (".nii", ".nii.gz")

#: Entities that tell scans of one subject and session apart.
_SCAN_ENTITIES = ("sub", "ses", "task", "trc", "rec", "run")


@dataclass(frozen=True)
class BidsFile:
    """One file of the dataset with its name taken apart.

    Attributes
    ----------
    uri
        Local path or fsspec URL.
    path
        Path below the root of the dataset.
    entities
        Value by key of every pair ``key-value`` in the name.
    suffix
        Last word of the name, for example ``pet``; "" if the name is not as in BIDS.
    extension
        Such as ``.nii.gz``; "" if the name is not as in BIDS.
    """

    uri: str
    path: str
    entities: Mapping[str, str]
    suffix: str
    extension: str

    @property
    def name(self) -> str:
        """Name without folders."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def folder(self) -> str:
        """Folder below the root of the dataset; "" for a file in the root."""
        return self.path.rpartition("/")[0]

    @property
    def stem(self) -> str:
        """Name up to the suffix: all entities, for example ``sub-01_ses-baseline``."""
        return self.name.rpartition(f"_{self.suffix}")[0]

    @property
    def subject(self) -> str:
        """Name of the subject's folder, for example ``sub-01``."""
        return self.path.split("/")[0]

    @property
    def session(self) -> str:
        """Name of the session's folder, for example ``ses-baseline``; "" without sessions."""
        folder = self.path.split("/")[1]
        return folder if folder.startswith("ses-") else ""

    @property
    def is_misplaced(self) -> bool:
        """Whether the name is that of another subject or session than a folder in which the file lies."""
        return any(
            part.startswith(f"{key}-") and self.entities.get(key, part[4:]) != part[4:]
            for part in self.folder.split("/")
            for key in ("sub", "ses")
        )

    @property
    def scan_key(self) -> tuple[str, ...]:
        """Key that an image has in common with the sidecar of its name."""
        return self.stem, self.folder, self.suffix

    @property
    def is_raw_pet(self) -> bool:
        """Whether the file is an image or a sidecar in a folder ``pet`` of a subject or session."""
        return self.suffix == "pet" and _RAW_PET.match(self.path) is not None

    @property
    def is_image(self) -> bool:
        """Whether the file is named as a NIfTI image."""
        return self.extension in _IMAGES

    @property
    def is_derivative(self) -> bool:
        """Whether the file was made from others: it is in the folder ``derivatives``."""
        return self.path.startswith("derivatives/")

    def applies_to(self, other: BidsFile) -> bool:
        """Tell whether this file's entities all hold for the other (BIDS inheritance) and its folder is at or above."""
        above = not self.folder or other.folder == self.folder or other.folder.startswith(f"{self.folder}/")
        return above and self.entities.items() <= other.entities.items()

    def belongs_to(self, scan: BidsFile) -> bool:
        """Tell whether this derivative was made from the scan: no entity that tells scans apart contradicts it."""
        mine = {key: value for key, value in self.entities.items() if key in _SCAN_ENTITIES}
        same_visit = all(mine.get(key) == scan.entities.get(key) for key in ("sub", "ses"))
        return same_visit and mine.items() <= scan.entities.items()


@dataclass(frozen=True)
class BidsDataset:
    """The files of a PET-BIDS dataset that may concern a PET scan.

    Attributes
    ----------
    root
        URI of its root.
    files
        Files of the dataset, in the order of their paths in each folder.
    faults
        What could not be listed, by its path below the root.
    """

    root: str
    files: tuple[BidsFile, ...]
    faults: Mapping[str, ListingFault] = field(default_factory=dict)

    @cached_property
    def _by_subject(self) -> dict[str, list[BidsFile]]:
        groups: dict[str, list[BidsFile]] = {}
        for file in self.files:
            groups.setdefault(file.entities.get("sub", ""), []).append(file)
        return groups

    @cached_property
    def misplaced(self) -> list[BidsFile]:
        """Files with the name of another subject or session than a folder in which they lie."""
        return [file for file in self.files if file.is_misplaced]

    def of(self, scan: BidsFile) -> list[BidsFile]:
        """Return the files that may concern a scan: those of its subject and those of the whole dataset."""
        return self._by_subject[scan.entities.get("sub", "")] + self._by_subject.get("", [])

    def scans(self) -> list[BidsFile]:
        """Return one file for each scan, an image where there is one."""
        pet: dict[str, list[BidsFile]] = {}
        for file in self.files:
            if file.is_raw_pet:
                pet.setdefault(file.folder, []).append(file)
        found = [file for beside in pet.values() for file in beside]
        images = [file for file in found if file.is_image]
        alone = [file for file in found if file.extension == ".json" and not _serves_another(file, pet[file.folder])]
        heads = {file.scan_key: file for file in [*alone, *images]}
        return [heads[key] for key in sorted(heads)]

    def sidecars(self, data: BidsFile) -> tuple[str, ...]:
        """Return the JSON files that describe a data file, most general first."""
        found = [
            file
            for file in self.of(data)
            if file.extension == ".json" and file.suffix == data.suffix and file.applies_to(data)
        ]
        return uris(sorted(found, key=lambda file: (file.path.count("/"), len(file.entities), file.path)))


def _serves_another(sidecar: BidsFile, beside: Iterable[BidsFile]) -> bool:
    """Tell whether a sidecar is inherited by a scan of a longer name, among the files of its folder."""
    return any(sidecar.entities.items() < other.entities.items() for other in beside)


def uris(files: Iterable[BidsFile]) -> tuple[str, ...]:
    """Return the URIs of files."""
    return tuple(file.uri for file in files)


def has_subjects(uri: str) -> bool:
    """Tell whether a URI is a folder that holds a folder ``sub-*``."""
    file_system, root = file_system_of(uri)
    if not file_system.isdir(root):
        return False
    entries = (entry for entry in file_system.ls(root, detail=True) if entry["type"] != "file")
    return any(entry["name"].rstrip("/").rsplit("/", 1)[-1].startswith("sub-") for entry in entries)


def read_dataset(root_uri: str) -> BidsDataset:
    """List the files of a dataset that may concern a PET scan.

    Raises
    ------
    MissingInputError
        If there is no such folder.
    InputError
        If the folder itself can't be listed; of what can't be listed below it, see `BidsDataset.faults`.
    """
    file_system, root = file_system_of(root_uri)
    file_system.invalidate_cache()
    if not file_system.isdir(root):
        raise MissingInputError(
            "there is no such folder.", where=root_uri, hint="Give the root of a PET-BIDS dataset, where sub-* lie."
        )
    listing = Listing(file_system, root)
    if "" in listing.faults:
        message, where, hint = listing.faults[""]
        raise InputError(message, where=where, hint=hint)
    files = (_file(uri_of(file_system, f"{root.rstrip('/')}/{path}"), path) for path in listing.files)
    return BidsDataset(uri_of(file_system, root), tuple(files), listing.faults)


def _file(uri: str, path: str) -> BidsFile:
    parts = _NAME.fullmatch(path.rsplit("/", 1)[-1])
    if parts is None:
        return BidsFile(uri, path, {}, "", "")
    pairs = (part.partition("-") for part in (parts["stem"] or "").split("_"))
    entities = {key: value for key, dash, value in pairs if dash}
    return BidsFile(uri, path, entities, parts["suffix"], parts["extension"])
