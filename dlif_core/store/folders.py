"""The folder of a path or URL, of the kind that its filesystem needs."""

from __future__ import annotations

from fsspec.implementations.local import LocalFileSystem

from dlif_core.storage import file_system, is_s3
from dlif_core.store.folder import Folder, LocalFolder
from dlif_core.store.object_folder import ObjectFolder


def open_folder(uri: str) -> Folder:
    """The folder that a local path or an fsspec URL names; it need not exist yet."""
    fs, path = file_system(uri)
    if isinstance(fs, LocalFileSystem):
        return LocalFolder(fs, path)
    return ObjectFolder(fs, path) if is_s3(uri) else Folder(fs, path)
