"""Regions in DICOM, as a Segmentation or as RT structures, as the labels of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import DlifError, ImageError
from dlif_core.foreign_faults import without_quotations
from dlif_core.ingest.contours import filled_contours
from dlif_core.ingest.label_grid import ImageGrid
from dlif_core.ingest.uris import opened
from dlif_core.shown import LONGEST_NAME

Array = NDArray[np.float64]

_MARK, _MARK_AT = b"DICM", 128
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_RT_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
#: DICOM counts to the left and to the back, NIfTI to the right and to the front.
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments as labels.

    Attributes
    ----------
    values
        Number of the segment of each voxel, shape (z, y, x); planes without any segment may be left out at the ends.
    affine
        Shape (4, 4), voxel index (x, y, z) to mm, as NIfTI.
    names
        Label of each segment.
    """

    values: NDArray[Any]
    affine: Array
    names: dict[int, str]


def has_dicom_mark(uri: str) -> bool:
    """Whether a file has the mark of DICOM."""
    with opened(uri) as stream:
        return bytes(stream.read(_MARK_AT + len(_MARK)))[_MARK_AT:] == _MARK


def read_segments(uri: str, image: ImageGrid) -> Segments:
    """Read the segments of a DICOM Segmentation, or RT structures, each a label of its number.

    Parameters
    ----------
    uri
        The file.
    image
        The image on whose grid contours of RT structures are filled.

    Raises
    ------
    ImageError
        If the file is another kind of DICOM, is damaged, its regions overlap or are fractions, or its planes are no
        volume.
    """
    try:
        return _read(uri, image)
    except (DlifError, OSError):
        raise
    except Exception as fault:  # pydicom and highdicom raise what they meet
        raise ImageError(
            f"the regions in DICOM can't be read as labels: {without_quotations(str(fault))}.",
            where=uri,
            hint="Segments must not overlap and must lie on one volume; else write them as a label image in NIfTI.",
        ) from fault


def _read(uri: str, image: ImageGrid) -> Segments:
    import highdicom as hd
    from pydicom import dcmread

    with opened(uri) as stream:
        dataset = dcmread(stream)
    kind = str(dataset.get("SOPClassUID", ""))
    if kind == _RT_STRUCTURES:
        values, names = filled_contours(dataset, image, uri)
        return Segments(values, image.affine, names)
    if kind not in _SEGMENTATIONS:
        raise ImageError(
            "this DICOM file is no Segmentation and no set of RT structures.",
            where=uri,
            hint="Write the regions as one of these, or as a label image in NIfTI.",
        )
    found = hd.seg.Segmentation.from_dataset(dataset, copy=False)
    volume = found.get_volume(combine_segments=True)
    names = {
        int(number): str(found.get_segment_description(number).segment_label)[:LONGEST_NAME]
        for number in found.segment_numbers
    }
    return Segments(volume.array, (_TO_RAS @ volume.affine)[:, [2, 1, 0, 3]], names)
