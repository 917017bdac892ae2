"""The storage of a study's results: what a run does there is done, and undone."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from dlif_core.doctor.probe import Diagnosis, Surroundings, doubtful, faulty, sound
from dlif_core.shown import counted
from dlif_core.store.folder import Folder, LocalFolder
from dlif_core.store.folders import open_folder

#: A run of a study needs at least this much [bytes].
_SPACE = 2 * 10**9
#: Clocks that differ by more [s] make ages of claims and files wrong.
_SKEW = 60.0


def look_at_storage(surroundings: Surroundings) -> Iterator[Diagnosis]:
    """Write, read, overwrite, create if absent, list and delete in the folder of the results."""
    if surroundings.study is None:
        return
    folder = open_folder(surroundings.study.output)
    place = f".doctor-{uuid.uuid4().hex}"
    started = time.perf_counter()
    try:
        yield from _written(folder, place)
        yield from _created_once(folder, f"{place}/once")
        yield from _clock(folder, place)
        folder.remove(place)
    except OSError as fault:
        yield faulty(
            "storage",
            f"{folder.uri()}: {fault.strerror or fault}",
            "Choose another `output`, or get the permission to write there.",
        )
        return
    if folder.files(place):
        yield faulty("delete", "a file that was deleted is still there", "Have deletion allowed for these credentials.")
        return
    seconds = time.perf_counter() - started
    yield sound("storage", f"{folder.uri()}: written, read, created once, deleted in {seconds:.2f} s")
    if isinstance(folder, LocalFolder):
        yield from _space(folder)


def _written(folder: Folder, place: str) -> Iterator[Diagnosis]:
    key = f"{place}/probe"
    for content in (b"first", b"second"):
        folder.write(key, content)
        if folder.read(key) != content:
            yield faulty(
                "write",
                "what is read is not what was written just before",
                "Use a storage whose reads see the last write: S3 does, some caches before it don't.",
            )
    if "probe" not in folder.files(place):
        yield faulty("list", "a file that was written is not listed", "Have listing allowed for these credentials.")


def _created_once(folder: Folder, key: str) -> Iterator[Diagnosis]:
    first, second = folder.create(key, b"ours"), folder.create(key, b"theirs")
    if not first or second or folder.read(key) != b"ours":
        yield faulty(
            "conditional write",
            "a file that must be created once was created twice",
            "Use a storage with conditional writes (If-None-Match), or run one process of a study at a time.",
        )


def _clock(folder: Folder, place: str) -> Iterator[Diagnosis]:
    skew = abs(_time_of(folder, f"{place}/probe") - time.time())
    if skew > _SKEW:
        yield doubtful(
            "clock",
            f"those of this machine and of the storage differ by {skew:.0f} s",
            "Set them by NTP: ages of files tell which run is still alive.",
        )


def _time_of(folder: Folder, key: str) -> float:
    info: dict[str, Any] = folder.fs.info(f"{folder.path}/{key}")
    found = next((info[name] for name in ("mtime", "LastModified", "last_modified", "created") if info.get(name)), None)
    if isinstance(found, datetime):
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return float(found) if isinstance(found, int | float) else time.time()


def _space(folder: LocalFolder) -> Iterator[Diagnosis]:
    free = shutil.disk_usage(folder.path).free
    if free < _SPACE:
        yield doubtful("space", f"{free / 1e9:.1f} GB free at {folder.path}", "Make room, or choose another `output`.")
    else:
        yield sound("space", f"{free / 1e9:.1f} GB free at {folder.path}")


def look_at_data(surroundings: Surroundings) -> Iterator[Diagnosis]:
    """Whether the scans of the study are found, and of how many something is wrong with the files."""
    if surroundings.study is None:
        return
    from dlif_core.study.scans import included_scans

    scans = included_scans(surroundings.study)
    refused = [name for name, files in scans.items() if files.faults]
    found = f"{counted(len(scans), 'scan')} at {surroundings.study.data.uri}"
    if refused:
        listed = ", ".join(refused[:4]) + (" …" if len(refused) > 4 else "")
        yield doubtful("data", f"{found}, {len(refused)} of them can't be used ({listed})", "`dlif check` says why.")
    else:
        yield sound("data", found)
