"""The scans of a study."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dlif_core.errors import ConfigurationError
from dlif_core.study.config import StudyConfig

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles


def included_scans(config: StudyConfig) -> dict[str, ScanFiles]:
    """Files of every scan of the study, by scan name.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    from dlif_core.ingest import find_scans, looked_for

    data = config.data
    scans = find_scans(data.uri, config.regions.curves, format=data.format, options=data.options)
    found = {files.scan_id: files for files in scans}
    wanted = {name: files for name, files in found.items() if _matches(name, config.scans)}
    if not wanted:
        raise ConfigurationError(
            f"{len(found)} scans lie there, none of them is included by scans: {list(config.scans)}."
            if found
            else f"no {looked_for(data.format)} lies there.",
            where=data.uri,
            hint="Correct `data` or `scans` in the study file.",
        )
    return wanted


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
