"""The label image of a scan: read from NIfTI or DICOM, brought onto the grid of the image, and named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding
from dlif_core.checks.metadata import LABEL_IMAGE
from dlif_core.ingest.label_grid import ImageGrid, PlacedLabels, on_grid
from dlif_core.ingest.label_names import label_names
from dlif_core.ingest.nifti import read_stored_labels
from dlif_core.ingest.segmentation import has_dicom_mark, read_segments

Labels = NDArray[np.int32]

#: Labels that are listed in a message.
_LISTED = 10


@dataclass(frozen=True, eq=False)
class LabelImage:
    """Labels on the grid of an image, with their names.

    Attributes
    ----------
    labels
        Shape (z, y, x); 0 outside the regions.
    names
        Names by label.
    findings
        What was done to the labels.
    provenance
        How the labels got onto the grid, and which numbers were changed.
    """

    labels: Labels
    names: Mapping[int, str]
    findings: tuple[Finding, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_labels(uri: str, image: ImageGrid) -> Labels:
    """Read region labels on the grid of an image, shape (z, y, x).

    Raises
    ------
    ImageError
        As `read_label_image`.
    """
    return read_label_image(uri, (), image).labels


def read_label_image(uri: str, names: tuple[str, ...], image: ImageGrid, *, resample: bool = False) -> LabelImage:
    """Read a label image with the names of its labels.

    Parameters
    ----------
    uri
        NIfTI, DICOM Segmentation or RT structures.
    names
        The file with the names; none for those that a DICOM file has itself.
    image
        The image whose regions it labels.
    resample
        Whether labels on another grid are resampled by nearest neighbour.

    Raises
    ------
    ImageError
        If the label image can't be read exactly, or is on another grid and not to be resampled.
    InputError
        If the names can't be read.
    """
    if has_dicom_mark(uri):
        stored = read_segments(uri, image)
        values, affine, own, cropped = stored.values, stored.affine, stored.names, True
    else:
        (values, affine), own, cropped = read_stored_labels(uri), {}, False
    placed = on_grid(values, affine, image, uri, resample=resample, cropped=cropped)
    findings = [LABEL_IMAGE.found(_told(placed, values), where=uri)] if placed.resampled else []
    facts: dict[str, Any] = {"labels resampled by nearest neighbour": placed.covered} if placed.resampled else {}
    labels, renumbered = _fitting(placed.values)
    named = own | label_names(names)
    if renumbered:
        message = f"Labels beyond 32 bits: all {len(renumbered)} labels were numbered anew, by their order."
        findings.append(LABEL_IMAGE.found(message, where=uri))
        facts["labels renumbered"] = {str(new): str(old) for new, old in renumbered.items()}
        named = {new: named.get(old, f"label-{old}") for new, old in renumbered.items()}
    return LabelImage(labels, named, tuple(findings), facts)


def _told(placed: PlacedLabels, values: NDArray[Any]) -> str:
    lost = np.setdiff1d(values, placed.values)
    listed = ", ".join(map(str, lost[:_LISTED].tolist())) + (" …" if len(lost) > _LISTED else "")
    return (
        "The label image is on another grid than the image and was resampled by nearest neighbour; it covers "
        f"{placed.covered:.1%} of the image." + (f" Labels that no voxel has any more: {listed}." if len(lost) else "")
    )


def _fitting(values: NDArray[Any]) -> tuple[Labels, dict[int, int]]:
    """The labels as 32-bit integers; where some are beyond, all numbered anew in their order, 0 staying 0.

    The second value is the old label by the new one, empty where nothing was changed.
    """
    limits = np.iinfo(np.int32)
    if limits.min <= int(values.min()) and int(values.max()) <= limits.max:
        return np.asarray(values, dtype=np.int32), {}
    found = np.unique(values[values != 0])
    labels = np.where(values == 0, 0, np.searchsorted(found, values) + 1).astype(np.int32)
    return labels, dict(enumerate(found.tolist(), start=1))
