"""The scans of a study and what planning has to know of their files: the only place that asks the readers."""

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
    from dlif_core.ingest import find_scans

    found = {files.scan_id: files for files in find_scans(config.data, config.regions.curves)}
    wanted = {name: files for name, files in found.items() if _matches(name, config.scans)}
    if not wanted:
        raise ConfigurationError(
            f"{len(found)} scans lie there, none of them is included by scans: {list(config.scans)}."
            if found
            else "no PET-BIDS scan lies there (sub-*/[ses-*/]pet/*_pet.json).",
            where=config.data,
            hint="Correct `data` or `scans` in the study file.",
        )
    return wanted


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def input_files(files: ScanFiles) -> dict[str, str]:
    """URI of every file that decides what is read of a scan, by the name that a reason of a plan calls it."""
    return files.inputs()


def has_image(files: ScanFiles) -> bool:
    """Whether a scan has an image, beside curves of regions or in place of them."""
    return bool(files.role("image"))


def image_geometry(files: ScanFiles) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Shape (frames, z, y, x) and voxel size along z, y, x [mm] of a scan's image.

    Raises
    ------
    InputError
        If the image's header can't be read.
    """
    from dlif_core.ingest import image_geometry

    return image_geometry(files.role("image")[0])
