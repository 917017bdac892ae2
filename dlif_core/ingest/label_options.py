"""Options that name a label image of the regions for scans of any format."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Self

from pydantic import field_validator

from dlif_core.ingest.reader import ReaderOptions, ScanFiles
from dlif_core.storage import joined

#: Roles of a label image and of the names of its labels.
LABELS, LABEL_NAMES = "labels", "labels_dseg"

_DATA = "{data}"
_PLACEHOLDERS = (_DATA, "{scan}", "{subject}", "{session}")
_BRACES = re.compile(r"\{[^{}]*\}")


class LabelOptions(ReaderOptions):
    """Options of formats whose scans may have a label image that the format itself doesn't know of.

    Attributes
    ----------
    labels
        Path of the label image of each scan: NIfTI, DICOM Segmentation or RT structures. ``{scan}``, ``{subject}``
        (``sub-01``) and ``{session}`` stand for the scan's own, ``{data}`` for the folder of the data; a path without
        them is one image for all scans. A relative path is relative to the study file.
    label_names
        Path of the table of names of its labels, see `dlif_core.ingest.label_names`, with the same placeholders.
    resample_labels
        Whether a label image on another voxel grid is resampled to that of the PET image, by nearest neighbour; else it
        is refused.
    """

    labels: str = ""
    label_names: str = ""
    resample_labels: bool = False

    @field_validator("labels", "label_names")
    @classmethod
    def _known_placeholders(cls, path: str) -> str:
        for found in _BRACES.findall(path):
            if found not in _PLACEHOLDERS:
                raise ValueError(f"{found} is no placeholder; there are {', '.join(_PLACEHOLDERS)}")
        return path

    def relative_to(self, folder: str) -> Self:
        """The options with their paths, relative to a folder until now, made absolute."""
        return self.model_copy(update={name: _absolute(folder, path) for name, path in self._paths().items()})

    def _paths(self) -> dict[str, str]:
        return {"labels": self.labels, "label_names": self.label_names}


def _absolute(folder: str, path: str) -> str:
    return joined(folder, path) if path and not path.startswith(_DATA) else path


def with_labels(files: ScanFiles) -> ScanFiles:
    """The files of a scan with the label image and the table of names that its options name, in place of others.

    Whether they are there is told when the scan is opened. A scan without image keeps its region curves.
    """
    options = files.options
    if not isinstance(options, LabelOptions) or not files.has_image:
        return files
    own: dict[str, Any] = {LABELS: options.labels, LABEL_NAMES: options.label_names}
    left_out = {LABELS, LABEL_NAMES} if options.labels else {name for name in own if own[name]}
    kept = {role: uris for role, uris in files.files.items() if role not in left_out}
    return replace(files, files=kept | {role: (_filled(path, files),) for role, path in own.items() if path})


def _filled(path: str, files: ScanFiles) -> str:
    values = (files.root.rstrip("/"), files.scan_id, files.subject, files.session)
    for placeholder, value in zip(_PLACEHOLDERS, values, strict=True):
        path = path.replace(placeholder, value)
    return path
