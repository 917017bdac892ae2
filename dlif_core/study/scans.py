"""The scans of a study."""

from __future__ import annotations

import fnmatch
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from dlif_core.errors import ConfigurationError, DlifError, InputError, MissingInputError
from dlif_core.shown import counted
from dlif_core.storage import unreachable
from dlif_core.study.config import StudyConfig

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles


def included_scans(config: StudyConfig) -> dict[str, ScanFiles]:
    """Files of every scan of the study, by scan name.

    Raises
    ------
    ConfigurationError
        If there is none, or the data can't be reached.
    """
    from dlif_core.ingest import looked_for

    found = _by_name(_find(config))
    wanted = {name: files for name, files in found.items() if _is_wanted(files, config.scans)}
    if not wanted:
        raise ConfigurationError(
            f"of {counted(len(found), 'scan')} there, none is included by scans: {reprlib.repr(list(config.scans))}."
            if found
            else f"no {looked_for(config.data.format)} lies there.",
            where=config.data.uri,
            hint="Correct `data` or `scans` in the study file.",
        )
    return wanted


def _find(config: StudyConfig) -> list[ScanFiles]:
    from dlif_core.ingest import find_scans

    data = config.data
    try:
        return find_scans(data.uri, config.regions.curves, format=data.format, options=data.options, links=data.links)
    except MissingInputError:
        raise
    except InputError as fault:
        hint = f"{fault.hint} The study file names it as `data`."
        raise ConfigurationError(fault.message, where=fault.where, hint=hint) from fault
    except DlifError:
        raise
    except Exception as fault:  # each kind of filesystem has errors of its own
        raise unreachable(data.uri, "`data` in the study file", fault) from fault


def _by_name(scans: Iterable[ScanFiles]) -> dict[str, ScanFiles]:
    """Scans by name; of several with the same name one is left, with the fault that there are others."""
    found: dict[str, ScanFiles] = {}
    for files in scans:
        found[files.scan_id] = _with_double(found[files.scan_id], files) if files.scan_id in found else files
    return found


def _with_double(files: ScanFiles, other: ScanFiles) -> ScanFiles:
    from dlif_core.ingest import ListingFault

    ours, theirs = (set(one.inputs().values()) for one in (files, other))
    first, second = min(ours - theirs, default=files.root), min(theirs - ours, default=other.root)
    fault = ListingFault(
        f"two scans are called {files.scan_id!r}; files of the other lie at {second}.",
        first,
        "Give each a name of its own: with sub-, ses- and run- as their folders have them, for instance.",
    )
    return replace(files, faults=(*files.faults, fault))


def with_unreadable(files: ScanFiles, digests: Mapping[str, str | InputError]) -> ScanFiles:
    """A scan's files, and the fault of each of them of which there is no digest."""
    from dlif_core.ingest import ListingFault

    found = (digests[uri] for uri in files.inputs().values())
    faults = [ListingFault(fault.message, fault.where, fault.hint) for fault in found if isinstance(fault, InputError)]
    return replace(files, faults=(*files.faults, *faults)) if faults else files


def _is_wanted(files: ScanFiles, patterns: Iterable[str]) -> bool:
    """Whether the study includes a scan; a subject that could not be listed is, if one of its scans may be."""
    wanted = list(patterns)
    if files.faults:  # a name that is taken or wrong has something added to it
        wanted += [f"{pattern}_*" for pattern in wanted]
    if not files.files and files.scan_id == files.subject:
        wanted += [pattern.partition("_")[0] for pattern in wanted]
    return any(fnmatch.fnmatch(files.scan_id, pattern) for pattern in wanted)
