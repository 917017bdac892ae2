"""Models at a URL: a copy on this machine is used, which the digests of the manifest compare with the original."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlif_core.errors import ConfigurationError, InputError
from dlif_core.storage import file_system, is_url


def kept_files() -> Path:
    """Folder for copies and unfinished trainings, which can be deleted at any time: XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dlif"


@functools.cache
def local_copy(uri: str, manifest: str) -> Path:
    """Folder with a copy of a model; a process looks at the URL once.

    Parameters
    ----------
    uri
        URL of the model's folder.
    manifest
        Name of the file that lists its files.

    Raises
    ------
    ConfigurationError
        If there is no model.
    InputError
        If its manifest can't be read, or names files outside of the folder.
    """
    fs, place = file_system(uri.rstrip("/"))
    try:
        content = bytes(fs.cat_file(f"{place}/{manifest}"))
    except FileNotFoundError as fault:
        raise ConfigurationError(
            "there is no model.", where=uri, hint="Correct the URL; it names the folder with `model.json`."
        ) from fault
    target = kept_files() / "models" / hashlib.sha256(content).hexdigest() / place.rpartition("/")[2]
    if not (target / manifest).is_file():
        _fetch(fs, place, {**dict.fromkeys(_listed(content, uri)), manifest: None}, target)
    return target


def _listed(manifest: bytes, uri: str) -> list[str]:
    try:
        names = list(json.loads(manifest)["files"])
    except (ValueError, KeyError, TypeError) as fault:
        raise InputError("the manifest of the model can't be read.", where=uri, hint="Copy the model again.") from fault
    if any(not isinstance(name, str) or name != os.path.basename(name) or name in ("", "..") for name in names):
        raise InputError("the manifest names files outside of the folder.", where=uri, hint="Copy the model again.")
    return names


def _fetch(fs: Any, place: str, names: dict[str, None], target: Path) -> None:
    """Copy files, of which those that are not there are left out, into a folder that appears when it is complete."""
    partial = target.with_name(f".{uuid.uuid4().hex}")
    partial.mkdir(parents=True)
    found = fs.cat_ranges([f"{place}/{name}" for name in names], None, None, on_error="return")
    for name, content in zip(names, found, strict=True):
        if isinstance(content, FileNotFoundError):
            continue
        if isinstance(content, Exception):
            raise content
        (partial / name).write_bytes(content)
    try:
        partial.rename(target)
    except OSError:  # another process was quicker
        shutil.rmtree(partial)


@contextmanager
def folder_for(output: str, manifest: str) -> Iterator[Path]:
    """Folder on this machine in which a model is made; where the output is a URL, the model is copied there after it.

    Parameters
    ----------
    output
        Path or URL of the model's folder.
    manifest
        Name of the file that is copied last.
    """
    if not is_url(output):
        yield Path(output)
        return
    fs, place = file_system(output.rstrip("/"))
    working = kept_files() / "training" / hashlib.sha256(place.encode()).hexdigest()[:16] / place.rpartition("/")[2]
    working.mkdir(parents=True, exist_ok=True)
    yield working
    names = [*_listed((working / manifest).read_bytes(), output), manifest]
    for name in names:
        fs.pipe_file(f"{place}/{name}", (working / name).read_bytes())
