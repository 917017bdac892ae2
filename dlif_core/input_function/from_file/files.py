"""The files of a scan's input function: found, digested and read as text."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from dlif_core.errors import BloodError, ConfigurationError, DlifError, InputError, MissingInputError
from dlif_core.input_function.from_file.options import FilesOfScan, FromFileOptions, entities
from dlif_core.links import LEADS_OUT, MEND_LINK, Enclosure

#: Largest file that is read [bytes]; an input function of a day in steps of 0.1 s has 30 MB.
MAX_BYTES = 32_000_000
_SHOWN = 3


def files_of(options: FromFileOptions) -> tuple[str, ...]:
    """URI of the one file that each path of the options matches.

    Raises
    ------
    MissingInputError
        If a path matches none.
    BloodError
        If a path matches several, or may be that of another scan.
    InputError
        If a file of a study is reached by a link that leads out of the data.
    """
    labels = options.labels if isinstance(options, FilesOfScan) else {}
    if isinstance(options, FilesOfScan) and options.unnamed:
        raise BloodError(
            f"nothing in this path says {' and '.join(options.unnamed)}: the file might be another scan's.",
            where=", ".join(options.path),
            hint="Use {scan}, or {subject} with {session}, {trc} and {run} as the scan has them.",
        )
    found = tuple(_only(path, matches(path, options.setting), options.setting) for path in options.path)
    for uri in found:
        _require_own(uri, labels, options.setting)
    for number, uri in enumerate(found):
        for each in (uri, sidecar_of(uri)):
            if link := _link_out(each, number, options):
                raise InputError(f"{LEADS_OUT}.", where=link, hint=MEND_LINK)
    return found


def _link_out(uri: str, number: int, options: FromFileOptions) -> str | None:
    """The link by which a file of a path of a study leads out of the data; paths given by hand may lead anywhere."""
    if "://" in uri or not isinstance(options, FilesOfScan):
        return None
    return Enclosure(options.folders[number], options.links).link_out(uri)


def matches(path: str, setting: str) -> list[str]:
    """URIs of the files that a path or pattern of a setting matches, sorted.

    Raises
    ------
    ConfigurationError
        If the path is a URL of a kind that nothing here can read.
    """
    from dlif_core.storage import file_system

    try:
        system, inside = file_system(path)
    except (ValueError, ImportError) as fault:
        raise ConfigurationError(f"{fault}.", where=path, hint=f"Correct `path` of {setting}.") from fault
    found = [inside] if system.isfile(inside) else [name for name in system.glob(inside) if system.isfile(name)]
    remote = "://" in path
    return sorted(str(system.unstrip_protocol(name)) if remote else str(name) for name in found)


def _only(path: str, found: list[str], setting: str) -> str:
    if len(found) == 1:
        return found[0]
    if not found:
        placeholder = " Placeholders such as {scan} are filled in a study only." if "{" in path else ""
        raise MissingInputError(
            "there is no such file of an input function.",
            where=path,
            hint=f"Restore it, or correct `path` of {setting}.{placeholder}",
        )
    listed = ", ".join(found[:_SHOWN]) + (" …" if len(found) > _SHOWN else "")
    raise BloodError(
        f"{len(found)} files match, one is needed: {listed}.",
        where=path,
        hint=f"Make `path` of {setting} narrower, for example with {{scan}} or {{run}}, or move the other files.",
    )


def _require_own(uri: str, labels: dict[str, str], setting: str) -> None:
    named = entities(uri.rsplit("/", 1)[-1])
    for entity, label in named.items():
        if labels.get(entity, label) != label:
            raise BloodError(
                f"the file is that of {label}, the scan is {labels[entity]}.",
                where=uri,
                hint=f"Correct `path` of {setting}, so that each scan finds its own file.",
            )


def digests(options: FromFileOptions) -> dict[str, str]:
    """Digest of every file that the options match, and of its sidecar, by the end of its path.

    What is not there, or can't be read, is said in place of a digest: the fault is that of the scan, when its curve is
    made.
    """
    found: dict[str, str] = {}
    for number, path in enumerate(options.path):
        try:
            uris = matches(path, options.setting)
        except OSError:
            uris = []
        if not uris:
            found[f"file {_end(path)}"] = "missing"
        for uri in (each for file in uris for each in (file, sidecar_of(file))):
            digest = LEADS_OUT if _link_out(uri, number, options) else _digest(uri)
            if digest != "missing" or uri in uris:
                name = f"file {_end(uri)}"
                found[name] = " ".join(filter(None, (found.get(name), digest)))
    return found


def sidecar_of(uri: str) -> str:
    """URI of the JSON file beside a table."""
    return re.sub(r"\.[^./]*$", "", uri) + ".json"


def _end(uri: str) -> str:
    return "/".join(uri.split("/")[-2:])


def _digest(uri: str) -> str:
    try:
        return hashlib.sha256(read_bytes(uri)).hexdigest()
    except MissingInputError:
        return "missing"
    except DlifError as fault:
        return f"unreadable: {fault.message}"


def read_bytes(uri: str) -> bytes:
    """Content of a file.

    Raises
    ------
    MissingInputError
        If it is not there.
    InputError
        If it is too large, no file, or can't be read.
    """
    from dlif_core.storage import file_system

    system, path = file_system(uri)
    try:
        info: dict[str, Any] = system.info(path)
        if info["type"] not in ("file", "link") or not system.isfile(path):
            raise InputError("this is no file.", where=uri, hint="Correct the `path` that names it.")
        if (info.get("size") or 0) > MAX_BYTES:
            raise InputError(
                f"the file has {info['size'] / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f} MB.",
                where=uri,
                hint="An input function needs a few kilobytes; check whether this is the right file.",
            )
        with system.open(path, "rb") as stream:
            return bytes(stream.read(MAX_BYTES + 1))
    except FileNotFoundError as fault:
        raise MissingInputError("the file is not there.", where=uri, hint="Restore it.") from fault
    except OSError as fault:
        raise InputError(
            f"it can't be read: {fault.strerror or fault}.", where=uri, hint="Correct its permissions."
        ) from fault
