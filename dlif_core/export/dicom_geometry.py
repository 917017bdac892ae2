"""Place of voxels in DICOM: from the affine of NIfTI (RAS) to positions and directions of a patient (LPS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.errors import ImageError
from dlif_core.export.products import ExportedScan

if TYPE_CHECKING:
    import highdicom as hd

#: Largest cosine between two axes of voxels that are taken as at right angles.
_SHEAR = 1e-4


def patient_affine(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine of an array with the indices z, y, x in patient coordinates of DICOM.

    Parameters
    ----------
    affine
        Voxel index (x, y, z) to mm, x to the right, y to the front, z to the head; shape (4, 4).

    Returns
    -------
    Index (z, y, x) to mm, x to the left, y to the back, z to the head; shape (4, 4).
    """
    return (np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)[:, [2, 1, 0, 3]]


def as_volume(values: NDArray[Any], scan: ExportedScan, reference: str) -> hd.Volume:
    """Voxels in their place.

    Parameters
    ----------
    values
        Shape (z, y, x).
    scan
        The scan, whose affine says where the voxels lie.
    reference
        Identifier of the frame of reference.

    Raises
    ------
    ImageError
        If the axes of the image are not at right angles, which DICOM can't describe.
    """
    import highdicom as hd

    affine = scan.scan.affine
    assert affine is not None, "a scan with maps or labels has an affine"
    placed = patient_affine(np.asarray(affine, float))
    axes = placed[:3, :3] / np.linalg.norm(placed[:3, :3], axis=0)
    if np.abs(axes.T @ axes - np.eye(3)).max() > _SHEAR:
        raise ImageError(
            "the axes of the image are not at right angles; DICOM can't hold such an image.",
            where=scan.scan_id,
            hint="Resample the image to a grid at right angles, or export it as bids.",
        )
    return hd.Volume(values, placed, coordinate_system="PATIENT", frame_of_reference_uid=reference)
