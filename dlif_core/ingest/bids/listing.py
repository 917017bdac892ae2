"""The files below a folder, listed so that what can't be listed is told and hides nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from dlif_core.errors import StorageError
from dlif_core.ingest.reader import ListingFault
from dlif_core.ingest.uris import uri_of

#: Folders of derivatives without anything for dlif; those of other modalities hold label images on other grids.
_PASSED_OVER = frozenset({"anat", "func", "dwi", "fmap", "perf", "eeg", "meg", "beh", "sourcedata", "code"})

#: Files that systems and programs leave beside the data; so are those that begin with a dot.
_LEFT_BESIDE = frozenset({"thumbs.db", "desktop.ini"})

#: Ends of the names of files that make a scan.
_HEADS = ("_pet.json", "_pet.nii", "_pet.nii.gz")

#: File by which dlif's own output is known.
_OUTPUT = "dlif-store.json"


class Listing:
    """Files of a PET-BIDS dataset that may concern a PET scan.

    Attributes
    ----------
    files
        Paths below the root, in the order of their names, those of a folder before those of its subfolders.
    faults
        What could not be listed, by its path below the root.
    """

    def __init__(self, file_system: Any, root: str) -> None:
        self.files: list[str] = []
        self.faults: dict[str, ListingFault] = {}
        self._fs = file_system
        self._root = root.rstrip("/")
        self._is_local = isinstance(file_system, LocalFileSystem)
        self._list("", ())

    def _list(self, folder: str, above: tuple[str, ...]) -> None:
        """List a folder; `above` are the folders that it lies in, to which a link may lead back."""
        place = os.path.realpath(self._at(folder)) if self._is_local else folder
        if place in above:
            return
        try:
            entries = self._entries(folder)
        except StorageError:
            raise
        except Exception as error:  # each kind of filesystem has errors of its own
            self._cannot_list(folder, error)
            return
        if folder and _OUTPUT in entries:
            return
        if not entries and folder.startswith("sub-") and "/" not in folder:
            self._add(folder, "the folder is empty.", "Fetch or restore its files, or delete the folder.")
        subfolders = []
        for name, entry in entries.items():
            path = f"{folder}/{name}".lstrip("/")
            if self._is_folder(entry):
                subfolders += [path] if _is_of_interest(folder, name) else []
                if folder.startswith("sub-") and name.endswith(_HEADS):
                    self._add(path, "a folder has the name of a file.", "Put the file itself in its place.")
                if name != "pet" and _is_of_interest(folder, name.lower()) and name.lower() == "pet":
                    self._add(path, "the name of a folder of PET data is pet, in small letters.", "Rename it.")
            elif self._is_lost_folder(folder, entry, name):
                self._add(path, "it is a link that leads nowhere.", "Fetch what it leads to, or delete the link.")
            elif self._is_decodable(path) and not _is_left_beside(name):
                self.files.append(path)
                self._require_pet_folder(path)
        for path in subfolders:
            if self._is_decodable(path):
                self._list(path, (*above, place))

    def _require_pet_folder(self, path: str) -> None:
        *folders, name = path.split("/")
        is_raw = bool(folders) and folders[0].startswith("sub-")
        if is_raw and "pet" not in folders and name.endswith(("_pet.nii", "_pet.nii.gz")):
            hint = "Move it and its sidecar into a folder pet of the subject or session."
            self._add(path, "a PET image lies outside of a folder pet.", hint)

    def _entries(self, folder: str) -> dict[str, dict[str, Any]]:
        """Entries of a folder by name, in order; object stores may list the folder itself among them."""
        path = self._at(folder)
        found = {entry["name"].rstrip("/"): entry for entry in self._fs.ls(path, detail=True)}
        return {name.rpartition("/")[2]: found[name] for name in sorted(found) if name != path}

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root or "/"

    def _is_folder(self, entry: dict[str, Any]) -> bool:
        return entry["type"] == "directory" or bool(entry.get("islink") and self._fs.isdir(entry["name"]))

    def _is_lost_folder(self, parent: str, entry: dict[str, Any], name: str) -> bool:
        """Whether the entry is a link to nowhere with the name of a folder."""
        is_lost = bool(entry.get("islink")) and not self._fs.exists(entry["name"])
        return is_lost and "." not in name and _is_of_interest(parent, name)

    def _is_decodable(self, path: str) -> bool:
        """Whether a name can be written; one in another encoding than the system's can't."""
        is_decodable = printable(path) == path
        if not is_decodable and _looks_like_data(path):
            self._add(path, "the name is not in UTF-8.", "Rename it.")
        return is_decodable

    def _cannot_list(self, folder: str, error: Exception) -> None:
        if isinstance(error, PermissionError):
            self._add(folder, "the folder may not be listed.", "Get the permission to read it (`chmod u+rx`).")
            return
        reason = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
        self._add(folder, f"the folder can't be listed: {reason}.", "Check the disk or the connection.")

    def _add(self, path: str, message: str, hint: str) -> None:
        readable = printable(path)
        self.faults[readable] = ListingFault(message, uri_of(self._fs, self._at(readable)), hint)


def printable(text: str) -> str:
    r"""Text with a backslash and a number for what no encoding can write, such as ``\udce4``."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_of_interest(parent: str, name: str) -> bool:
    """Whether a folder may hold files for dlif: ``sub-*/[ses-*/]pet``, and all derivatives that may be of PET."""
    if name.startswith("."):
        return False
    match parent.split("/"):
        case [""]:
            return name.startswith("sub-") or name == "derivatives"
        case ["derivatives", *_]:
            return name not in _PASSED_OVER and not name.endswith(".zarr")
        case [_]:
            return name == "pet" or name.startswith("ses-")
        case [_, session]:
            return name == "pet" and session.startswith("ses-")
    return False


def _is_left_beside(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in _LEFT_BESIDE


def _looks_like_data(path: str) -> bool:
    name = path.rpartition("/")[2]
    return "." not in name or name.endswith((".json", ".tsv", ".nii", ".nii.gz"))


def concerning(paths: Iterable[str], subject: str, session: str) -> Iterator[str]:
    """Paths that may be of a scan: they name no other subject, and no other session of it."""
    for path in paths:
        parts = path.split("/")
        subjects = [part for part in parts if part.startswith("sub-")]
        sessions = [part for part in parts if part.startswith("ses-")]
        is_of_subject = not subjects or any(part == subject or part.startswith(f"{subject}_") for part in subjects)
        if is_of_subject and (not sessions or not session or session in sessions):
            yield path
