"""The folder of an export: written beside its place, and put there as a whole."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from dlif_core.errors import ConfigurationError
from dlif_core.export.files import write_record

#: File by which a folder is known as an export.
RECORD = "dlif-export.json"

_EXCHANGE = 2
_AT_FDCWD = -100


def require_export_folder(folder: Path, store: str, data: str) -> None:
    """Refuse a folder that holds something else, or lies where it would be taken for data or results.

    The derivatives of the data are no place either: the next run would read the exported curves and labels as input.

    Parameters
    ----------
    folder
        Where the export is to lie.
    store, data
        URIs of the study's store and data.

    Raises
    ------
    ConfigurationError
        If it can't be the folder of an export.
    """
    if ":/" in str(folder):  # what is left of :// in a path
        raise ConfigurationError("an export goes to a folder of this machine.", where=folder, hint="Give a path.")
    for what, uri in (("store", store), ("data", data)):
        if "://" not in uri and _overlap(folder.resolve(), Path(uri).resolve()):
            raise ConfigurationError(
                f"the export would lie inside the study's {what} or hold it.", where=folder, hint="Choose another --to."
            )
    if folder.exists() and not (folder / RECORD).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise ConfigurationError(
            "this folder holds something other than an export of dlif.", where=folder, hint="Choose another --to."
        )


def _overlap(folder: Path, other: Path) -> bool:
    """Whether one of two folders holds the other."""
    return folder.is_relative_to(other) or other.is_relative_to(folder)


@contextmanager
def new_export(folder: Path, record: dict[str, Any]) -> Iterator[Path]:
    """A folder to write an export into; it takes its place when the block ends without a fault.

    Parameters
    ----------
    folder
        Where the export is to lie; an earlier one there is replaced as a whole, and stays if anything fails.
    record
        What the export says about itself, in `RECORD`.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}-{uuid4().hex[:8]}")
    draft.mkdir()
    try:
        yield draft
        write_record(draft / RECORD, record)
        _put(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, folder: Path) -> None:
    """Put the draft into place; what was there takes the place of the draft."""
    if not folder.exists():
        draft.rename(folder)
    elif not _exchanged(draft, folder):
        aside = draft.with_name(f"{draft.name}.old")
        folder.rename(aside)
        draft.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, where the system can (Linux, most of its filesystems)."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return bool(call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0)
